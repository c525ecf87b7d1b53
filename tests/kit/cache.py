"""Trials of the contract of caches."""

import asyncio
import math
import time
import unicodedata
from collections.abc import Callable
from dataclasses import replace

from typing_extensions import Buffer

from gost_core.cache import Entry, NotFoundError, SetOption, SetOptions
from gost_core.context import Context
from gost_core.options import apply
from gost_core.testing import Contract
from gost_core.testing.cache import CacheContract
from tests.kit._backend import (
    AFewAtATime,
    Asking,
    Deaf,
    Exhausting,
    GivingUp,
    Leaking,
    LeavingTasks,
    OneAtATime,
    Watched,
    break_backend,
    mend_backend,
    remembering,
    stall_backend,
)
from tests.kit.trial import Trial

DEFAULT = 60.0


class RightCache(Asking):
    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}

    async def get(self, ctx: Context, key: str, /) -> Entry:
        await self.reach()
        if key not in self.entries:
            raise NotFoundError(f"nothing is under {key!r}")
        return self.entries[key]

    async def set(self, ctx: Context, key: str, data: Buffer, /, *opts: SetOption) -> None:
        ttl = apply(SetOptions(), *opts).ttl
        entry = Entry(data=bytes(data), expiration=self.expiration(ttl))
        await self.reach()
        self.entries[key] = entry

    def expiration(self, ttl: float) -> float:
        return 0.0 if ttl == math.inf else time.time() + (ttl or DEFAULT)

    async def delete(self, ctx: Context, key: str, /) -> None:
        await self.reach()
        self.entries.pop(key, None)

    async def reach(self) -> None:
        await self.ask()
        if not self.reachable:
            raise ConnectionRefusedError("the cache is out of reach")


def run(make: Callable[[], RightCache]) -> Contract:
    return CacheContract(
        make,
        break_backend=break_backend,
        mend_backend=mend_backend,
        stall_backend=stall_backend,
        time_limit=2.0,
    )


trial = Trial[Callable[[], RightCache]](CacheContract, run, RightCache)


@trial.breaks("shape")
class SyncDelete(RightCache):
    def delete(self, ctx: Context, key: str, /) -> None:  # type: ignore  # the fault
        self.entries.pop(key, None)


@trial.breaks("found")
class KeepingNothing(RightCache):
    async def set(self, ctx: Context, key: str, data: Buffer, /, *opts: SetOption) -> None:
        await self.reach()


@trial.breaks("found")
class NothingForEmpty(RightCache):
    async def get(self, ctx: Context, key: str, /) -> Entry:
        entry = await super().get(ctx, key)
        return entry if entry.data else replace(entry, data=b"None")


@trial.breaks("missing-raises")
class EmptyForMissing(RightCache):
    async def get(self, ctx: Context, key: str, /) -> Entry:
        await self.reach()
        if key == "missing":
            return Entry()
        return await super().get(ctx, key)


@trial.breaks("missing-raises")
class KeyErrorForMissing(RightCache):
    async def get(self, ctx: Context, key: str, /) -> Entry:
        await self.reach()
        return self.entries[key] if key == "missing" else await super().get(ctx, key)


@trial.breaks("last-found")
class KeepingTheFirst(RightCache):
    async def set(self, ctx: Context, key: str, data: Buffer, /, *opts: SetOption) -> None:
        before = self.entries.get(key)
        await super().set(ctx, key, data, *opts)
        if before is not None and before.data == b"data 0":
            self.entries[key] = before


@trial.breaks("keys-apart")
class StrippingKeys(RightCache):
    async def set(self, ctx: Context, key: str, data: Buffer, /, *opts: SetOption) -> None:
        await super().set(ctx, key.strip(), data, *opts)

    async def get(self, ctx: Context, key: str, /) -> Entry:
        return await super().get(ctx, key.strip())

    async def delete(self, ctx: Context, key: str, /) -> None:
        await super().delete(ctx, key.strip())


@trial.breaks("delete-removes")
class DeletingWhatIsThere(RightCache):
    async def delete(self, ctx: Context, key: str, /) -> None:
        await self.reach()
        if key == "key":
            del self.entries[key]


@trial.breaks("delete-removes")
class DeletingWhatBeginsSo(RightCache):
    async def delete(self, ctx: Context, key: str, /) -> None:
        entry = self.entries.get(key)
        await super().delete(ctx, key)
        if entry is not None:
            self.entries[key] = replace(entry, expiration=1.0)


@trial.breaks("buffer-returned")
class KeepingTheBuffer(RightCache):
    buffers: dict[str, memoryview]

    def __init__(self) -> None:
        super().__init__()
        self.buffers = {}

    async def set(self, ctx: Context, key: str, data: Buffer, /, *opts: SetOption) -> None:
        await super().set(ctx, key, data, *opts)
        self.buffers[key] = memoryview(data)

    async def get(self, ctx: Context, key: str, /) -> Entry:
        return replace(await super().get(ctx, key), data=bytes(self.buffers[key]))


@trial.breaks("lives")
class Milliseconds(RightCache):
    def expiration(self, ttl: float) -> float:
        return super().expiration(ttl / 1000 if ttl > 1 else ttl)


@trial.breaks("lives")
class NeverIsAtOnce(RightCache):
    def expiration(self, ttl: float) -> float:
        return 1.0 if ttl == math.inf else super().expiration(ttl)


@trial.breaks("expires")
class LivingAfterEachUse(RightCache):
    """Has what is used live on for its ttl."""

    def __init__(self) -> None:
        super().__init__()
        self.ttls: dict[str, float] = {}

    async def set(self, ctx: Context, key: str, data: Buffer, /, *opts: SetOption) -> None:
        await super().set(ctx, key, data, *opts)
        self.ttls[key] = self.entries[key].ttl()

    async def get(self, ctx: Context, key: str, /) -> Entry:
        found = await super().get(ctx, key)
        if found.expiration and not found.expired():
            later = time.time() + self.ttls[key]
            self.entries[key] = replace(found, expiration=later)
        return found


@trial.breaks("expires")
class LivingForEver(RightCache):
    def expiration(self, ttl: float) -> float:
        return 0.0 if ttl and ttl < 1 else super().expiration(ttl)


@trial.breaks("expires")
class KeepingTheTtl(RightCache):
    async def set(self, ctx: Context, key: str, data: Buffer, /, *opts: SetOption) -> None:
        before = self.entries.get(key)
        await super().set(ctx, key, data, *opts)
        if before is not None and 0.0 < before.expiration <= time.time():
            self.entries[key] = replace(self.entries[key], expiration=before.expiration)


@trial.breaks("concurrent")
class RememberingTheTtl(RightCache):
    ttl = 0.0

    async def set(self, ctx: Context, key: str, data: Buffer, /, *opts: SetOption) -> None:
        self.ttl = apply(SetOptions(), *opts).ttl
        await asyncio.sleep(0)
        await super().set(ctx, key, data, lambda options: setattr(options, "ttl", self.ttl))


@trial.breaks("options")
class ApplyingBackwards(RightCache):
    async def set(self, ctx: Context, key: str, data: Buffer, /, *opts: SetOption) -> None:
        await super().set(ctx, key, data, *reversed(opts))


@trial.breaks("backend-broken")
class NotFoundWhenUnreachable(RightCache):
    async def get(self, ctx: Context, key: str, /) -> Entry:
        if not self.reachable:
            raise NotFoundError("the cache is out of reach")
        return await super().get(ctx, key)


@trial.breaks("unreachable-raises")
class KnowingWhatItStored(RightCache):
    async def get(self, ctx: Context, key: str, /) -> Entry:
        if not self.reachable and key not in self.entries:
            raise NotFoundError("it was not stored here")
        return await super().get(ctx, key)


@trial.breaks("change-raises")
class LosingWhatItCannotStore(RightCache):
    async def set(self, ctx: Context, key: str, data: Buffer, /, *opts: SetOption) -> None:
        if self.reachable:
            await super().set(ctx, key, data, *opts)


@trial.breaks("change-raises")
class LosingAPlaceWithEachFailedSet(RightCache):
    def __init__(self) -> None:
        super().__init__()
        self.places = asyncio.Semaphore(10)

    async def set(self, ctx: Context, key: str, data: Buffer, /, *opts: SetOption) -> None:
        if not self.reachable:
            await self.places.acquire()
        await super().set(ctx, key, data, *opts)


@trial.breaks("keys-apart")
class CuttingKeys(RightCache):
    async def get(self, ctx: Context, key: str, /) -> Entry:
        return await super().get(ctx, key[:64])

    async def set(self, ctx: Context, key: str, data: Buffer, /, *opts: SetOption) -> None:
        await super().set(ctx, key[:64], data, *opts)


@trial.breaks("cancelled")
class DeafCache(Deaf, RightCache): ...


@trial.breaks("next-after-cancelled")
class LeakingCache(Leaking, RightCache): ...


@trial.breaks("no-task-left")
class CacheLeavingTasks(LeavingTasks, RightCache): ...


@trial.breaks("tasks-ended")
class WatchedCache(Watched, RightCache): ...


@trial.breaks("backend-mended")
class CacheGivingUp(GivingUp, RightCache): ...


@trial.breaks("next-after-cancelled")
class AskingOnceForAll(RightCache):
    """Who asks for the same key waits for the same task, and cancels it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: dict[str, asyncio.Future[Entry]] = {}

    async def get(self, ctx: Context, key: str, /) -> Entry:
        if key not in self.asked:
            self.asked[key] = asyncio.ensure_future(super().get(ctx, key))
            self.asked[key].add_done_callback(lambda _: self.asked.pop(key))
        return await self.asked[key]


@trial.breaks("next-after-failures")
class CacheExhausting(Exhausting, RightCache): ...


@trial.breaks("others-go-on")
class CacheOneAtATime(OneAtATime, RightCache): ...


@trial.breaks("many-waiting")
class CacheAFewAtATime(AFewAtATime, RightCache): ...


@trial.breaks("changes-go-on")
class StoringOneAtATime(RightCache):
    def __init__(self) -> None:
        super().__init__()
        self.lock = asyncio.Lock()

    async def set(self, ctx: Context, key: str, data: Buffer, /, *opts: SetOption) -> None:
        async with self.lock:
            await super().set(ctx, key, data, *opts)


@trial.breaks("change-hinders-none")
class OneWriter(RightCache):
    """Nobody reads while one stores."""

    def __init__(self) -> None:
        super().__init__()
        self.writing = asyncio.Lock()

    async def set(self, ctx: Context, key: str, data: Buffer, /, *opts: SetOption) -> None:
        async with self.writing:
            await super().set(ctx, key, data, *opts)

    async def get(self, ctx: Context, key: str, /) -> Entry:
        async with self.writing:
            pass
        return await super().get(ctx, key)


@trial.breaks("found")
class KeepingText(RightCache):
    async def set(self, ctx: Context, key: str, data: Buffer, /, *opts: SetOption) -> None:
        text = bytes(data).decode(errors="replace")
        await super().set(ctx, key, text.encode(), *opts)


@trial.breaks("found")
class EmptyIsMissing(RightCache):
    async def get(self, ctx: Context, key: str, /) -> Entry:
        entry = await super().get(ctx, key)
        if not entry.data:
            raise NotFoundError(f"nothing is under {key!r}")
        return entry


@trial.breaks("delete-removes")
class EmptyingWhatNeverExpires(RightCache):
    async def delete(self, ctx: Context, key: str, /) -> None:
        await self.reach()
        entry = self.entries.pop(key, None)
        if entry is not None and not entry.expiration:
            self.entries[key] = Entry()


@trial.breaks("lives")
class OnlyLater(RightCache):
    """What is stored again lives at least as long as before."""

    async def set(self, ctx: Context, key: str, data: Buffer, /, *opts: SetOption) -> None:
        before = self.entries.get(key, Entry()).expiration
        await super().set(ctx, key, data, *opts)
        entry = self.entries[key]
        if entry.expiration and before > entry.expiration:
            self.entries[key] = replace(entry, expiration=before)


@trial.breaks("concurrent")
class JoiningAnEarlierLook(RightCache):
    """Calls at once share what the first of them saw, also if it was replaced since."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, Entry] = {}

    async def get(self, ctx: Context, key: str, /) -> Entry:
        if key in self.seen:
            entry = self.seen[key]
            await self.reach()
            return entry
        if key in self.entries:
            self.seen[key] = self.entries[key]
        try:
            return await super().get(ctx, key)
        finally:
            self.seen.pop(key, None)


@trial.breaks("concurrent")
class PuttingBackWhatItRead(RightCache):
    async def get(self, ctx: Context, key: str, /) -> Entry:
        before = self.entries.get(key)
        entry = await super().get(ctx, key)
        self.entries[key] = before or entry
        return entry


@trial.breaks("cancelled-whole")
class StoringInParts(RightCache):
    """Stores the data, and then when they expire."""

    async def set(self, ctx: Context, key: str, data: Buffer, /, *opts: SetOption) -> None:
        before = self.entries.get(key, Entry())
        self.entries[key] = replace(before, data=bytes(data))
        await super().set(ctx, key, data, *opts)


@trial.breaks("buffer-returned")
class CopyingTheFirst(KeepingTheBuffer):
    async def set(self, ctx: Context, key: str, data: Buffer, /, *opts: SetOption) -> None:
        await super().set(ctx, key, data if key in self.entries else bytes(data), *opts)


@trial.breaks("lives")
class ManyDaysAreAMoment(RightCache):
    """Takes a long ttl for the moment at which the entry expires."""

    def expiration(self, ttl: float) -> float:
        return ttl if 30 * 86400 < ttl < math.inf else super().expiration(ttl)


@trial.breaks("deletes-apart")
class RememberingTheKeyToDelete(RightCache):
    key = ""

    async def delete(self, ctx: Context, key: str, /) -> None:
        self.key = key
        await self.reach()
        self.entries.pop(self.key, None)


trial.breaks("nothing-kept")(remembering(RightCache, "set"))
trial.breaks("nothing-kept")(remembering(RightCache, "get"))


trials = (trial,)


class NormalizingKeys(RightCache):
    """Has another form of each key."""

    def key(self, key: str) -> str:
        return unicodedata.normalize("NFC", key)

    async def set(self, ctx: Context, key: str, data: Buffer, /, *opts: SetOption) -> None:
        await super().set(ctx, self.key(key), data, *opts)

    async def get(self, ctx: Context, key: str, /) -> Entry:
        return await super().get(ctx, self.key(key))

    async def delete(self, ctx: Context, key: str, /) -> None:
        await super().delete(ctx, self.key(key))


trial.breaks("keys-apart")(NormalizingKeys)


@trial.breaks("keys-apart")
class NamesOfFiles(NormalizingKeys):
    """Has a file for each key."""

    def key(self, key: str) -> str:
        return key.replace("/", "_")
