"""What was found lately, in memory."""

import time
from collections import OrderedDict
from typing import Final

from typing_extensions import Buffer

from gost_core import cache
from gost_core.context import Context
from gost_core.options import apply

ROOM: Final = 1000  # entries
TTL: Final = 60.0  # seconds that an entry lives if nobody says how long


class MemoryCache(cache.Cache):
    """Keeps so many entries; for one more, that goes which was stored first."""

    def __init__(self, room: int = ROOM, ttl: float = TTL) -> None:
        self._room = room
        self._ttl = ttl
        self._entries = OrderedDict[str, cache.Entry]()

    async def get(self, ctx: Context, key: str, /) -> cache.Entry:
        entry = self._entries.get(key)
        if entry is None or entry.expired():
            self._entries.pop(key, None)
            raise cache.NotFoundError(key)
        return entry

    async def set(self, ctx: Context, key: str, data: Buffer, /, *opts: cache.SetOption) -> None:
        ttl = apply(cache.SetOptions(), *opts).ttl or self._ttl
        end = 0.0 if ttl == float("inf") else time.time() + ttl
        self._entries[key] = cache.Entry(data=bytes(data), expiration=end)
        self._entries.move_to_end(key)
        if len(self._entries) > self._room:
            self._entries.popitem(last=False)

    async def delete(self, ctx: Context, key: str, /) -> None:
        self._entries.pop(key, None)
