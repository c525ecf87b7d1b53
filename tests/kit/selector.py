"""Trials of the contracts of selectors, strategies and filters, and of markers."""

import asyncio
import math
import random
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Final

from gost_core.context import Context
from gost_core.keys import HASH_SOURCE
from gost_core.metadata import Metadata
from gost_core.selector import FailMarker, Filter, Markable, Marker, Selector, Strategy
from gost_core.testing import Contract
from gost_core.testing.selector import (
    FilterContract,
    MarkableContract,
    MarkerContract,
    SelectorContract,
    StrategyContract,
)
from tests.kit._backend import Asking, Deaf, Leaking
from tests.kit.trial import Trial

# ---- Marker


class RightMarker:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.last = 0.0
        self.failures = 0
        self.ahead = 0.0

    def now(self) -> float:
        return time.time() + self.ahead

    def time(self) -> float:
        return self.last

    def count(self) -> int:
        return self.failures

    def mark(self) -> None:
        with self.lock:
            self.last = self.now()
            self.failures += 1

    def reset(self) -> None:
        with self.lock:
            self.failures = 0


async def elapse(marker: RightMarker, seconds: float) -> None:
    marker.ahead += seconds


def run_marker(make: Callable[[], RightMarker]) -> Contract:
    return MarkerContract(make, elapse=elapse, time_limit=2.0)


marker_trial = Trial[Callable[[], RightMarker]](MarkerContract, run_marker, RightMarker)


@marker_trial.breaks("shape")
class PropertyMarker(RightMarker):
    @property
    def count(self) -> int:  # type: ignore  # the fault
        return self.failures


@marker_trial.breaks("never-failed", history="core marker: never was the zero time or the epoch")
class BornFailed(RightMarker):
    def __init__(self) -> None:
        super().__init__()
        self.last = -62135596800.0


@marker_trial.breaks("mark-counts")
class CountingOnce(RightMarker):
    def count(self) -> int:
        return min(self.failures, 1)


@marker_trial.breaks("mark-stamps")
class MonotonicMarker(RightMarker):
    def mark(self) -> None:
        super().mark()
        self.last = time.monotonic()


@marker_trial.breaks("time-of-last", history="core marker: whole seconds only")
class WholeSeconds(RightMarker):
    def time(self) -> float:
        return float(int(self.last))


@marker_trial.breaks("time-of-last")
class FirstFailure(RightMarker):
    def mark(self) -> None:
        before = self.last
        super().mark()
        self.last = before or self.last


@marker_trial.breaks("reset-clears")
class ResettingNothing(RightMarker):
    def reset(self) -> None:
        pass


@marker_trial.breaks("reset-keeps-time")
class ForgettingTheTime(RightMarker):
    def reset(self) -> None:
        super().reset()
        self.last = 0.0


@marker_trial.breaks("threads")
class WithoutLock(RightMarker):
    def mark(self) -> None:
        self.last = time.time()
        self.failures += 1


@marker_trial.breaks("threads-reset")
class ResettingWithoutLock(RightMarker):
    def mark(self) -> None:
        with self.lock:
            failures = self.failures
            self.last = self.now()
            self.failures = failures + 1

    def reset(self) -> None:
        self.failures = 0


@marker_trial.breaks("does-not-fade")
class Fading(RightMarker):
    def count(self) -> int:
        return self.failures if self.now() - self.last < 10.0 else 0


@marker_trial.breaks("does-not-fade")
class FadingTime(RightMarker):
    def time(self) -> float:
        return self.last if self.now() - self.last < 3600.0 else 0.0


# ---- Markable


class RightMarkable:
    def __init__(self) -> None:
        self.failures = FailMarker()

    def marker(self) -> Marker | None:
        return self.failures


def run_markable(make: Callable[[], Markable]) -> Contract:
    return MarkableContract(make, time_limit=2.0)


markable_trial = Trial[Callable[[], Markable]](MarkableContract, run_markable, RightMarkable)


@markable_trial.breaks("shape", history="ce60160 a wrapper lost the marker of its chain")
class HidingTheMarker:
    pass


@markable_trial.breaks("marker")
class GivingItself(RightMarkable):
    def marker(self) -> Marker | None:
        return self  # type: ignore  # the fault


class NotedMarker(RightMarker):
    """Tells what it was when it was last asked for."""

    noted = 0

    def count(self) -> int:
        return self.noted


@markable_trial.breaks("own-marker")
class ShowingANote(RightMarkable):
    def __init__(self) -> None:
        self.noted = NotedMarker()

    def marker(self) -> Marker | None:
        self.noted.noted = self.noted.failures
        return self.noted


@markable_trial.breaks("own-marker")
class WithOneMarkerForAll(RightMarkable):
    failures = FailMarker()

    def __init__(self) -> None:
        self.failures.reset()


@markable_trial.breaks("same-each-time")
class MakingMarkers(RightMarkable):
    def marker(self) -> Marker | None:
        return FailMarker()


@markable_trial.breaks("same-each-time")
class AfreshAfterASuccess(RightMarkable):
    def marker(self) -> Marker | None:
        if self.failures.time() and not self.failures.count():
            self.failures = FailMarker()
        return self.failures


@markable_trial.breaks("same-each-time")
class HoldingWeakly(RightMarkable):
    """Has a marker as long as somebody uses it."""

    def __init__(self) -> None:
        self.found: Callable[[], FailMarker | None] = lambda: None

    def marker(self) -> Marker | None:
        found = self.found() or FailMarker()
        self.found = weakref.ref(found)
        return found


# ---- Selector, Strategy, Filter


TYPES: Final[dict[str, tuple[type[float], ...]]] = {
    "backup": (bool,),
    "failTimeout": (int, float),
    "maxFails": (int,),
    "weight": (int,),
}


class Item:
    """Something to choose: what a selector sees of a node."""

    def __init__(self, metadata: Metadata | None = None) -> None:
        self.settings = metadata
        self.failures = FailMarker()

    def metadata(self) -> Metadata | None:
        return self.settings

    def marker(self) -> Marker:
        return self.failures

    def setting(self, key: str) -> float:
        value = None if self.settings is None else self.settings.get(key)
        if value is None:
            return 0
        if not isinstance(value, TYPES[key]) or isinstance(value, bool) is not (key == "backup"):
            raise ValueError(f"{key} is {value!r}")
        if not math.isfinite(value):
            raise ValueError(f"{key} is {value}")
        return value


class RightStrategy(Asking):
    """Chooses by chance, according to weight."""

    async def apply(self, ctx: Context, /, *items: Item) -> Item | None:
        await self.ask()
        return random.choices(items, list(map(self.weight, items)))[0] if items else None

    def weight(self, item: Item) -> float:
        weight = item.setting("weight")
        return weight if weight > 0 else 1


class RightFilter(Asking):
    """Takes out what has failed, then backups while others are left."""

    async def filter(self, ctx: Context, /, *items: Item) -> Sequence[Item]:
        await self.ask()
        for item in items:
            self.read(item)
        living = [item for item in items if not self.has_failed(item)]
        return [item for item in living if not item.setting("backup")] or living

    def read(self, item: Item) -> None:
        """Refuse what cannot be read, whatever else decides."""
        for key in ("backup", "maxFails", "failTimeout"):
            item.setting(key)

    def has_failed(self, item: Item) -> bool:
        age = time.time() - item.marker().time()
        return item.marker().count() >= self.max_fails(item) and age < self.fail_timeout(item)

    def max_fails(self, item: Item) -> float:
        value = item.setting("maxFails")
        return value if value > 0 else 1

    def fail_timeout(self, item: Item) -> float:
        value = item.setting("failTimeout")
        return value if value > 0 else 10.0


class RightSelector(RightFilter, RightStrategy):
    async def select(self, ctx: Context, /, *items: Item) -> Item | None:
        eligible = await self.filter(ctx, *items)
        return await self.apply(ctx, *eligible or items[:1])


def run_selector(make: Callable[[], Selector[Item]]) -> Contract:
    return SelectorContract(make, item=Item, item_with=Item, time_limit=2.0)


def run_strategy(make: Callable[[], Strategy[Item]]) -> Contract:
    return StrategyContract(make, item=Item, item_with=Item, honours=("weight",), time_limit=2.0)


def run_filter(make: Callable[[], Filter[Item]]) -> Contract:
    return FilterContract(
        make,
        item=Item,
        item_with=Item,
        honours=("backup", "maxFails", "failTimeout"),
        time_limit=2.0,
    )


selector_trial = Trial[Callable[[], Selector[Item]]](SelectorContract, run_selector, RightSelector)
strategy_trial = Trial[Callable[[], Strategy[Item]]](StrategyContract, run_strategy, RightStrategy)
filter_trial = Trial[Callable[[], Filter[Item]]](FilterContract, run_filter, RightFilter)


@selector_trial.breaks("shape")
class TakingAList(RightSelector):
    async def select(self, ctx: Context, items: Sequence[Item], /) -> Item | None:  # type: ignore  # the fault
        return await super().select(ctx, *items)


@selector_trial.breaks("no-items")
class NeedingItems(RightSelector):
    async def select(self, ctx: Context, /, *items: Item) -> Item | None:
        return await super().select(ctx, *items) or items[0]


@selector_trial.breaks(
    "chosen", history="x parallel strategy: nothing, of several others than nodes"
)
class OneOnly(RightSelector):
    async def select(self, ctx: Context, /, *items: Item) -> Item | None:
        return await super().select(ctx, *items) if len(items) == 1 else None


@selector_trial.breaks("chosen", history="b991baa a value that is absent from the context crashed")
class NeedingTheHash(RightSelector):
    async def select(self, ctx: Context, /, *items: Item) -> Item | None:
        source = ctx.value(HASH_SOURCE)
        return items[len(source) % len(items)] if items else None  # type: ignore  # the fault


@selector_trial.breaks("items-unchanged")
class CountingIntoMetadata(RightSelector):
    async def apply(self, ctx: Context, /, *items: Item) -> Item | None:
        chosen = await super().apply(ctx, *items)
        if chosen is not None and chosen.settings is not None:
            chosen.settings.set("chosen", True)
        return chosen


@selector_trial.breaks("items-not-kept")
class RememberingTheLast(RightSelector):
    async def select(self, ctx: Context, /, *items: Item) -> Item | None:
        self.last = items
        return await super().select(ctx, *items)


@selector_trial.breaks("items-not-kept")
class RememberingTheContext(RightSelector):
    async def select(self, ctx: Context, /, *items: Item) -> Item | None:
        self.ctx = ctx
        return await super().select(ctx, *items)


@selector_trial.breaks("concurrent")
class ChoosingForOthers(RightSelector):
    items: tuple[Item, ...] = ()

    async def select(self, ctx: Context, /, *items: Item) -> Item | None:
        self.items = items
        await asyncio.sleep(0)
        chosen = await super().select(ctx, *self.items)
        self.items = ()
        return chosen


@selector_trial.breaks("weight")
class Unweighted(RightSelector):
    def weight(self, item: Item) -> float:
        return super().weight(item) ** 0


@selector_trial.breaks("weight")
class WeightsOfOthers(RightSelector):
    """Has weights by position, also when items have been left out."""

    async def select(self, ctx: Context, /, *items: Item) -> Item | None:
        eligible = await self.filter(ctx, *items) or items[:1]
        weights = list(map(self.weight, items[: len(eligible)]))
        return random.choices(eligible, weights)[0] if items else None


@selector_trial.breaks("weight")
class UnweightedBackups(RightSelector):
    def weight(self, item: Item) -> float:
        return 1 if item.setting("backup") else super().weight(item)


@selector_trial.breaks("weight")
class ReservingForTheCancelled(RightSelector):
    def __init__(self) -> None:
        self.reserved: list[Item] = []

    async def select(self, ctx: Context, /, *items: Item) -> Item | None:
        eligible = await self.filter(ctx, *items) or items[:1]
        free = [item for item in eligible if item not in self.reserved]
        if (chosen := await self.apply(ctx, *free or eligible)) is not None:
            self.reserved.append(chosen)
            await self.ask()
            self.reserved.remove(chosen)
        return chosen


@selector_trial.breaks("items-unchanged")
class ResettingInTime(RightSelector):
    def has_failed(self, item: Item) -> bool:
        failed = super().has_failed(item)
        if not failed and item.marker().count() >= self.max_fails(item):
            item.marker().reset()
        return failed


@selector_trial.breaks("weight-default")
class NeverOfWeightZero(RightSelector):
    def weight(self, item: Item) -> float:
        value = None if item.settings is None else item.settings.get("weight")
        return 1 if value is None else max(item.setting("weight"), 1e-9)


@selector_trial.breaks("failed-avoided", history="64ea518 a failed node was chosen all the same")
class TakingTheFailed(RightSelector):
    def has_failed(self, item: Item) -> bool:
        return False


@selector_trial.breaks("max-fails")
class FailedAtOnce(RightSelector):
    def max_fails(self, item: Item) -> float:
        return 1


@selector_trial.breaks("max-fails-default")
class NeverFailedByDefault(RightSelector):
    def max_fails(self, item: Item) -> float:
        value = None if item.settings is None else item.settings.get("maxFails")
        return (
            1e9 if value is not None and item.setting("maxFails") <= 0 else super().max_fails(item)
        )


@selector_trial.breaks("fail-timeout")
class FailedForEver(RightSelector):
    def fail_timeout(self, item: Item) -> float:
        return 1e9


@selector_trial.breaks("fail-timeout-fixed")
class BackingOff(RightSelector):
    def fail_timeout(self, item: Item) -> float:
        return super().fail_timeout(item) * max(1, item.marker().count())


@selector_trial.breaks("fail-timeout-default")
class ForgivenAtOnce(RightSelector):
    def fail_timeout(self, item: Item) -> float:
        return item.setting("failTimeout")


@selector_trial.breaks("reset-restores")
class GoingByTheTime(RightSelector):
    def has_failed(self, item: Item) -> bool:
        if item.setting("maxFails") > 1:
            return super().has_failed(item)
        return time.time() - item.marker().time() < self.fail_timeout(item)


@selector_trial.breaks("backup-waits")
class BackupsLikeOthers(RightSelector):
    async def filter(self, ctx: Context, /, *items: Item) -> Sequence[Item]:
        await super().filter(ctx, *items)
        return [item for item in items if not self.has_failed(item)]


@selector_trial.breaks("backup-waits")
class BackupByName(RightSelector):
    """Takes what says anything of backups for one."""

    async def filter(self, ctx: Context, /, *items: Item) -> Sequence[Item]:
        living = [item for item in items if not self.has_failed(item)]
        await super().filter(ctx, *items)
        main = [
            item for item in living if not (item.settings and item.settings.is_exists("backup"))
        ]
        return main or living


@selector_trial.breaks("backup-serves")
class BackupsAtTheFirstFailure(RightSelector):
    async def filter(self, ctx: Context, /, *items: Item) -> Sequence[Item]:
        found = await super().filter(ctx, *items)
        living = [item for item in items if not self.has_failed(item)]
        return living if len(living) < len(items) else found


@selector_trial.breaks("backup-serves")
class BackupsDoNotFail(RightSelector):
    def has_failed(self, item: Item) -> bool:
        return super().has_failed(item) and not item.setting("backup")


@selector_trial.breaks("chosen-anew")
class FaithfulToWhatFailed(RightSelector):
    """Has each client stay with its item, whatever becomes of it."""

    def __init__(self) -> None:
        self.kept: dict[str, weakref.ref[Item]] = {}

    async def select(self, ctx: Context, /, *items: Item) -> Item | None:
        source = ctx.value(HASH_SOURCE)
        kept = self.kept[source]() if source in self.kept else None
        if kept in items:
            return kept
        chosen = await super().select(ctx, *items)
        if source is not None and chosen is not None:
            self.kept[source] = weakref.ref(chosen)
        return chosen


@selector_trial.breaks("chosen-anew")
class FailingForASecond(RightSelector):
    """Keeps what it found out for a second."""

    def __init__(self) -> None:
        self.judged: dict[int, tuple[float, bool]] = {}

    def has_failed(self, item: Item) -> bool:
        now = time.monotonic()
        since, failed = self.judged.get(id(item), (now, super().has_failed(item)))
        self.judged[id(item)] = since, failed
        return failed if now - since < 1 else super().has_failed(item)


@selector_trial.breaks("chosen-anew")
class KeepingWhatLived(RightSelector):
    """Keeps for a second which of the last items were left."""

    of: tuple[int, ...] = ()
    left: Sequence[int] = ()
    until = 0.0

    async def filter(self, ctx: Context, /, *items: Item) -> Sequence[Item]:
        if self.of != tuple(map(id, items)) or time.time() > self.until:
            left = await super().filter(ctx, *items)
            self.of, self.until = tuple(map(id, items)), time.time() + 1.0
            self.left = [*map(id, left)]
        return [item for item in items if id(item) in self.left]


@selector_trial.breaks("backup-serves")
class WithoutBackups(RightSelector):
    async def filter(self, ctx: Context, /, *items: Item) -> Sequence[Item]:
        found = await super().filter(ctx, *items)
        return [item for item in found if not item.setting("backup")]


@strategy_trial.breaks("concurrent")
class WeighingForOthers(RightStrategy):
    weights: Sequence[float] = ()

    async def apply(self, ctx: Context, /, *items: Item) -> Item | None:
        self.weights = [self.weight(item) for item in items]
        await self.ask()
        return random.choices(items, self.weights)[0] if items else None


@strategy_trial.breaks("weight")
class PreferringByPosition(RightStrategy):
    """Has the place of the heaviest of the call that came last."""

    place = 0

    async def apply(self, ctx: Context, /, *items: Item) -> Item | None:
        weights = [self.weight(item) for item in items]
        self.place = weights.index(max(weights)) if len(set(weights)) > 1 else -1
        await self.ask()
        return (
            items[self.place]
            if self.place in range(len(items))
            else await super().apply(ctx, *items)
        )


@selector_trial.breaks("next-after-failures")
class ChoosingNothingAfterFailures(RightSelector):
    """Chooses nothing any more when twenty choices have failed."""

    failures = 0

    async def select(self, ctx: Context, /, *items: Item) -> Item | None:
        try:
            chosen = await super().select(ctx, *items)
        except ValueError:
            self.failures += 1
            raise
        return chosen if self.failures < 20 else None


@strategy_trial.breaks("next-after-failures")
class KeepingPlaces(RightStrategy):
    """Has eight places to weigh in, and loses one with each weight that it cannot read."""

    def __init__(self) -> None:
        self.places = asyncio.Semaphore(8)

    async def apply(self, ctx: Context, /, *items: Item) -> Item | None:
        await self.ask()
        await self.places.acquire()
        weights = [self.weight(item) for item in items]
        self.places.release()
        return random.choices(items, weights)[0] if items else None


@strategy_trial.breaks("wrong-type-refused")
class WeighingDigits(RightStrategy):
    """Takes a text of digits for a number."""

    def weight(self, item: Item) -> float:
        value = None if item.settings is None else item.settings.get("weight")
        return (
            int(value) or 1 if isinstance(value, str) and value.isdigit() else super().weight(item)
        )


@strategy_trial.breaks("wrong-type-refused")
class WeighingInTasks(RightStrategy):
    async def apply(self, ctx: Context, /, *items: Item) -> Item | None:
        weights = await asyncio.gather(*map(self.weigh, range(len(items)), items))
        return random.choices(items, weights)[0] if items else None

    async def weigh(self, number: int, item: Item) -> float:
        for _ in range(number):
            await self.ask()
        return self.weight(item)


@strategy_trial.breaks("shape")
class SyncStrategy(RightStrategy):
    def apply(self, ctx: Context, /, *items: Item) -> Item | None:  # type: ignore  # the fault
        return items[0] if items else None


@strategy_trial.breaks("no-items")
class FailingForNothing(RightStrategy):
    async def apply(self, ctx: Context, /, *items: Item) -> Item | None:
        return await super().apply(ctx, *items) or random.choice(items)


@strategy_trial.breaks(
    "chosen", history="x parallel strategy: nothing, of several others than nodes"
)
class NothingOfSeveral(RightStrategy):
    async def apply(self, ctx: Context, /, *items: Item) -> Item | None:
        return await super().apply(ctx, *items) if len(items) == 1 else None


@strategy_trial.breaks("items-unchanged")
class MarkingTheChosen(RightStrategy):
    async def apply(self, ctx: Context, /, *items: Item) -> Item | None:
        chosen = await super().apply(ctx, *items)
        if chosen is not None:
            chosen.marker().mark()
        return chosen


@strategy_trial.breaks("items-not-kept")
class RememberingTheChosen(RightStrategy):
    chosen: Item | None = None

    async def apply(self, ctx: Context, /, *items: Item) -> Item | None:
        self.chosen = await super().apply(ctx, *items)
        return self.chosen


@strategy_trial.breaks("concurrent")
class RememberingTheItems(RightStrategy):
    items: tuple[Item, ...] = ()

    async def apply(self, ctx: Context, /, *items: Item) -> Item | None:
        self.items = items
        await asyncio.sleep(0)
        chosen = await super().apply(ctx, *self.items)
        self.items = ()
        return chosen


@strategy_trial.breaks("weight")
class InTurn(RightStrategy):
    turn = 0

    async def apply(self, ctx: Context, /, *items: Item) -> Item | None:
        self.turn += 1
        await super().apply(ctx, *items)
        return items[self.turn % len(items)] if items else None


@strategy_trial.breaks("weight")
class NeverTheLast(RightStrategy):
    async def apply(self, ctx: Context, /, *items: Item) -> Item | None:
        return await super().apply(ctx, *(items[:-1] if len(items) > 2 else items))


@strategy_trial.breaks("weight")
class WithoutWeightAsTheGreatest(RightStrategy):
    def weight(self, item: Item) -> float:
        return super().weight(item) if item.settings else 10_000


@strategy_trial.breaks("next-after-cancelled")
class AnsweringTheCancelled(RightStrategy):
    """Answers calls that were cancelled, once there are many."""

    def __init__(self) -> None:
        self.cancelled: list[tuple[Item, ...]] = []

    async def apply(self, ctx: Context, /, *items: Item) -> Item | None:
        try:
            await self.ask()
        except asyncio.CancelledError:
            self.cancelled.append(items)
            raise
        return await super().apply(ctx, *(self.cancelled[-1] if self.cancelled[5:] else items))


@strategy_trial.breaks("weight-default")
class StayingWhenAllHadTheirTurn(RightStrategy):
    def __init__(self) -> None:
        self.turn = -1

    async def apply(self, ctx: Context, /, *items: Item) -> Item | None:
        chosen = await super().apply(ctx, *items)
        if len(items) != 2 or {self.weight(item) for item in items} != {1}:
            return chosen
        self.turn += 1
        return items[self.turn] if self.turn < 2 else items[0]


@strategy_trial.breaks("weight-default")
class NegativeWeights(RightStrategy):
    def weight(self, item: Item) -> float:
        return super().weight(item) if item.setting("weight") >= 0 else 1e-9


@filter_trial.breaks("shape")
class SyncFilter(RightFilter):
    def filter(self, ctx: Context, /, *items: Item) -> Sequence[Item]:  # type: ignore  # the fault
        return items


@filter_trial.breaks("no-items")
class NoneForNone(RightFilter):
    async def filter(self, ctx: Context, /, *items: Item) -> Sequence[Item]:
        return await super().filter(ctx, *items) if items else None  # type: ignore  # the fault


@filter_trial.breaks("in-order")
class Shuffling(RightFilter):
    async def filter(self, ctx: Context, /, *items: Item) -> Sequence[Item]:
        return (await super().filter(ctx, *items))[::-1]


@filter_trial.breaks("in-order")
class Repeating(RightFilter):
    async def filter(self, ctx: Context, /, *items: Item) -> Sequence[Item]:
        return [item for item in await super().filter(ctx, *items) for _ in range(2)]


@filter_trial.breaks("chosen")
class LettingNothingPass(RightFilter):
    async def filter(self, ctx: Context, /, *items: Item) -> Sequence[Item]:
        return []


@filter_trial.breaks("items-unchanged")
class ResettingWhatItSees(RightFilter):
    async def filter(self, ctx: Context, /, *items: Item) -> Sequence[Item]:
        for item in items:
            if item.settings is not None and item.settings.is_exists("weight"):
                item.settings.set("seen", True)
        return await super().filter(ctx, *items)


@filter_trial.breaks("items-not-kept")
class KeepingWhatFailed(RightFilter):
    def __init__(self) -> None:
        self.failed: set[Item] = set()

    def has_failed(self, item: Item) -> bool:
        failed = super().has_failed(item)
        (self.failed.add if failed else self.failed.discard)(item)
        return failed


@filter_trial.breaks("items-not-kept")
class KeepingTheItems(RightFilter):
    async def filter(self, ctx: Context, /, *items: Item) -> Sequence[Item]:
        self.items = list(items)
        return await super().filter(ctx, *items)


@filter_trial.breaks("concurrent")
class FilteringForOthers(RightFilter):
    items: tuple[Item, ...] = ()

    async def filter(self, ctx: Context, /, *items: Item) -> Sequence[Item]:
        self.items = items
        await asyncio.sleep(0)
        found = await super().filter(ctx, *self.items)
        self.items = ()
        return found


@filter_trial.breaks("failed-avoided")
class LettingTheFailedPass(RightFilter):
    def has_failed(self, item: Item) -> bool:
        return False


@filter_trial.breaks("max-fails")
class OneFailureTooMany(RightFilter):
    def max_fails(self, item: Item) -> float:
        return super().max_fails(item) + (1 if item.setting("maxFails") > 1 else 0)


@filter_trial.breaks("max-fails-default")
class ZeroIsNeverFailed(RightFilter):
    def max_fails(self, item: Item) -> float:
        value = None if item.settings is None else item.settings.get("maxFails")
        return 1e9 if value == 0 else super().max_fails(item)


@filter_trial.breaks("fail-timeout")
class MillisecondsForSeconds(RightFilter):
    def fail_timeout(self, item: Item) -> float:
        return super().fail_timeout(item) * 1000


@filter_trial.breaks("fail-timeout-fixed")
class SeenToFail(RightFilter):
    """Remembers of an item that it has seen it fail, until the item is reset."""

    def __init__(self) -> None:
        self.seen = weakref.WeakSet[Item]()

    def has_failed(self, item: Item) -> bool:
        if super().has_failed(item):
            self.seen.add(item)
        if not item.marker().count():
            self.seen.discard(item)
        return item in self.seen


@filter_trial.breaks("fail-timeout-default")
class NegativeIsNone(RightFilter):
    def fail_timeout(self, item: Item) -> float:
        return -1 if item.setting("failTimeout") < 0 else super().fail_timeout(item)


@filter_trial.breaks("reset-restores")
class RememberingFailures(RightFilter):
    def has_failed(self, item: Item) -> bool:
        if item.setting("maxFails") > 1:
            return super().has_failed(item)
        return time.time() - item.marker().time() < self.fail_timeout(item)


@filter_trial.breaks("backup-waits")
class BackupsPass(RightFilter):
    async def filter(self, ctx: Context, /, *items: Item) -> Sequence[Item]:
        await super().filter(ctx, *items)
        return [item for item in items if not self.has_failed(item)]


@filter_trial.breaks("chosen-anew")
class JudgingOnce(RightFilter):
    def __init__(self) -> None:
        self.judged: dict[int, bool] = {}

    def has_failed(self, item: Item) -> bool:
        return self.judged.setdefault(id(item), super().has_failed(item))


@filter_trial.breaks("backup-serves")
class BackupsNeverPass(RightFilter):
    async def filter(self, ctx: Context, /, *items: Item) -> Sequence[Item]:
        found = await super().filter(ctx, *items)
        return [item for item in found if not item.setting("backup")]


@selector_trial.breaks("cancelled")
class DeafSelector(Deaf, RightSelector): ...


@selector_trial.breaks("next-after-cancelled")
class LeakingSelector(Leaking, RightSelector): ...


@strategy_trial.breaks("cancelled")
class DeafStrategy(Deaf, RightStrategy): ...


@strategy_trial.breaks("next-after-cancelled")
class LeakingStrategy(Leaking, RightStrategy): ...


@filter_trial.breaks("cancelled")
class DeafFilter(Deaf, RightFilter): ...


@filter_trial.breaks("next-after-cancelled")
class LeakingFilter(Leaking, RightFilter): ...


@filter_trial.breaks("chosen-anew")
class LettingAllPassOnceCancelled(RightFilter):
    cancelled = False

    async def filter(self, ctx: Context, /, *items: Item) -> Sequence[Item]:
        if self.cancelled:
            return items
        try:
            return await super().filter(ctx, *items)
        except asyncio.CancelledError:
            self.cancelled = True
            raise


@selector_trial.breaks("wrong-type-refused")
class BoolsAreNumbers(RightSelector):
    def read(self, item: Item) -> None:
        for key in ("maxFails", "failTimeout", "weight"):
            value = item.settings and item.settings.get(key)
            if item.settings is not None and isinstance(value, bool):
                item.settings.set(key, int(value))
        super().read(item)


@strategy_trial.breaks("wrong-type-refused")
class WeightsOfAnyNumber(RightStrategy):
    def weight(self, item: Item) -> float:
        value = item.settings and item.settings.get("weight")
        return value if isinstance(value, float) else super().weight(item)


@filter_trial.breaks("wrong-type-refused")
class NotNamingTheKey(RightFilter):
    def read(self, item: Item) -> None:
        try:
            super().read(item)
        except ValueError:
            raise ValueError("the settings of an item cannot be read") from None


@selector_trial.breaks("wrong-type-refused")
class RefusingFromThenOn(RightSelector):
    """Has one wrong item end the choices of all."""

    wrong = ""

    async def select(self, ctx: Context, /, *items: Item) -> Item | None:
        if self.wrong:
            raise ValueError(self.wrong)
        try:
            return await super().select(ctx, *items)
        except ValueError as error:
            self.wrong = str(error)
            raise


@filter_trial.breaks("backup-waits")
class KnowingItemsById(RightFilter):
    """Keeps what it has read of an item under an id, which is that of another item later."""

    def __init__(self) -> None:
        super().__init__()
        self.backups: dict[int, bool] = {}

    async def filter(self, ctx: Context, /, *items: Item) -> Sequence[Item]:
        await super().filter(ctx, *items)
        living = [item for item in items if not self.has_failed(item)]
        return [item for item in living if not self.is_backup(item)] or living

    def is_backup(self, item: Item) -> bool:
        return self.backups.setdefault(id(item), bool(item.setting("backup")))


@filter_trial.breaks("next-after-failures")
class RefusingWhenBusy(RightFilter):
    """Counts the calls that run, and forgets those that fail."""

    running = 0

    async def filter(self, ctx: Context, /, *items: Item) -> Sequence[Item]:
        if self.running > 16:
            raise OSError("it is busy")
        self.running += 1
        for item in items:
            self.read(item)
        self.running -= 1
        return await super().filter(ctx, *items)


@filter_trial.breaks("items-unchanged")
class MarkingWhatItSkips(RightFilter):
    async def filter(self, ctx: Context, /, *items: Item) -> Sequence[Item]:
        found = await super().filter(ctx, *items)
        for item in items:
            if self.has_failed(item):
                item.marker().mark()
        return found


@selector_trial.breaks("items-unchanged")
class SelectorMarkingWhatItSkips(RightSelector):
    async def select(self, ctx: Context, /, *items: Item) -> Item | None:
        for item in items:
            self.read(item)
            if self.has_failed(item):
                item.marker().mark()
        return await super().select(ctx, *items)


@strategy_trial.breaks("weight")
class TurnsByPlace(RightStrategy):
    """Chooses in turn by weight, and knows items by their places among the first that came."""

    def __init__(self) -> None:
        self.credits: list[float] = []

    async def apply(self, ctx: Context, /, *items: Item) -> Item | None:
        weights = [self.weight(item) for item in items]
        await self.ask()
        self.credits = self.credits or [0.0] * len(items)
        self.credits = [one + more for one, more in zip(self.credits, weights, strict=False)]
        if not self.credits:
            return None
        next_one = self.credits.index(max(self.credits))
        self.credits[next_one] -= sum(weights)
        return items[next_one]


class WaitingForOne(RightFilter):
    """Waits a second for an item to recover, with one call at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = asyncio.Lock()

    async def filter(self, ctx: Context, /, *items: Item) -> Sequence[Item]:
        async with self.lock:
            found = await super().filter(ctx, *items)
            if items and not found:
                await asyncio.sleep(1.0)
                found = await super().filter(ctx, *items)
            return found


@selector_trial.breaks("others-go-on")
class SelectorWaitingForOne(WaitingForOne, RightSelector): ...


filter_trial.breaks("others-go-on")(WaitingForOne)


@filter_trial.breaks("backup-serves")
class StayingWithTheBackup(RightFilter):
    """Leaves a backup that has served only when that fails."""

    def __init__(self) -> None:
        super().__init__()
        self.serving = weakref.WeakSet[Item]()

    async def filter(self, ctx: Context, /, *items: Item) -> Sequence[Item]:
        found = await super().filter(ctx, *items)
        stays = [one for one in items if one in self.serving and not self.has_failed(one)]
        self.serving.update(one for one in found if one.setting("backup"))
        return stays or found


@selector_trial.breaks("backup-serves")
class SelectorStayingWithTheBackup(StayingWithTheBackup, RightSelector): ...


trials = (filter_trial, markable_trial, marker_trial, selector_trial, strategy_trial)
