"""The contracts of selectors, strategies and filters, and of the markers that they go by."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import field

from typing_extensions import TypeVar

from gost_core.context import Context
from gost_core.selector import Filter, Markable, Marker, Selector, Strategy
from gost_core.testing._families.counts import Resettable
from gost_core.testing._families.items import BY_FAILURES, BY_WEIGHT, ByFailures, ByWeight
from gost_core.testing._families.lookups import is_empty
from gost_core.testing._run.contract import Contract, clause
from gost_core.testing._run.verify import examine
from gost_core.testing._run.waiting import expect, given, need, owned

__all__ = (
    "FilterContract",
    "MarkableContract",
    "MarkerContract",
    "SelectorContract",
    "StrategyContract",
)

MarkerT = TypeVar("MarkerT", bound=Marker, default=Marker)
T = TypeVar("T", default=object)


class MarkerContract(
    Resettable[MarkerT],
    interface=Marker,
    first=("mark_counts",),
    said={"threads": ("Of marks from several threads at once none is lost.", "D21")},
):
    """What a marker promises."""

    elapse: Callable[[MarkerT, float], Awaitable[object]] | None = None
    """Moves the clock of a marker on by so many seconds, at once."""

    def _count_in(self, count: MarkerT, /) -> None:
        count.mark()

    def _one(self, count: MarkerT, /) -> tuple[Callable[[], object], ...]:
        return count.mark, count.reset, count.count

    def _expect_counted(self, count: MarkerT, times: int, after: str, /) -> None:
        counted = count.count()
        expect(counted == times, f"count() was {counted!r} after {after}")

    @clause("A marker that was never marked counts 0, and its time is 0.0.", "D43")
    async def never_failed(self) -> None:
        marker = self.make()
        self._expect_counted(marker, 0, "it was made")
        expect(marker.time() == 0.0, f"time() of a new marker was {marker.time()!r}")

    @clause("Each mark() counts one failure.", "D43", after=("never_failed",))
    async def mark_counts(self) -> None:
        marker = self.make()
        for expected in (1, 2, 3):
            marker.mark()
            self._expect_counted(marker, expected, f"{expected} calls of mark()")

    @clause("mark() sets time() to now, in POSIX seconds.", "D43")
    async def mark_stamps(self) -> None:
        marker, before = self.make(), time.time()
        marker.mark()
        marked, after = marker.time(), time.time()
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
        # Whole seconds would give two values at most, and more on a machine under load.
        fine = len(set(times)) > 2 and any(one % 1 for one in times)
        expect(fine, f"marks 0.02 s apart were at {times!r}")

    @clause(
        "reset() sets the count to 0, from where it counts again.", "D43", after=("mark_counts",)
    )
    async def reset_clears(self) -> None:
        marker = self.make()
        marker.mark()
        marker.mark()
        marker.reset()
        self._expect_counted(marker, 0, "reset()")
        marker.mark()
        self._expect_counted(marker, 1, "reset() and one mark()")

    @clause("reset() keeps the time of the last failure.", "D43", after=("mark_stamps",))
    async def reset_keeps_time(self) -> None:
        marker = self.make()
        marker.mark()
        before = marker.time()
        marker.reset()
        expect(marker.time() == before, f"time() {before!r} was {marker.time()!r} after reset()")

    @clause(
        "However much time passes, the count does not fade, nor the time of the last failure.",
        "D43",
        after=("mark_counts", "mark_stamps"),
    )
    async def does_not_fade(self) -> None:
        elapse, marker = need(self.elapse, "elapse"), self.make()
        marker.mark()
        before = marker.time()
        for seconds in (60.0, 1e6):
            await given(elapse(marker, seconds), "elapse()")
            self._expect_counted(marker, 1, f"one mark() and {seconds:g} s")
            expect(marker.time() == before, f"{seconds:g} s later time() was {marker.time()!r}")


class MarkableContract(Contract, interface=Markable):
    """What something promises whose failures are tracked."""

    make: Callable[[], Markable] = field(kw_only=False)
    """Makes one, with a marker."""

    @clause("marker() returns a Marker, or None.", "D43")
    async def marker(self) -> None:
        marker = owned(self.make()).marker()
        if marker is not None:
            findings = examine(marker, Marker)
            expect(not findings.problems, "of what it returned: " + "; ".join(findings.problems))

    @clause("marker() returns the same object each time.", "D43", after=("marker",))
    async def same_each_time(self) -> None:
        built = owned(self.make())
        marker = built.marker()
        if marker is not None:
            marker.mark()
            marker.reset()
        expect(built.marker() is marker, "two calls returned two objects")
        if marker is not None:
            marker.mark()
            # Whoever asks next is then the only one who has it.
            marker = None
            kept = built.marker()
            expect(kept is not None and kept.count() > 0, "a marker that nobody held was lost")

    @clause(
        "A marker is of one only, and whoever keeps it sees what is marked later.",
        "D43",
        after=("same_each_time",),
    )
    async def own_marker(self) -> None:
        built, other = owned(self.make()), owned(self.make())
        marker, another = built.marker(), other.marker()
        if marker is None or another is None or built is other:
            return
        for marked in (1, 2):
            marker.mark()
            found = marker.count(), another.count()
            expect(found == (marked, 0), f"marked {marked} times, it and another counted {found}")


class SelectorContract(
    ByFailures[Selector[T], T],
    ByWeight[Selector[T], T],
    interface=Selector,
    first=("chosen",),
):
    """What a selector promises."""

    honours: Collection[str] = (*BY_FAILURES, *BY_WEIGHT)
    """What it goes by, of the keys of metadata ``weight``, ``backup``, ``maxFails`` and
    ``failTimeout``. Leave ``weight`` out for one that chooses in another way."""

    _keys = (*BY_FAILURES, *BY_WEIGHT)

    async def _choose(self, chooser: Selector[T], ctx: Context, /, *items: T) -> Sequence[T | None]:
        return [await chooser.select(ctx, *items)]


class StrategyContract(ByWeight[Strategy[T], T], interface=Strategy, first=("chosen",)):
    """What a strategy promises."""

    async def _choose(self, chooser: Strategy[T], ctx: Context, /, *items: T) -> Sequence[T | None]:
        return [await chooser.apply(ctx, *items)]


class FilterContract(ByFailures[Filter[T], T], interface=Filter, first=("chosen",)):
    """What a filter promises."""

    async def _choose(self, chooser: Filter[T], ctx: Context, /, *items: T) -> Sequence[T | None]:
        return await chooser.filter(ctx, *items)

    @clause("Of no items it returns an empty sequence.", "D44")
    async def no_items(self) -> None:
        found = await self._choice(self._build(), Context())
        expect(is_empty(found), f"filter() of no items returned {found!r}")

    @clause("It returns some of the items, in their order.", "D44", after=("chosen",))
    async def in_order(self) -> None:
        items = [self.item() for _ in range(5)]
        rest = iter(items)
        for one in await self._choice(self._build(), Context(), *items):
            # Consumes what comes before it.
            expect(
                any(one is item for item in rest),
                f"filter() returned {one!r} out of order, or twice, or none of the items",
            )
