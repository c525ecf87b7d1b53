"""The contracts of selectors, strategies and filters, and of the markers that they go by."""

import asyncio
import gc
import time
import weakref
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Final, Generic, TypeVar

from typing_extensions import Protocol

from gost_core.context import Context
from gost_core.keys import CLIENT_ID, HASH_SOURCE
from gost_core.metadata import Metadata
from gost_core.selector import Filter, Markable, Marker, Selector, Strategy
from gost_core.testing._contract import Contract, NotTried, checks, clause, expect, run
from gost_core.testing._fakes import FakeMetadata
from gost_core.testing._lookups import is_empty
from gost_core.testing._report import Report
from gost_core.testing._verify import examine

__all__ = (
    "check_selector_filter",
    "check_selector_markable",
    "check_selector_marker",
    "check_selector_selector",
    "check_selector_strategy",
)

T = TypeVar("T")

_MARKS: Final[int] = 500
# How often a choice is made where it may be one of chance: what a clause forbids then comes up at
# least once, what it asks for is never missed.
_DRAWS: Final[int] = 40
_CALLS: Final[int] = 20
_LONG: Final[float] = 3600.0
_SHORT: Final[float] = 0.05
_KEYS: Final[Collection[str]] = ("backup", "failTimeout", "maxFails", "weight")


# ---- Marker


class MarkerContract(Contract, interface=Marker):
    """Check a marker."""

    make: Callable[[], Marker] = field(kw_only=False)
    """Makes a marker."""

    async def _specimen(self) -> Marker:
        return self.make()

    @clause("A marker that was never marked counts 0, and its time is 0.0.", "D43")
    async def never_failed(self) -> None:
        marker = self.make()
        count, marked = marker.count(), marker.time()
        expect(count == 0, f"count() of a new marker was {count!r}")
        expect(marked == 0.0, f"time() of a new marker was {marked!r}")

    @clause("Each mark() counts one failure.", "D43", after=("never_failed",))
    async def mark_counts(self) -> None:
        marker = self.make()
        for expected in (1, 2, 3):
            marker.mark()
            count = marker.count()
            expect(count == expected, f"count() was {count!r} after {expected} calls of mark()")

    @clause("mark() sets time() to now, in POSIX seconds.", "D43")
    async def mark_stamps(self) -> None:
        marker = self.make()
        before = time.time()
        marker.mark()
        after = time.time()
        marked = marker.time()
        # A second of tolerance: the fraction is the affair of the next clause.
        expect(
            before - 1.0 <= marked <= after + 1.0,
            f"time() was {marked!r}; it was marked between {before!r} and {after!r}",
        )

    @clause(
        "time() is the time of the last failure, with the fraction of the second.",
        "D43",
        after=("mark_stamps",),
    )
    async def time_of_last(self) -> None:
        marker = self.make()
        times: list[float] = []
        for _ in range(5):
            marker.mark()
            times.append(marker.time())
            await asyncio.sleep(0.02)
        # Whole seconds would give two values at most.
        expect(len(set(times)) > 2, f"marks 0.02 s apart were at {times!r}")

    @clause(
        "reset() sets the count to 0, from where it counts again.", "D43", after=("mark_counts",)
    )
    async def reset_clears(self) -> None:
        marker = self.make()
        marker.mark()
        marker.mark()
        marker.reset()
        count = marker.count()
        expect(count == 0, f"count() was {count!r} after reset()")
        marker.mark()
        count = marker.count()
        expect(count == 1, f"count() was {count!r} after reset() and one mark()")

    @clause("reset() keeps the time of the last failure.", "D43", after=("mark_stamps",))
    async def reset_keeps_time(self) -> None:
        marker = self.make()
        marker.mark()
        before = marker.time()
        marker.reset()
        after = marker.time()
        expect(after == before, f"time() was {before!r} before reset(), and {after!r} after")

    @clause("Of marks from several threads at once none is lost.", "D21", after=("mark_counts",))
    async def threads(self) -> None:
        marker = self.make()

        def mark() -> int:
            for _ in range(_MARKS):
                marker.mark()
            return _MARKS

        expected = sum(await in_threads(mark, "mark() in several threads"))
        count = marker.count()
        expect(count == expected, f"count() was {count!r} after {expected} calls of mark()")


# ---- Markable


class MarkableContract(Contract, interface=Markable):
    """Check something whose failures are tracked."""

    make: Callable[[], Markable] = field(kw_only=False)
    """Makes one, with a marker."""

    async def _specimen(self) -> Markable:
        return self._build()

    def _build(self) -> Markable:
        return owned(self.make())

    @clause("marker() returns a Marker, or None.", "D43")
    async def marker(self) -> None:
        marker = self._build().marker()
        if marker is not None:
            findings = examine(marker, Marker)
            expect(not findings.problems, "of what it returned: " + "; ".join(findings.problems))

    @clause("marker() returns the same object each time.", "D43")
    async def same_each_time(self) -> None:
        built = self._build()
        expect(built.marker() is built.marker(), "two calls returned two objects")


# ---- What selectors, strategies and filters have in common


class _WatchedMetadata(FakeMetadata):
    """Metadata that notes whether somebody changes them."""

    def __init__(self, **values: object) -> None:
        super().__init__(**values)
        self.changes: list[str] = []

    def set(self, key: str, value: object, /) -> None:
        """Note it."""
        self.changes.append(key)
        super().set(key, value)


class _Ask(Protocol[T]):
    """Has something choose among items, and returns all that may be chosen."""

    def __call__(self, ctx: Context, /, *items: T) -> Awaitable[Sequence[T | None]]: ...


class _ItemsContract(Contract, Generic[T], interface=object):
    def __init__(
        self,
        item: Callable[[], T],
        item_with: Callable[[Metadata], T] | None,
        honours: Collection[str],
    ) -> None:
        super().__init__()
        if unknown := set(honours) - set(_KEYS):
            raise ValueError(f"`honours` names {sorted(unknown)}; it may name {sorted(_KEYS)}")
        self._item = item
        self._item_with = item_with
        self._honours = honours

    @abstractmethod
    def _new(self) -> _Ask[T]:
        """Make an object, and return how to ask it."""

    def _needs(self, key: str) -> None:
        """Try the clause only if the object goes by this key."""
        if key not in self._honours:
            raise NotTried(f"`honours` does not name {key}")

    def _with(self, **values: object) -> T:
        """Make an item with metadata."""
        if self._item_with is None:
            raise NotTried("no `item_with` was given")
        return self._item_with(_WatchedMetadata(**values))

    def _marker(self, item: T) -> Marker:
        marker = item.marker() if isinstance(item, Markable) else None
        if marker is None:
            raise NotTried("what `item_with` made has no marker")
        return marker

    def _failed(self, **values: object) -> T:
        """Make an item that has failed once, just now."""
        self._needs("maxFails")
        item = self._with(**{"failTimeout": _LONG, **values})
        self._marker(item).mark()
        return item

    async def _draw(self, *items: T) -> list[T]:
        """Return whatever is chosen of ``items`` in many draws, in either order."""
        ask = self._new()
        drawn: list[T] = []
        for order in (items, items[::-1]):
            for _ in range(_DRAWS):
                found = await ask(Context(), *order)
                chosen = [one for one in found if one is not None]
                expect(
                    bool(chosen) and len(chosen) == len(found),
                    f"{list(found)!r} was chosen of {len(items)} items",
                )
                drawn += chosen
        return drawn

    async def _expect_never(self, unwanted: T, other: T, why: str) -> None:
        drawn = await self._draw(unwanted, other)
        expect(all(one is not unwanted for one in drawn), f"an item was chosen {why}")

    @clause(
        "Items that have not failed can be chosen, whatever the context holds, and if it is empty.",
        "D28, D44",
    )
    async def chosen(self) -> None:
        ask = self._new()
        full = Context().with_value(CLIENT_ID, "client").with_value(HASH_SOURCE, "192.0.2.1")
        for ctx in (Context(), full):
            for count in (1, 3):
                found = await ask(ctx, *(self._item() for _ in range(count)))
                expect(
                    bool(found) and all(one is not None for one in found),
                    f"{list(found)!r} was chosen of {count} items, with {ctx!r}",
                )

    @clause(
        "Items are not changed: neither their metadata nor their markers.",
        "D44",
        after=("chosen",),
    )
    async def items_unchanged(self) -> None:
        if self._item_with is None:
            raise NotTried("no `item_with` was given")
        metadata = _WatchedMetadata(weight=2)
        item = self._item_with(metadata)
        before = _state(item)
        await self._draw(item, self._item())
        expect(not metadata.changes, f"set() was called on metadata for {metadata.changes}")
        after = _state(item)
        expect(after == before, f"count and time of a marker went from {before} to {after}")

    @clause("Items are not kept when the call is over.", "D44", after=("chosen",))
    async def items_not_kept(self) -> None:
        # The object that is asked stays, by this name.
        ask = self._new()
        try:
            # One that is never handed in, to see whether something else keeps items.
            control = weakref.ref(self._item())
        except TypeError:
            raise NotTried("what `item` makes cannot be weakly referenced") from None
        references = await self._ask_and_forget(ask)
        gc.collect()
        if control() is not None:
            raise NotTried("what `item` makes is kept by something else")
        kept = sum(reference() is not None for reference in references)
        expect(not kept, f"{kept} of {len(references)} items were kept")

    async def _ask_and_forget(self, ask: _Ask[T]) -> list["weakref.ref[T]"]:
        items = [self._item() for _ in range(3)]
        references = [weakref.ref(item) for item in items]
        await ask(Context(), *items)
        return references

    @clause(
        "Calls for several requests at once do not mix.", "Go's implementations", after=("chosen",)
    )
    async def concurrent(self) -> None:
        ask = self._new()
        groups = [tuple(self._item() for _ in range(2)) for _ in range(_CALLS)]
        answers = await within(
            asyncio.gather(*(ask(Context(), *group) for group in groups)),
            f"{_CALLS} calls at once",
        )
        for group, found in zip(groups, answers, strict=True):
            expect(bool(found), "nothing was chosen beside other calls")
            for one in found:
                expect(one is not None, "None was chosen beside other calls")
                # It may be none of the items at all, but not one of another call.
                expect(
                    any(one is item for item in group)
                    or not any(one is item for other in groups for item in other),
                    "an item of another call was chosen",
                )


def _state(item: object) -> str:
    marker = item.marker() if isinstance(item, Markable) else None
    return "none" if marker is None else f"{marker.count()} and {marker.time()}"


class _FailureContract(_ItemsContract[T], interface=object):
    """Of what selectors and filters go by (D45)."""

    @clause(
        "An item that has failed is not chosen while another has not.", "D45", after=("chosen",)
    )
    async def failed_avoided(self) -> None:
        await self._expect_never(self._failed(), self._item(), "that has failed")

    @clause(
        "An item has failed when it counts as many failures as its maxFails, and not before.",
        "D45",
        after=("failed_avoided",),
    )
    async def max_fails(self) -> None:
        twice = self._failed(maxFails=2)
        await self._expect_never(self._failed(), twice, "that has failed, before one that has not")
        self._marker(twice).mark()
        await self._expect_never(twice, self._item(), "that has failed twice, of 2 maxFails")

    @clause("A maxFails of 0 or less counts as 1.", "D45", after=("failed_avoided",))
    async def max_fails_default(self) -> None:
        for value in (0, -1):
            failed = self._failed(maxFails=value)
            await self._expect_never(failed, self._item(), f"that has failed, of {value} maxFails")

    @clause(
        "A failed item can be chosen again when failTimeout has passed since its last failure.",
        "D45",
        after=("failed_avoided",),
    )
    async def fail_timeout(self) -> None:
        self._needs("failTimeout")
        recovered = self._failed(failTimeout=_SHORT)
        await asyncio.sleep(2 * _SHORT)
        await self._expect_never(
            self._failed(), recovered, "that has failed, before one whose failTimeout has passed"
        )

    @clause(
        "A failTimeout of 0 or less counts as 10 s, and not as none.",
        "D45",
        after=("failed_avoided",),
    )
    async def fail_timeout_default(self) -> None:
        self._needs("failTimeout")
        for value in (0, -1):
            failed = self._failed(failTimeout=value)
            why = f"that has just failed, with a failTimeout of {value}"
            await self._expect_never(failed, self._item(), why)

    @clause("An item whose marker was reset has not failed.", "D43, D45", after=("failed_avoided",))
    async def reset_restores(self) -> None:
        restored = self._failed()
        self._marker(restored).reset()
        await self._expect_never(
            self._failed(), restored, "that has failed, before one whose marker was reset"
        )

    @clause("A backup is not chosen while another item lives.", "D45", after=("chosen",))
    async def backup_waits(self) -> None:
        self._needs("backup")
        await self._expect_never(self._with(backup=True), self._item(), "that is a backup")

    @clause(
        "A backup is chosen when the others have failed.",
        "D45",
        after=("backup_waits", "failed_avoided"),
    )
    async def backup_serves(self) -> None:
        self._needs("backup")
        backup = self._with(backup=True)
        await self._expect_never(self._failed(), backup, "that has failed, before a backup")


class _ChoiceContract(_ItemsContract[T], interface=object):
    """Of what selectors and strategies choose."""

    @clause("Of no items it chooses None.", "D44")
    async def no_items(self) -> None:
        found = await self._new()(Context())
        expect(list(found) == [None], f"{list(found)!r} was chosen of no items")

    @clause("The greater its weight, the more often an item is chosen.", "D45", after=("chosen",))
    async def weight(self) -> None:
        self._needs("weight")
        heavy, light = self._with(weight=10_000), self._with(weight=1)
        drawn = await self._draw(light, heavy)
        count = sum(one is heavy for one in drawn)
        expect(
            count >= 0.9 * len(drawn),
            f"of weights 10000 and 1 the greater was chosen {count} times of {len(drawn)}",
        )

    @clause("A weight of 0 or less counts as 1.", "D45", after=("weight",))
    async def weight_default(self) -> None:
        self._needs("weight")
        for value in (0, -10_000):
            item, one = self._with(weight=value), self._with(weight=1)
            drawn = await self._draw(item, one)
            count = sum(other is item for other in drawn)
            expect(
                0 < count < len(drawn),
                f"of weights {value} and 1 the first was chosen {count} times of {len(drawn)}",
            )


# ---- Selector


class SelectorContract(_FailureContract[T], _ChoiceContract[T], interface=Selector):
    # MANUAL fields from the check function
    """Check a selector."""

    make: Callable[[], Selector[T]] = field(kw_only=False)
    """Makes a selector."""
    item: Callable[[], T] = field(kw_only=False)
    """Makes an item, a new one each time, that has not failed and is no backup."""
    item_with: Callable[[Metadata], T] | None = None
    """Makes an item with this metadata and a marker, a new one each time."""
    honours: Collection[str] = _KEYS
    """What the selector goes by, of the keys ``weight``, ``backup``, ``maxFails`` and
    ``failTimeout``. Leave ``weight`` out for one that chooses in another way."""

    def __init__(
        self,
        make: Callable[[], Selector[T]],
        item: Callable[[], T],
        item_with: Callable[[Metadata], T] | None,
        honours: Collection[str],
    ) -> None:
        super().__init__(item, item_with, honours)
        self._make = make

    async def _specimen(self) -> Selector[T]:
        return owned(self._make())

    def _new(self) -> _Ask[T]:
        selector = owned(self._make())

        async def ask(ctx: Context, /, *items: T) -> Sequence[T | None]:
            return [await within(selector.select(ctx, *items), "select()")]

        return ask


# ---- Strategy


class StrategyContract(_ChoiceContract[T], interface=Strategy):
    # MANUAL fields from the check function
    """Check a strategy."""

    make: Callable[[], Strategy[T]] = field(kw_only=False)
    """Makes a strategy."""
    item: Callable[[], T] = field(kw_only=False)
    """Makes an item, a new one each time."""
    item_with: Callable[[Metadata], T] | None = None
    """Makes an item with this metadata, a new one each time."""
    honours: Collection[str] = ()
    """``("weight",)`` if the strategy goes by the weights of items."""

    def __init__(
        self,
        make: Callable[[], Strategy[T]],
        item: Callable[[], T],
        item_with: Callable[[Metadata], T] | None,
        honours: Collection[str],
    ) -> None:
        super().__init__(item, item_with, honours)
        self._make = make

    async def _specimen(self) -> Strategy[T]:
        return owned(self._make())

    def _new(self) -> _Ask[T]:
        strategy = owned(self._make())

        async def ask(ctx: Context, /, *items: T) -> Sequence[T | None]:
            return [await within(strategy.apply(ctx, *items), "apply()")]

        return ask


# ---- Filter


class FilterContract(_FailureContract[T], interface=Filter):
    # MANUAL fields from the check function
    """Check a filter."""

    make: Callable[[], Filter[T]] = field(kw_only=False)
    """Makes a filter."""
    item: Callable[[], T] = field(kw_only=False)
    """Makes an item, a new one each time, that the filter lets pass."""
    item_with: Callable[[Metadata], T] | None = None
    """Makes an item with this metadata and a marker, a new one each time."""
    honours: Collection[str] = ()
    """What the filter goes by, of the keys ``backup``, ``maxFails`` and ``failTimeout``."""

    def __init__(
        self,
        make: Callable[[], Filter[T]],
        item: Callable[[], T],
        item_with: Callable[[Metadata], T] | None,
        honours: Collection[str],
    ) -> None:
        super().__init__(item, item_with, honours)
        self._make = make

    async def _specimen(self) -> Filter[T]:
        return owned(self._make())

    def _new(self) -> _Ask[T]:
        items_filter = owned(self._make())

        async def ask(ctx: Context, /, *items: T) -> Sequence[T | None]:
            return await within(items_filter.filter(ctx, *items), "filter()")

        return ask

    @clause("Of no items it returns an empty sequence.", "D44")
    async def no_items(self) -> None:
        found = await self._new()(Context())
        expect(is_empty(found), f"filter() of no items returned {found!r}")

    @clause("It returns some of the items, in their order.", "D44", after=("chosen",))
    async def in_order(self) -> None:
        items = [self._item() for _ in range(5)]
        rest = iter(items)
        for one in await self._new()(Context(), *items):
            # Consumes what comes before it.
            expect(
                any(one is item for item in rest),
                f"filter() returned {one!r} out of order, or twice, or none of the items",
            )
