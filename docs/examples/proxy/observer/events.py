"""What observers are told, and an observer that records it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from gost_core import observer
from gost_core.context import Context
from gost_core.observer import EventType
from gost_core.recorder import Recorder


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


class RecordingObserver(observer.Observer):
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
