"""The contract of caches."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import field
from typing import Final

from typing_extensions import Buffer, TypeVar

from gost_core.cache import Cache, Entry, NotFoundError, SetOption, SetOptions, with_ttl
from gost_core.context import Context
from gost_core.testing._families.calls import Calls, Methods
from gost_core.testing._families.lookups import Mended
from gost_core.testing._families.options import AnyOption, TakesOptions
from gost_core.testing._run.contract import clause
from gost_core.testing._run.waiting import expect, owned, raises, within

__all__ = ("CacheContract",)

CacheT = TypeVar("CacheT", bound=Cache, default=Cache)

_SHORT_KEYS: Final = ("a", "A", "a ", "a b", "aa", "", "\u00e4", "a\0", "a/b", "a:b")
_KEYS: Final = (*_SHORT_KEYS, "k" * 200, "k" * 200 + "2")
_SHORT: Final[float] = 0.05
_LONG: Final[float] = 3600.0


class CacheContract(Mended[CacheT], Calls[CacheT], TakesOptions, interface=Cache, first=("found",)):
    """What a cache promises.

    An entry may go at any time, so what is not found is no fault, but for a cache that finds
    nothing at all.
    """

    make: Callable[[], CacheT] = field(kw_only=False)
    """Makes an empty cache. It is closed at the end, if it is a Closer."""
    break_backend: Callable[[CacheT], Awaitable[object]] | None = None
    """Puts what keeps the entries out of its reach."""

    _options = SetOptions

    def _build(self) -> CacheT:
        return owned(self.make())

    async def _methods(self, component: CacheT) -> Methods:
        async def get() -> None:
            await self._get(component, "key")

        return {
            "set()": lambda: component.set(Context(), "key", b"data"),
            "get()": get,
            "delete()": lambda: component.delete(Context(), "another key"),
        }

    async def _call_with(self, *opts: AnyOption) -> None:
        cache = self._build()
        for _ in range(2):
            await cache.set(Context(), "key", b"data", *opts)

    async def _set(self, cache: CacheT, key: str, data: Buffer, *opts: SetOption) -> None:
        await within(cache.set(Context(), key, data, *opts), f"set({key!r})")

    async def _get(self, cache: CacheT, key: str) -> Entry | None:
        try:
            return await within(cache.get(Context(), key), f"get({key!r})")
        except NotFoundError:
            return None

    async def _expect(self, cache: CacheT, key: str, data: bytes, when: str = "") -> bool:
        """Break the clause if an entry is another; return whether there is one."""
        entry = await self._get(cache, key)
        right = entry is None or (type(entry.data) is bytes and entry.data == data)
        expect(right, f"get({key!r}) returned {entry!r} instead of {data!r}{when}")
        return entry is not None

    @clause('What was stored is found, as bytes, b"" and the key "" included.', "D75")
    async def found(self) -> None:
        cache, found = self._build(), 0
        for number, key in enumerate(_KEYS):
            data = b"some data" * number
            await self._set(cache, key, data)
            found += await self._expect(cache, key, data)
        expect(found > 0, f"of {len(_KEYS)} entries none was found, directly after set()")

    @clause("get() raises NotFoundError for what is not there, and nothing else does.", "D75")
    async def missing_raises(self) -> None:
        for key in ("missing", ""):
            await raises(self._build().get(Context(), key), f"get({key!r})", NotFoundError)

    @clause("What was stored last is found.", "D75", after=("found",))
    async def last_found(self) -> None:
        cache = self._build()
        for number in range(5):
            data = b"data %d" % number
            await self._set(cache, "key", data)
            for _ in range(2):
                await self._expect(cache, "key", data, ", which was stored last")

    @clause("Keys are compared whole, letter case, spaces and all.", "D75", after=("found",))
    async def keys_apart(self) -> None:
        cache = self._build()
        for key in _KEYS:
            await self._set(cache, key, key.encode())
        for key in _KEYS:
            await self._expect(cache, key, key.encode(), ", stored under a key like it")

    @clause("delete() removes, and does nothing for what is not there.", "D75", after=("found",))
    async def delete_removes(self) -> None:
        cache = self._build()
        await within(cache.delete(Context(), "key"), "delete() of a missing key")
        await self._set(cache, "key", b"data")
        await self._set(cache, "key 2", b"data 2")
        await within(cache.delete(Context(), "key"), "delete()")
        await raises(cache.get(Context(), "key"), "get() after delete()", NotFoundError)
        await self._expect(cache, "key 2", b"data 2", " when another was deleted")

    @clause(
        "Any buffer is taken, and is the caller's again when set() has returned.",
        "D75",
        after=("found",),
    )
    async def buffer_returned(self) -> None:
        cache, buffer = self._build(), bytearray(b"first and second")
        await self._set(cache, "first", memoryview(buffer)[:5])
        await self._set(cache, "all", buffer)
        buffer[:] = b"-" * len(buffer)
        await self._expect(cache, "first", b"first", ", when its buffer had changed")
        await self._expect(cache, "all", b"first and second", ", when its buffer had changed")

    @clause(
        "An entry lives for its ttl, in seconds: infinite is for ever, 0 the cache's own default.",
        "D75",
        after=("found",),
    )
    async def lives(self) -> None:
        cache = self._build()
        for ttl in (_LONG, math.inf, 0.0, _LONG):
            before = time.time()
            await self._set(cache, "key", b"data", with_ttl(ttl))
            entry = await self._get(cache, "key")
            after = time.time()
            if entry is None:
                continue
            late = entry.expiration
            expect(not _is_over(entry), f"with a ttl of {ttl:g} s, an entry had expired at once")
            if ttl == math.inf:
                expect(late == 0.0, f"with an infinite ttl, an entry expires at {late:g}")
            if ttl == _LONG:
                # A second of tolerance, for a cache that counts whole ones.
                right = before + ttl - 1 <= late <= after + ttl + 1
                expect(right, f"with a ttl of {ttl:g} s, an entry expires in {late - after:g} s")

    @clause(
        "An entry whose ttl is over has gone, or says that it has expired.",
        "D75",
        after=("lives",),
    )
    async def expires(self) -> None:
        cache = self._build()
        await self._set(cache, "key", b"data", with_ttl(_SHORT))
        await asyncio.sleep(2 * _SHORT)
        entry = await self._get(cache, "key")
        gone = entry is None or _is_over(entry)
        expect(gone, f"{2 * _SHORT} s later, an entry with a ttl of {_SHORT} s had not expired")
        await self._set(cache, "key", b"anew")
        entry = await self._get(cache, "key")
        anew = entry is None or not _is_over(entry)
        expect(anew, "without a ttl of its own, a new entry had that of the one before")

    @clause("Calls of several tasks at once do not mix.", "D22, D75", after=("keys_apart", "lives"))
    async def concurrent(self) -> None:
        cache, keys = self._build(), [f"key {number}" for number in range(20)]
        ttls = [with_ttl(_LONG) if number % 2 else with_ttl(math.inf) for number in range(20)]
        setting = zip(keys, ttls, strict=True)
        storing = (cache.set(Context(), key, key.encode(), ttl) for key, ttl in setting)
        await within(asyncio.gather(*storing), "set(), 20 at once,")
        found = await within(asyncio.gather(*(self._get(cache, one) for one in keys)), "get()")
        for number, (key, entry) in enumerate(zip(keys, found, strict=True)):
            if entry is not None:
                right = entry.data == key.encode() and bool(entry.expiration) is bool(number % 2)
                expect(right, f"beside other calls, get({key!r}) returned {entry!r}")

    @clause(
        "A cache that is out of reach raises OSError, and does not say that nothing is there.",
        "D75",
    )
    async def unreachable_raises(self) -> None:
        cache = await self._broken()
        for _ in range(2):
            await raises(cache.get(Context(), "key"), "get() out of reach", OSError)
            await raises(cache.set(Context(), "key", b""), "set() out of reach", OSError)
            await raises(cache.delete(Context(), "key"), "delete() out of reach", OSError)


def _is_over(entry: Entry) -> bool:
    return 0.0 < entry.expiration <= time.time()
