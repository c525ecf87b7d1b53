"""A directory in memory."""

import time
from collections.abc import Callable, Sequence

from gost_core.context import Context
from gost_core.options import apply
from gost_core.sd import SD, Option, Options, Service

from .services import LEASE, key_of, shuffled


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
