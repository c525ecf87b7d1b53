"""Telling an observer how a service does: events, an observer that records them, a reporter."""

import asyncio
import json
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Final

from gost_core import observer
from gost_core.common import net
from gost_core.context import Context
from gost_core.logger import Logger
from gost_core.observer import EventType, Observer
from gost_core.observer.stats import Kind, Stats
from gost_core.recorder import Recorder

from ..logger import Outage

INTERVAL: Final = 5.0  # seconds between reports of statistics
LAST_WORDS: Final = 2.0  # seconds for the last report


@dataclass(frozen=True, slots=True)
class StatusEvent(observer.Event):
    """A service is in another state: "running", "failed" or "closed"."""

    service: str
    state: str
    message: str

    def type(self) -> str:
        return EventType.STATUS


@dataclass(frozen=True, slots=True)
class StatsEvent(observer.Event):
    """What a service has counted by now."""

    service: str
    counts: Mapping[str, int]

    def type(self) -> str:
        return EventType.STATS


class RecordingObserver(Observer):
    """Has each event recorded, as JSON; delivered is what the recorder has taken."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    async def observe(
        self, ctx: Context, events: Sequence[observer.Event], /, *opts: observer.Option
    ) -> None:
        for event in events:
            if isinstance(event, (StatusEvent, StatsEvent)):  # others mean nothing here (D56)
                content = {"type": event.type(), **asdict(event)}
                await self._recorder.record(ctx, json.dumps(content).encode())


class Reporter(net.Closer):
    """Tells an observer what happens, in a task of its own: in order, and what changed only.

    A batch that was not delivered comes again, before anything newer (D56). So an observer that is
    slow or away holds up nothing, and later learns the latest counts. Without one, nobody is told.
    """

    def __init__(
        self, told: Observer | None, service: str, stats: Stats, interval: float, logger: Logger
    ) -> None:
        self._told = told
        self._service = service
        self._stats = stats
        self._interval = interval
        self._outage = Outage(f"the observer of {service or 'a service'}", logger)
        self._state = ""
        self._changes = deque[StatusEvent](maxlen=100)
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def start(self) -> None:
        """Report from now on."""
        if self._told is not None and not self._closed:
            name = f"reports on {self._service}"
            self._task = asyncio.create_task(self._report(self._told), name=name)

    def tell(self, state: str, message: str = "") -> None:
        """Report a state now, unless it is no other than before; nothing comes after "closed"."""
        if self._state not in (state, "closed"):
            self._state = state
            self._changes.append(StatusEvent(self._service, state, message))
            self._wake.set()

    async def close(self) -> None:
        self._closed = True
        self._wake.set()
        if self._task is not None:
            try:
                await asyncio.wait({self._task}, timeout=LAST_WORDS)
            finally:
                self._task.cancel()
                await asyncio.wait({self._task})

    async def _report(self, told: Observer) -> None:
        batch: Sequence[observer.Event] = ()
        while True:
            self._wake.clear()
            while batch := batch or self._collect():
                try:
                    await told.observe(Context(), batch)
                except Exception as error:
                    self._outage.failed(error)
                    break
                self._outage.ended()
                batch = ()
            if self._closed:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(self._interval):
                    await self._wake.wait()

    def _collect(self) -> Sequence[observer.Event]:
        events: list[observer.Event] = [*self._changes]
        self._changes.clear()
        if self._stats.is_updated():
            counts: dict[str, int] = {kind.name.lower(): self._stats.get(kind) for kind in Kind}
            events.append(StatsEvent(self._service, counts))
        return tuple(events)
