"""Clauses of async methods that many call at once, some of whom go away."""

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Generic, TypeAlias, TypeVar

from gost_core.testing._run.attempt import Broken
from gost_core.testing._run.contract import FIRST, Contract, clause
from gost_core.testing._run.waiting import (
    ended,
    expect,
    outcome_of,
    start,
    turns,
    within,
)

__all__ = ("Calls", "Cancelled", "Methods")

ComponentT = TypeVar("ComponentT")

Methods: TypeAlias = Mapping[str, Callable[[], Awaitable[object]]]
"""Calls of methods, by their names in a report; each breaks the clause if its answer is wrong."""

# After how many turns of the event loop calls are cancelled.
_STAGES: Final[range] = range(1, 5)
# Within how many turns of it an answer can come that was ready when the call was cancelled.
_MOMENT: Final[int] = 5
# How many are cancelled at once; a call that keeps what it has soon leaves nothing to others.
_MANY: Final[int] = 10


class Cancelled(Contract, Generic[ComponentT]):
    """The clause of calls that are cancelled.

    Hooks: ``_ready`` makes a component; ``_methods`` calls each of its async methods.
    """

    @abstractmethod
    async def _ready(self) -> ComponentT:
        """Make a component, and keep it."""

    @abstractmethod
    async def _methods(self, component: ComponentT, /) -> Methods:
        """Return a call of each method."""

    @clause(
        "A call that is cancelled passes the cancellation on, and does not make an answer of it.",
        "D4, D14",
        after=(FIRST,),
    )
    async def cancelled(self) -> None:
        component = await self._ready()
        for what, call in (await self._methods(component)).items():
            pending = [one for one in [await _cancelled(what, call, n) for n in _STAGES] if one]
            # An answer may have been ready in the very moment, but not each time.
            if pending and not any(one.cancelled() for one in pending):
                raise Broken(f"{what}, whenever it was cancelled, {outcome_of(pending[-1])}")


class Calls(Cancelled[ComponentT]):
    """The clauses of calls of which none may leave anything behind."""

    @clause(
        "After calls that were cancelled, and beside them, another one works.",
        "D20, D22",
        after=(FIRST, "cancelled"),
    )
    async def next_after_cancelled(self) -> None:
        component = await self._ready()
        for what, call in (await self._methods(component)).items():
            for stage in _STAGES:
                calls = [start(call()) for _ in range(_MANY)]
                await turns(stage)
                *cancelled, beside = calls
                for one in cancelled:
                    one.cancel()
                await within(beside, f"{what}, beside calls that were cancelled,")
                await ended(*cancelled)
            await within(call(), f"{what}, after calls that were cancelled,")


async def _cancelled(
    what: str, call: Callable[[], Awaitable[object]], stage: int
) -> "asyncio.Future[object] | None":
    """Cancel a call after so many turns, and return it, or None if it was over."""
    cancelled = start(call())
    await turns(stage)
    if not cancelled.cancel():
        cancelled.result()
        return None
    await turns(_MOMENT)
    ready = cancelled.done()
    await within(asyncio.wait({cancelled}), f"{what}, when it was cancelled,")
    if not cancelled.cancelled():
        cancelled.result()
        expect(ready, f"{what} went on when it was cancelled, and {outcome_of(cancelled)}")
    return cancelled
