"""Service discovery on Redis, for proxies on several machines."""

import asyncio
import json
import random
from collections.abc import Awaitable, Collection, Sequence
from dataclasses import asdict, fields
from typing import Final, TypeVar
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

from ..net.wrapper import Waits
from .memory import LEASE, key_of

T = TypeVar("T")

LIMIT: Final = 5.0  # seconds for an answer of the server
FIELDS: Final = [field.name for field in fields(Service)]

# All services of a name in one step; what has run out leaves the index in the same step, so that
# none that is being registered again can get lost.
LIST: Final = """
local living = {}
for _, key in ipairs(redis.call('SMEMBERS', KEYS[1])) do
    local service = redis.pcall('GET', key)
    if type(service) == 'table' then service = 'no text' end
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
        # Time is limited here: before Python 3.12, the library's limit loses cancellations (D4).
        # It does not say what its options are.
        self._redis = Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
            url, retry=again, socket_timeout=None
        )
        self._waits = Waits("directory")
        self._seen: dict[str, Collection[bytes]] = {}  # entries of the last time

    async def register(self, ctx: Context, service: Service, /, *opts: Option) -> None:
        apply(Options(), *opts)
        key = _redis_key(*key_of(service))
        async with self._redis.pipeline(transaction=True) as both:
            both.set(key, json.dumps(asdict(service)), px=self._lease)
            both.sadd(_redis_key(service.name), key)
            await self._ask(both.execute())

    async def deregister(self, ctx: Context, service: Service, /) -> None:
        await self._ask(self._redis.delete(_redis_key(*key_of(service))))

    async def renew(self, ctx: Context, service: Service, /) -> None:
        key = _redis_key(*key_of(service))
        if not await self._ask(self._redis.pexpire(key, self._lease)):
            raise LookupError(f"{key_of(service)} is not registered, or not any more")

    async def get(self, ctx: Context, name: str, /) -> Sequence[Service]:
        services: list[Service] = []
        found = await self._ask(self._redis.eval(LIST, 1, _redis_key(name)))
        before, self._seen[name] = self._seen.get(name, ()), found
        for data in found:
            try:
                services.append(_service(data))
            except (TypeError, ValueError, RecursionError) as error:  # somebody else wrote it
                if data not in before:  # said then
                    default().warnf("an entry of %r in the directory is left out: %s", name, error)
        return random.sample(services, len(services))  # callers take the first, so by lot

    async def close(self) -> None:
        self._waits.end()
        await self._redis.aclose()

    async def _ask(self, call: Awaitable[T]) -> T:
        """Wait for an answer, not too long, and make an OSError of what goes wrong (D14)."""
        try:
            async with asyncio.timeout(LIMIT):
                return await self._waits.until_closed(call)
        except (RedisError, TimeoutError, TypeError, ValueError) as error:
            reason = str(error) or f"no answer in {LIMIT:g} s"
            raise OSError(f"the service directory fails: {reason}") from error


def _service(data: bytes) -> Service:
    """Read an entry, but for fields that are not known here (D61)."""
    found: dict[str, object] = {**json.loads(data)}
    values = {key: found[key] for key in FIELDS if key in found}
    texts = {key: value for key, value in values.items() if isinstance(value, str)}
    if len(texts) < len(values):
        raise ValueError("a field of it is no text")
    return Service(**texts)


def _redis_key(*parts: str) -> str:
    return ":".join(["sd", *(quote(part, safe="") for part in parts)])
