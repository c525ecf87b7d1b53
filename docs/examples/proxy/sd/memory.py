"""A directory in memory, and what all directories do alike."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from gost_core.context import Context
from gost_core.logger import default
from gost_core.options import apply
from gost_core.sd import SD, Option, Options, Service

LEASE: Final = 30.0  # seconds that a service is listed for unless it is renewed


def key_of(service: Service) -> tuple[str, str, str]:
    """Return what tells services apart (D61)."""
    return service.name, service.node, service.id


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
        found = [one for _, one in self._living().values() if one.name == name]
        return random.sample(found, len(found))  # callers take the first, so by lot

    def _living(self) -> dict[tuple[str, ...], tuple[float, Service]]:
        """Forget what was not renewed in time, and return the rest."""
        now = self._clock()
        for key in [key for key, (end, _) in self._services.items() if end <= now]:
            del self._services[key]
        return self._services


@asynccontextmanager
async def registered(
    sd: SD, service: Service, interval: float = LEASE / 3
) -> AsyncGenerator[None, None]:
    """Keep one service registered while the block lasts.

    It is renewed several times a lease, and registered again when the directory has lost it. While
    the directory is out of reach the log says so, and the next time is another try.
    """

    async def ask(what: str, call: Callable[[Context, Service], Awaitable[None]]) -> bool:
        try:
            async with asyncio.timeout(interval):
                await call(Context(), service)
        except LookupError:  # the directory does not know it, or not any more (D61)
            return False
        except Exception as error:
            reason = str(error) or f"no answer in {interval:g} s"
            default().warnf("%s is not %s: %s", service, what, reason)
        return True

    async def keep() -> None:
        while True:
            if not await ask("renewed", sd.renew):
                await ask("registered", sd.register)
            await asyncio.sleep(interval)

    keeping = asyncio.create_task(keep(), name=f"registration of {service}")
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.wait({keeping})
        await ask("deregistered", sd.deregister)
