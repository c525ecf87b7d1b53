"""The contract of caches."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import field
from typing import Final

from typing_extensions import Buffer, TypeVar

from gost_core.cache import Cache, Entry, NotFoundError, SetOption, SetOptions, with_ttl
from gost_core.context import Context
from gost_core.testing._families.calls import Methods
from gost_core.testing._families.lent import lend_several
from gost_core.testing._families.lookups import Changes, Lends
from gost_core.testing._families.options import AnyOption
from gost_core.testing._run.attempt import current
from gost_core.testing._run.contract import clause
from gost_core.testing._run.waiting import all_within, ended, expect, raises, start, turns, within

__all__ = ("CacheContract",)

CacheT = TypeVar("CacheT", bound=Cache, default=Cache)

_SHORT_KEYS: Final = ("a", "A", "a ", "a b", "aa", "", "\u00e4", "a\0", "a/b", "a:b", "a_b")
# What something else than a store of keys takes for the same as one of them.
_LIKE_KEYS: Final = ("a\u0308", "?", "a\n", "a/", "a?b", "%61")
_KEYS: Final = (*_SHORT_KEYS, *_LIKE_KEYS, "k" * 300, "k" * 300 + "2")
_LARGE: Final[bytes] = bytes(range(256)) * 300
_DATA: Final = (b"some data", b"", b"\0\r\n\xff", b"\r\n \0\0", b" \n", _LARGE)
_SHORT: Final[float] = 0.25
_LONG: Final[float] = 3600.0
# Longer than some stores count, and as a moment long over.
_DECADES: Final[float] = 10_000 * 86400.0


class CacheContract(
    Changes[CacheT, str, Entry | None],
    Lends[CacheT, str, Entry | None],
    interface=Cache,
    first=("found",),
):
    """What a cache promises.

    An entry may go at any time, so what is not found is no fault, but for a cache that finds
    nothing at all.
    """

    make: Callable[[], CacheT] = field(kw_only=False)
    """Makes an empty cache. It is closed at the end, if it is a Closer."""
    break_backend: Callable[[CacheT], Awaitable[object]] | None = None
    """Puts what keeps the entries out of its reach."""
    stall_backend: Callable[[CacheT], Awaitable[object]] | None = None
    """Has what keeps the entries leave the next call without an answer, and answer later ones."""

    _options = SetOptions

    async def _ready(self) -> CacheT:
        cache = self._build()
        for key in await self._questions():
            await self._set(cache, key, key.encode())
        return cache

    async def _questions(self) -> Sequence[str]:
        return ("one", "two")

    async def _ask(self, component: CacheT, question: str) -> Entry | None:
        try:
            return await component.get(Context(), question)
        except NotFoundError:
            return None

    def _many_questions(self, count: int) -> Sequence[str]:
        return [f"key {number}" for number in range(count)]

    def _named(self, question: str) -> str:
        return f"get({question!r})"

    def _expect_right(self, question: str, answer: Entry | None, when: str = "") -> None:
        right = answer is None or answer.data == question.encode()
        expect(right, f"get({question!r}) returned {answer!r:.99}{when}")

    def _expect_safe(self, question: str, answer: Entry | None) -> None:
        out_of_reach = " when what keeps the entries was out of reach"
        expect(answer is not None, f"get({question!r}) raised NotFoundError{out_of_reach}")
        self._expect_right(question, answer, out_of_reach)

    def _changes(self, component: CacheT) -> Methods:
        return {
            "set()": lambda: component.set(Context(), "key", b"data"),
            "delete()": lambda: component.delete(Context(), "another key"),
        }

    def _elsewhere(self, component: CacheT) -> Methods:
        return {"set()": lambda: component.set(Context(), "a third key", b"data")}

    async def _call_with(self, *opts: AnyOption) -> Callable[[], Awaitable[None]]:
        cache = self._build()
        for _ in range(2):
            await cache.set(Context(), "key", b"data", *opts)

        async def use() -> None:
            await self._answer(cache, "key")
            await cache.delete(Context(), "key")

        return use

    async def _tell(self, component: CacheT, question: str, /, *opts: AnyOption) -> None:
        await component.set(current().ctx, question, question.encode(), *opts)
        await component.get(current().ctx, question)

    async def _set(self, cache: CacheT, key: str, data: Buffer, *opts: SetOption) -> None:
        await within(cache.set(Context(), key, data, *opts), f"set({key!r})")

    async def _expect(self, cache: CacheT, key: str, data: bytes, when: str = "") -> bool:
        """Break the clause if an entry is another; return whether there is one."""
        entry = await self._answer(cache, key)
        right = entry is None or (type(entry.data) is bytes and entry.data == data)
        expect(right, f"get({key!r:.99}) returned {entry!r:.99} instead of {data!r:.99}{when}")
        return entry is not None

    @clause('What was stored is found, as bytes, b"" and the key "" included.', "D75")
    async def found(self) -> None:
        for data in _DATA:
            cache, found = self._build(), 0
            for key in _KEYS:
                # What is not there yet is there later.
                await self._answer(cache, key)
                await self._set(cache, key, data)
                found += await self._expect(cache, key, data)
            # There may be no room for a large one, ever.
            none = not found and data is not _LARGE
            expect(not none, f"of {len(_KEYS)} entries {data!r:.20} none was found, after set()")

    @clause("get() raises NotFoundError for what is not there, and nothing else does.", "D75")
    async def missing_raises(self) -> None:
        for key in ("missing", ""):
            cache = self._build()
            for _ in range(2):
                await raises(cache.get(Context(), key), f"get({key!r})", NotFoundError)

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
        cache, found = self._build(), 0
        await within(cache.delete(Context(), "key"), "delete() of a missing key")
        await self._set(cache, "key 2", b"data 2")
        for ttl in (0.0, math.inf, _LONG):
            for data in (b"data", b"later data"):
                await self._set(cache, "key", data, with_ttl(ttl))
            found += await self._expect(cache, "key", b"later data")
            await within(cache.delete(Context(), "key"), "delete()")
            await raises(cache.get(Context(), "key"), "get() after delete()", NotFoundError)
        expect(found > 0, "what was stored after delete() was not found")
        await self._expect(cache, "key 2", b"data 2", " when another was deleted")

    @clause(
        "Any buffer is taken, and is the caller's again when set() has returned.",
        "D75",
        after=("found",),
    )
    async def buffer_returned(self) -> None:
        cache = self._build()
        # The second time, each replaces an entry.
        for _ in range(2):
            lent = await lend_several(
                lambda key, data: cache.set(Context(), f"{key}", data), "set()"
            )
            for key, data in enumerate(lent):
                await self._expect(cache, f"{key}", data, ", when its buffer had changed")

    @clause(
        "An entry lives for its ttl, in seconds: infinite is for ever, 0 the cache's own default.",
        "D75",
        after=("found",),
    )
    async def lives(self) -> None:
        cache = self._build()
        for ttl in (2 * _LONG, math.inf, 0.0, _DECADES, _LONG):
            before = time.time()
            await self._set(cache, "key", b"data", with_ttl(ttl))
            entry = await self._answer(cache, "key")
            after = time.time()
            if entry is None:
                continue
            late = entry.expiration
            expect(not _is_over(entry), f"with a ttl of {ttl:g} s, an entry had expired at once")
            if ttl == math.inf:
                expect(late == 0.0, f"with an infinite ttl, an entry expires at {late:g}")
            if _LONG <= ttl < math.inf:
                # A second of tolerance, for a cache that counts whole ones.
                right = before + ttl - 1 <= late <= after + ttl + 1
                expect(right, f"with a ttl of {ttl:g} s, an entry expires in {late - after:g} s")

    @clause(
        "An entry whose ttl is over has gone, or says that it has expired.",
        "D75",
        after=("lives",),
    )
    async def expires(self) -> None:
        cache, asked = self._build(), 0.0
        await self._set(cache, "key", b"data", with_ttl(_SHORT))
        # A second of tolerance, for a cache that counts whole ones.
        limit = time.time() + _SHORT + 1
        # Whoever asks does not make it live longer: even on a busy machine, asked within each ttl.
        while (entry := await self._answer(cache, "key")) and not _is_over(entry):
            expect(asked < limit, f"an entry with a ttl of {_SHORT} s lived for more than a second")
            await asyncio.sleep(0.2 * _SHORT)
            asked = time.time()
        await self._set(cache, "key", b"anew")
        entry = await self._answer(cache, "key")
        anew = entry is None or not _is_over(entry)
        expect(anew, "without a ttl of its own, a new entry had that of the one before")

    @clause(
        "After a cancelled set(), one of the two entries is found, whole, or none.",
        "D20, D75",
        after=("last_found", "lives"),
    )
    async def cancelled_whole(self) -> None:
        cache = self._build()
        for after in range(12):
            key, entries = f"key {after}", {b"A" * len(_LARGE): False, _LARGE: True}
            await self._set(cache, key, b"A" * len(_LARGE), with_ttl(math.inf))
            setting = start(cache.set(Context(), key, _LARGE, with_ttl(_LONG)))
            await turns(after)
            setting.cancel()
            await ended(setting)
            entry = await self._answer(cache, key)
            whole = entry is None or entries.get(entry.data) is bool(entry.expiration)
            expect(
                whole, f"set() was cancelled, and get({key!r}) returned a mixture: {entry!r:.99}"
            )

    @clause("Calls of several tasks at once do not mix.", "D22, D75", after=("keys_apart", "lives"))
    async def concurrent(self) -> None:
        cache, keys = self._build(), [f"key {number}" for number in range(20)]
        ttls = [with_ttl(_LONG) if number % 2 else with_ttl(math.inf) for number in range(20)]
        setting = zip(keys, ttls, strict=True)
        storing = (cache.set(Context(), key, key.encode(), ttl) for key, ttl in setting)
        await all_within(storing, "set(), 20 at once")
        found = await all_within((self._ask(cache, one) for one in keys), "get(), 20 at once")
        for number, (key, entry) in enumerate(zip(keys, found, strict=True)):
            if entry is not None:
                right = entry.data == key.encode() and bool(entry.expiration) is bool(number % 2)
                expect(right, f"beside other calls, get({key!r}) returned {entry!r}")

        async def renewed() -> Entry | None:
            await cache.set(Context(), "key 0", b"new")
            return await self._ask(cache, "key 0")

        # What a get() has read beside a set() is no answer to a later one, and replaces nothing.
        beside = [start(renewed())]
        for _ in range(4):
            beside.append(start(self._ask(cache, "key 0")))
            await turns(1)
        entry, *_ = await within(asyncio.gather(*beside), "get() beside set()")
        new = entry is None or entry.data == b"new"
        expect(new, f"after set(), beside an earlier get(), get() returned {entry!r}")
        await self._expect(cache, "key 0", b"new", ", stored while it was read")

    @clause(
        "Several calls of delete() at once remove what each was told.",
        "D22, D75",
        after=("delete_removes", "keys_apart"),
    )
    async def deletes_apart(self) -> None:
        cache, keys = self._build(), [f"key {number}" for number in range(9)]
        for key in keys:
            await self._set(cache, key, b"data")
        deleting = (cache.delete(Context(), key) for key in keys)
        await all_within(deleting, "delete(), 9 at once")
        for key in keys:
            await raises(cache.get(Context(), key), f"get({key!r}) after delete()", NotFoundError)

    @clause(
        "A cache that is out of reach raises OSError, and does not say that nothing is there.",
        "D75",
        after=("backend_broken",),
    )
    async def unreachable_raises(self) -> None:
        cache = await self._broken()
        for _ in range(2):
            await raises(cache.get(Context(), "missing"), "get() out of reach", OSError)


def _is_over(entry: Entry) -> bool:
    return 0.0 < entry.expiration <= time.time()
