"""Service discovery in memory, and what keeps a service registered in any directory."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

from gost_core.common import net
from gost_core.context import Context
from gost_core.logger import default
from gost_core.options import apply
from gost_core.sd import SD, Option, Options, Service

LEASE: Final = 30.0  # seconds that a service is listed for unless it is renewed


def key_of(service: Service) -> tuple[str, str, str]:
    """Return what tells services apart (D61)."""
    return service.name, service.node, service.id


def shuffled(services: list[Service]) -> list[Service]:
    """Put services into the order in which to try them: callers take the first, so by lot."""
    random.shuffle(services)
    return services


class MemorySD(SD):
    """A directory in this process; other tasks share it by sharing the object."""

    def __init__(
        self, *, lease: float = LEASE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._lease = lease
        self._clock = clock
        self._services: dict[tuple[str, ...], tuple[float, Service]] = {}

    async def register(self, ctx: Context, service: Service, /, *opts: Option) -> None:
        apply(Options(), *opts)
        self._living()[key_of(service)] = (self._clock() + self._lease, service)

    async def deregister(self, ctx: Context, service: Service, /) -> None:
        self._services.pop(key_of(service), None)

    async def renew(self, ctx: Context, service: Service, /) -> None:
        _, found = self._living()[key_of(service)]  # a KeyError is a LookupError
        self._services[key_of(service)] = (self._clock() + self._lease, found)

    async def get(self, ctx: Context, name: str, /) -> Sequence[Service]:
        return shuffled([found for _, found in self._living().values() if found.name == name])

    def _living(self) -> dict[tuple[str, ...], tuple[float, Service]]:
        """Forget what was not renewed in time, and return the rest."""
        now = self._clock()
        for key in [key for key, (end, _) in self._services.items() if end <= now]:
            del self._services[key]
        return self._services


class Registration(net.Closer):
    """Keeps one service registered, from ``start()`` to ``close()``.

    It renews several times a lease, and registers again what the directory has lost. While the
    directory is out of reach it says so in the log, and asks again at the next time.
    """

    def __init__(self, sd: SD, service: Service, interval: float = LEASE / 3) -> None:
        self._sd = sd
        self._service = service
        self._interval = interval
        self._registered = False
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def start(self) -> None:
        """Register from now on, in a task that lives up to ``close()`` (D20)."""
        if self._task is not None or self._closed:
            raise RuntimeError("a registration is started once, before it is closed")
        self._task = asyncio.create_task(self._keep(), name=f"registration of {self._service}")

    async def close(self) -> None:
        closed, self._closed = self._closed, True
        if self._task is not None:
            if not closed:  # a second time would cut off the farewell
                self._task.cancel()
            await asyncio.wait({self._task})

    async def _keep(self) -> None:
        try:
            while True:
                await self._try("kept registered", self._renew)
                await asyncio.sleep(self._interval)
        finally:
            await self._try("deregistered", self._sd.deregister)

    async def _renew(self, ctx: Context, service: Service) -> None:
        if self._registered:
            with suppress(LookupError):
                return await self._sd.renew(ctx, service)
        # For the first time, or because the directory does not know it any more (D61).
        await self._sd.register(ctx, service)
        self._registered = True

    async def _try(self, what: str, call: Callable[[Context, Service], Awaitable[None]]) -> None:
        try:
            async with asyncio.timeout(self._interval):
                await call(Context(), self._service)
        except Exception as error:
            reason = str(error) or f"no answer in {self._interval:g} s"
            default().warnf("%s is not %s: %s", self._service, what, reason)
