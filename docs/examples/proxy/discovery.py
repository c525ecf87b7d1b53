"""Service discovery, in memory and on Redis, and what keeps a service registered."""

import asyncio
import json
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from typing import Final
from urllib.parse import quote

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from gost_core.common import net
from gost_core.context import Context
from gost_core.logger import default
from gost_core.options import apply
from gost_core.sd import SD, Option, Options, Service

LEASE: Final = 30.0  # seconds that a service is listed for unless it is renewed
LIMIT: Final = 5.0  # seconds for an answer of the server


class MemorySD(SD):
    """A directory in this process; other tasks share it by sharing the object."""

    def __init__(self, lease: float = LEASE, clock: Callable[[], float] = time.monotonic) -> None:
        self._lease = lease
        self._clock = clock
        self._services: dict[tuple[str, ...], tuple[float, Service]] = {}

    async def register(self, ctx: Context, service: Service, /, *opts: Option) -> None:
        apply(Options(), *opts)
        self._living()[_key(service)] = (self._clock() + self._lease, service)

    async def deregister(self, ctx: Context, service: Service, /) -> None:
        self._services.pop(_key(service), None)

    async def renew(self, ctx: Context, service: Service, /) -> None:
        _, found = self._living()[_key(service)]  # a KeyError is a LookupError
        self._services[_key(service)] = (self._clock() + self._lease, found)

    async def get(self, ctx: Context, name: str, /) -> Sequence[Service]:
        return _shuffled([found for _, found in self._living().values() if found.name == name])

    def _living(self) -> dict[tuple[str, ...], tuple[float, Service]]:
        """Forget what was not renewed in time, and return the rest."""
        now = self._clock()
        for key in [key for key, (end, _) in self._services.items() if end <= now]:
            del self._services[key]
        return self._services


# All services of a name in one step; what has run out leaves the index in the same step, so that
# none that is being registered again can get lost.
LIST: Final = """
local living = {}
for _, key in ipairs(redis.call('SMEMBERS', KEYS[1])) do
    local service = redis.call('GET', key)
    if service then table.insert(living, service) else redis.call('SREM', KEYS[1], key) end
end
return living
"""


class RedisSD(SD, net.Closer):
    """A directory on a Redis server, which proxies on several machines share.

    A service is a key that ends with its lease, by the server's clock; a set for each name says
    which keys to ask for.
    """

    def __init__(self, url: str, lease: float = LEASE) -> None:
        self._lease = round(lease * 1000)
        # Tried again once, at once, since a connection may have been idle for too long.
        again = Retry(NoBackoff(), 1)
        # The library does not say what its options are.
        self._redis = Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
            url, decode_responses=True, retry=again
        )
        self._limits: set[asyncio.Timeout] = set()
        self._closed = False

    async def register(self, ctx: Context, service: Service, /, *opts: Option) -> None:
        apply(Options(), *opts)
        key = _redis_key(*_key(service))
        async with self._asking(), self._redis.pipeline(transaction=True) as both:
            both.set(key, json.dumps(asdict(service)), px=self._lease)
            both.sadd(_redis_key(service.name), key)
            await both.execute()

    async def deregister(self, ctx: Context, service: Service, /) -> None:
        async with self._asking():
            await self._redis.delete(_redis_key(*_key(service)))

    async def renew(self, ctx: Context, service: Service, /) -> None:
        async with self._asking():
            found = await self._redis.pexpire(_redis_key(*_key(service)), self._lease)
        if not found:
            raise LookupError(f"{_key(service)} is not registered, or not any more")

    async def get(self, ctx: Context, name: str, /) -> Sequence[Service]:
        async with self._asking():
            found = await self._redis.eval(LIST, 1, _redis_key(name))
        return _shuffled([Service(**json.loads(text)) for text in found])

    async def close(self) -> None:
        self._closed = True
        for limit in self._limits:  # who waits for an answer waits no longer (D1)
            if not limit.expired():
                limit.reschedule(0)
        await self._redis.aclose()

    @asynccontextmanager
    async def _asking(self) -> AsyncGenerator[None, None]:
        """Wait for an answer, not too long, and make an OSError of what goes wrong (D14)."""
        try:
            if not self._closed:
                async with asyncio.timeout(LIMIT) as limit:
                    self._limits.add(limit)
                    try:
                        yield
                        return
                    finally:
                        self._limits.discard(limit)
        except (RedisError, TimeoutError) as error:
            if not self._closed:
                reason = str(error) or f"no answer in {LIMIT:g} s"
                raise OSError(f"the service directory is out of reach: {reason}") from error
        raise net.ClosedError("this directory was closed here")


def _key(service: Service) -> tuple[str, ...]:
    return service.name, service.node, service.id


def _redis_key(*parts: str) -> str:
    return ":".join(["sd", *(quote(part, safe="") for part in parts)])


def _shuffled(services: list[Service]) -> list[Service]:
    """Put services into the order in which to try them: callers take the first, so by lot."""
    random.shuffle(services)
    return services


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
