"""Clauses of what counts, in whatever thread."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import field
from itertools import count
from typing import Final, Generic, TypeVar

from gost_core.testing._run.contract import FIRST, Contract, clause
from gost_core.testing._run.waiting import expect, in_threads

__all__ = ("Anew", "Count", "Resettable")

CountT = TypeVar("CountT")

_TIMES: Final[int] = 500
_FEW: Final[int] = 10


class Count(Contract, Generic[CountT]):
    """The clause of what counts.

    Hooks: ``_count_in`` counts one in, in any thread; ``_expect_counted`` says how many there were.
    """

    make: Callable[[], CountT] = field(kw_only=False)
    """Makes one that has counted nothing."""

    @abstractmethod
    def _count_in(self, count: CountT, /) -> None:
        """Count one in."""

    @abstractmethod
    def _expect_counted(self, count: CountT, times: int, after: str, /) -> None:
        """Break the clause unless so many were counted in; ``after`` says what was done."""

    @clause("Nothing that threads add at once is lost.", "D21", after=(FIRST,))
    async def threads(self) -> None:
        count = self.make()
        done = list[list[None]]()
        # The second threads may have the ids of the first ones, which have ended.
        for times in (_TIMES, _FEW):
            done += await in_threads(lambda _: self._count_in(count), times, "counting in threads")
        times = sum(map(len, done))
        self._expect_counted(count, times, f"{times} calls in {len(done)} threads")


class Anew(Count[CountT]):
    """What can begin anew. It has no clauses. Hook: ``_one``; the verb is ``_expect_not_lost``."""

    @abstractmethod
    def _one(self, count: CountT, /) -> tuple[Callable[[], object], ...]:
        """Return what adds 1, what begins anew, and what tells the value."""

    async def _expect_not_lost(self, reset: str) -> None:
        """Break the clause if what begins anew, named ``reset``, is lost beside an addition."""
        counts, roles = [self.make() for _ in range(_TIMES)], [count() for _ in range(_TIMES)]
        for one in counts * 3:
            self._one(one)[0]()

        def use(number: int) -> None:
            # Of the two threads that come first, one adds and one resets, in turns.
            if (turn := next(roles[number])) < 2:
                self._one(counts[number])[turn ^ number % 2]()

        await in_threads(use, _TIMES, f"adding beside {reset}")
        left = {self._one(one)[2]() for one in counts}
        expect(left <= {0, 1}, f"after {reset}, and 1 that was added beside it, were {left}")


class Resettable(Anew[CountT]):
    """The clause of that which has a reset()."""

    @clause(
        "A reset beside what another thread adds is not lost.",
        "D21",
        after=("reset_clears", "threads"),
    )
    async def threads_reset(self) -> None:
        await self._expect_not_lost("a reset")
