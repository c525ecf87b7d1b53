"""The contract of counters of services and clients."""

from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Final, cast

from typing_extensions import TypeVar

from gost_core.observer.stats import Kind, Stats
from gost_core.testing._families.counts import Resettable
from gost_core.testing._run.contract import clause
from gost_core.testing._run.waiting import expect, in_threads

__all__ = ("StatsContract",)

StatsT = TypeVar("StatsT", bound=Stats, default=Stats)

# No Kind, and yet what a later version of the contract, or a program that is not type-checked,
# may pass.
_UNKNOWN: Final[tuple[Kind, ...]] = (cast("Kind", 0), cast("Kind", 99))
_TIMES: Final[int] = 300


class StatsContract(Resettable[StatsT], interface=Stats, first=("current_falls",)):
    """What counters promise."""

    def _count_in(self, count: StatsT, /) -> None:
        for kind in Kind:
            count.add(kind, 3)
        count.add(Kind.CURRENT_CONNS, -2)

    def _one(self, count: StatsT, /) -> tuple[Callable[[], object], ...]:
        kind = Kind.TOTAL_ERRS
        return partial(count.add, kind, 1), count.reset, partial(count.get, kind)

    def _expect_counted(self, count: StatsT, times: int, after: str, /) -> None:
        for kind in Kind:
            each = 1 if kind is Kind.CURRENT_CONNS else 3
            counted = count.get(kind)
            expect(counted == each * times, f"get({kind.name}) was {counted} after {after}")

    @clause("At first every count is 0, and nothing was added.", "D54")
    async def starts_at_zero(self) -> None:
        stats = self.make()
        _expect_zeroes(stats, "at first")
        expect(not stats.is_updated(), "is_updated() was True at first")

    @clause("Each kind is counted for itself.", "D54")
    async def counts(self) -> None:
        stats = self.make()
        for kind in Kind:
            stats.add(kind, kind)
            # More than 32 bits can count.
            stats.add(kind, kind << 40)
        for kind in Kind:
            count, added = stats.get(kind), kind + (kind << 40)
            expect(count == added, f"get({kind.name}) was {count} after adding {added}")

    @clause("Reading a count never changes it.", "D54", after=("counts",))
    async def get_keeps(self) -> None:
        stats = self.make()
        for kind in Kind:
            stats.add(kind, 7)
            first, second = stats.get(kind), stats.get(kind)
            expect(first == second == 7, f"get({kind.name}) was {first}, and then {second}")

    @clause("CURRENT_CONNS falls when a negative number is added.", "D54", after=("counts",))
    async def current_falls(self) -> None:
        stats = self.make()
        stats.add(Kind.CURRENT_CONNS, 3)
        stats.add(Kind.CURRENT_CONNS, -2)
        count = stats.get(Kind.CURRENT_CONNS)
        expect(count == 1, f"get(CURRENT_CONNS) was {count} after adding 3 and -2")

    @clause("An unknown kind is ignored, and reads 0.", "D54", after=("counts", "starts_at_zero"))
    async def unknown_ignored(self) -> None:
        stats = self.make()
        for unknown in _UNKNOWN:
            stats.add(unknown, 5)
            count = stats.get(unknown)
            expect(count == 0, f"get({int(unknown)}), an unknown kind, was {count}")
            expect(not stats.is_updated(), "is_updated() was True after adding to an unknown kind")
        _expect_zeroes(stats, "after adding to unknown kinds")

    @clause("is_updated() tells that something was added, of whatever kind.", "D54")
    async def updated(self) -> None:
        for kind in Kind:
            stats = self.make()
            for number in (1, -1) if kind is Kind.CURRENT_CONNS else (1,):
                stats.add(kind, number)
                updated = stats.is_updated()
                expect(updated, f"is_updated() was False after add({kind.name}, {number})")
            stats.add(kind, 1)
            stats.is_updated()
            # What falls beside it does not hide it.
            stats.add(Kind.CURRENT_CONNS, -1)
            stats.add(kind, 1)
            expect(stats.is_updated(), f"is_updated() was False after a connection and {kind.name}")

    @clause("Asking is_updated() clears the mark.", "D54", after=("updated",))
    async def asking_clears(self) -> None:
        stats = self.make()
        for _ in range(2):
            stats.add(Kind.INPUT_BYTES, 1)
            expect(stats.is_updated(), "is_updated() was False after add()")
            expect(not stats.is_updated(), "is_updated() was still True when asked again")

    @clause(
        "What one thread adds while others ask is_updated(), or reset, is told if it is there: by "
        "this answer or the next.",
        "D21, D54",
        after=("asking_clears", "counts", "reset_clears", "reset_zeroes"),
    )
    async def threads_told(self) -> None:
        def ask(stats: StatsT) -> int:
            return stats.get(Kind.INPUT_BYTES) if stats.is_updated() else 0

        # What is lost between two steps next to each other is seldom seen.
        for _ in range(2):
            await self._expect_told(ask, "is_updated()")
        await self._expect_told(lambda stats: stats.reset(), "reset()")

    async def _expect_told(self, call: Callable[[StatsT], object], what: str) -> None:
        """Break the clause if what is added beside a call, and is there, is not told."""
        stats = [self.make() for _ in range(_TIMES)]
        roles = [count() for _ in stats]

        def use(number: int) -> object:
            # Of the two threads that come first, one adds and one calls, in turns.
            turn, one = next(roles[number]), stats[number]
            if turn == number % 2:
                one.add(Kind.INPUT_BYTES, 1)
            return call(one) if turn == 1 - number % 2 else 0

        read = await in_threads(use, _TIMES, f"add() beside {what}")
        for one, *told in zip(stats, *read, strict=True):
            right = one.is_updated() or any(told) or not one.get(Kind.INPUT_BYTES)
            expect(right, f"what was added beside {what} was not told")

    @clause("Reading a count leaves the mark of is_updated().", "D54", after=("updated",))
    async def get_leaves_mark(self) -> None:
        stats = self.make()
        stats.add(Kind.INPUT_BYTES, 1)
        stats.get(Kind.INPUT_BYTES)
        expect(stats.is_updated(), "is_updated() was False after get()")

    @clause("reset() sets every count to 0.", "D54", after=("counts",))
    async def reset_zeroes(self) -> None:
        stats = self.make()
        for kind in Kind:
            stats.add(kind, 5)
        stats.reset()
        _expect_zeroes(stats, "after reset()")

    @clause("reset() clears the mark of is_updated().", "D54", after=("updated",))
    async def reset_clears(self) -> None:
        stats = self.make()
        stats.add(Kind.INPUT_BYTES, 1)
        stats.reset()
        expect(not stats.is_updated(), "is_updated() was True after reset()")


def _expect_zeroes(stats: Stats, when: str) -> None:
    for kind in Kind:
        count = stats.get(kind)
        expect(count == 0, f"get({kind.name}) was {count} {when}")
