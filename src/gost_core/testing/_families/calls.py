"""Clauses of async methods that many call at once, some of whom go away, or wait for long."""

import asyncio
import contextlib
import sys
import traceback
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import thread as pools
from itertools import product
from typing import Any, Final, Generic, TypeAlias, TypeVar

from gost_core.common.net import Closer
from gost_core.testing._run.attempt import Broken
from gost_core.testing._run.contract import FIRST, Contract, clause
from gost_core.testing._run.waiting import (
    applies,
    ended,
    expect,
    given,
    left_of,
    need,
    noting_tasks,
    outcome_of,
    owned,
    settle,
    start,
    turns,
    within,
)

__all__ = ("Calls", "Cancelled", "Mended", "Methods", "OneWaiting", "Stalling", "Waiting")

ComponentT = TypeVar("ComponentT")

Methods: TypeAlias = Mapping[str, Callable[[], Awaitable[object]]]
"""Calls of methods, by their names in a report; each breaks the clause if its answer is wrong."""

_Call: TypeAlias = Callable[[ComponentT], Awaitable[object]]
_Others: TypeAlias = Mapping[str, _Call[ComponentT]]

# More than most pools have places.
_CALLS: Final[int] = 40
# More calls, one after the other, than anything needs tasks for.
_MANY: Final[int] = 10
# Within how many turns of the event loop one has begun what it does.
_BEGUN: Final[int] = 10
# More questions than pools of things that can be shared have places.
_SILENT: Final[int] = 20
# What a thread of a pool goes on with when it has no work.
_WORKER: Final = pools._worker.__code__  # pyright: ignore[reportPrivateUsage]  # nothing else tells
# After how many turns of the event loop calls are cancelled.
_STAGES: Final[range] = range(1, 5)
# Within how many turns of it an answer can come that was ready when the call was cancelled.
_MOMENT: Final[int] = 5
# How many are cancelled at once; a call that keeps what it has soon leaves nothing to others.
_AT_ONCE: Final[int] = 10


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
                calls = [start(call()) for _ in range(_AT_ONCE)]
                await turns(stage)
                *cancelled, beside = calls
                for one in cancelled:
                    one.cancel()
                await within(beside, f"{what}, beside calls that were cancelled,")
                await ended(*cancelled)
            await within(call(), f"{what}, after calls that were cancelled,")


class Backed(Contract, Generic[ComponentT]):
    """What needs something else, such as a server or a file, which can fail. It has no clauses.

    Hooks: ``_build`` makes the component; ``_ready``, by default the same, makes one with all that
    its questions are about, where that takes calls. ``_methods`` calls each of its methods. The
    verb for scenarios is ``_broken``.
    """

    break_backend: Callable[[ComponentT], Awaitable[object]] | None = None
    """Puts what a component asks out of its reach, as when a server has gone."""
    mend_backend: Callable[[ComponentT], Awaitable[object]] | None = None
    """Undoes that. What a component does after failures, such as to ask nobody for a while, must
    be over within ``time_limit``."""

    def _build(self) -> ComponentT:
        """Make a component, and keep it: by default what ``make`` returns, without arguments."""
        made: ComponentT = vars(self)["make"]()
        return owned(made)

    async def _ready(self) -> ComponentT:
        """Make a component that can answer the questions."""
        return self._build()

    @abstractmethod
    async def _methods(self, component: ComponentT, /) -> Methods:
        """Return a call of each method, which breaks the clause if its answer is wrong."""

    async def _broken(self) -> ComponentT:
        """Make a component, and put what it asks out of its reach."""
        need(self.break_backend, "break_backend")
        return await self._break(await self._ready())

    async def _break(self, component: ComponentT) -> ComponentT:
        break_backend = need(self.break_backend, "break_backend")
        await given(break_backend(component), "break_backend()")
        return component

    async def _specimen(self) -> ComponentT:
        return self._build()


class Mended(Backed[ComponentT]):
    """The clause of all of that which is called in the same way before and after a failure."""

    async def _restore(self, component: ComponentT, age: float, /) -> None:
        """Have it know again what its questions are about, if it may have forgotten by this age."""

    @clause("Once what it asks is back, calls that failed work again.", "D16", after=(FIRST,))
    async def backend_mended(self) -> None:
        mend_backend, component = need(self.mend_backend, "mend_backend"), await self._ready()
        calls, loop = await self._methods(component), asyncio.get_running_loop()
        began = loop.time()
        await self._break(component)
        # As many failures as make most breakers open, and fill most queues.
        await ended(*(start(call()) for call in calls.values() for _ in range(_CALLS)))
        await given(mend_backend(component), "mend_backend()")
        limit = loop.time() + self.time_limit
        for what, call in calls.items():
            while True:
                try:
                    await given(self._restore(component, loop.time() - began), "a call like it")
                    await given(call(), f"{what}, with its backend mended,")
                    break
                except Broken:
                    # The first may only find out that its connection has gone.
                    if loop.time() > limit:
                        raise
                await asyncio.sleep(0.01)


class Stalling(Backed[ComponentT], Calls[ComponentT]):
    """The clause of all whose calls wait for what they ask."""

    stall_backend: Callable[[ComponentT], Awaitable[object]] | None = None
    """Has what a component asks leave the next call without an answer, and answer those that come
    after it."""

    async def _use(self, component: ComponentT, what: str, /) -> None:
        """Have it open what it opens for its first call, before the call ``what`` is tried."""
        await given((await self._methods(component))[what](), f"{what}, after silent ones,")

    @clause(
        "A call that is cancelled, or fails, while it waits for an answer leaves no task behind.",
        "D20",
        after=(FIRST, "cancelled"),
    )
    async def no_task_left(self) -> None:
        stall_backend = need(self.stall_backend, "stall_backend")
        methods = await self._methods(await self._ready())
        # Of what a call asks at once, one may be without an answer when another fails.
        for what, fails in product(methods, {False, bool(self.break_backend)}):
            component, begun = await self._ready(), list[asyncio.Task[object]]()
            await self._use(component, what)
            call = (await self._methods(component))[what]
            await given(stall_backend(component), "stall_backend()")
            if fails:
                await self._break(component)
            asked = start(noting_tasks(call(), begun))
            await settle()
            asked.cancel()
            await ended(asked, *left_of(begun))
            left = left_of(begun)
            expect(not left, f"{what} was cancelled, or failed, and left {left}")
            await _closed(component)

    @clause(
        "A call that has failed, or was cancelled, leaves no task with a name either, but for what "
        "close() ends.",
        "D19, D20",
        after=(FIRST, "no_task_left"),
    )
    async def tasks_ended(self) -> None:
        stall_backend = need(self.stall_backend, "stall_backend")
        methods = await self._methods(await self._ready())
        for what, fails in product(methods, {False, bool(self.break_backend)}):
            component, begun = await self._ready(), list[asyncio.Task[object]]()
            call = (await self._methods(component))[what]
            if fails:
                await self._break(component)
            for _ in range(_MANY):
                if not fails:
                    await given(stall_backend(component), "stall_backend()")
                asked = start(noting_tasks(call(), begun))
                await turns(_BEGUN)
                if not fails:
                    asked.cancel()
                await ended(asked)
            if isinstance(component, Closer):
                await given(component.close(), "close()")
            await settle()
            nameless = left_of(begun)
            left = [one for one in begun if not one.done() and one not in nameless]
            # What was lent to it may have a task or two of its own.
            few = len(left) < _MANY / 2
            expect(few, f"{_MANY} times {what} failed, or was cancelled, and {left[:2]} go on")


class Waiting(Stalling[ComponentT]):
    """The clause of those whose calls do not wait for each other."""

    places: int | None = None
    """How many calls can wait at once, if each needs something of its own, such as a thread or a
    connection. None = any number; where a pool of threads is found, that is not tried."""

    @abstractmethod
    def _silent(self, count: int, /) -> Sequence[_Call[ComponentT]]:
        """Return so many calls of which no two may be made as one, or less if there are none."""

    @abstractmethod
    async def _others(self) -> Mapping[str, _Call[ComponentT]]:
        """Return calls that get their answers meanwhile."""

    def _most(self) -> int:
        """Return beside how many calls without an answer another one must go on."""
        return _SILENT if self.places is None else min(_SILENT, self.places - 1)

    async def _expect_works(
        self, silent: Sequence[_Call[ComponentT]], others: Mapping[str, _Call[ComponentT]], /
    ) -> "Sequence[asyncio.Future[Any]]":
        """Break the clause unless others work beside calls without an answer; return these."""
        applies(self.places is None or len(silent) < self.places, "so many may not wait at once")
        for pause in (0.0, 0.1):
            with contextlib.suppress(_Astray):
                return await self._expect_beside(silent, others, pause)
        return await self._expect_beside(silent, others, 0.3)

    async def _expect_beside(
        self, silent: Sequence[_Call[ComponentT]], others: _Others[ComponentT], pause: float
    ) -> "Sequence[asyncio.Future[Any]]":
        component, before, stalled = await self._ready(), _at_work(), list[asyncio.Future[Any]]()
        for call in silent:
            await given(need(self.stall_backend, "stall_backend")(component), "stall_backend()")
            stalled.append(start(call(component)))
            await settle()
            await asyncio.wait(stalled, timeout=pause)
            # Who has answered that asks nobody, or will ask when it is not expected any more.
            if stalled[-1].done():
                return ()
        pooled = len(silent) > 1 and self.places is None and _at_work() - before
        applies(not pooled, "each may wait in a thread of a pool")
        for what, call in others.items():
            await ended(asked := start(call(component)))
            if not asked.done():
                asked.cancel()
                beside = f"beside {len(silent)} that wait (`places` are how many may)"
                # A busy machine may have been late with a call that was to be silent.
                astray = any(one.done() for one in stalled)
                await _closed(component)
                raise (_Astray if astray else Broken)(f"{what}, {beside}, did not end")
            asked.result()
        return stalled

    @clause(
        "However many calls wait for an answer, others get theirs, but for what needs a thread or "
        "the like of its own.",
        "D22",
        after=(FIRST, "next_after_cancelled", "others_go_on"),
    )
    async def many_waiting(self) -> None:
        silent, others = self._silent(self._most()), await self._others()
        waiting = len(silent) == self._most() and await self._expect_works(silent, others)
        applies(bool(waiting), "it asks nobody about what it does not know")


class OneWaiting(Waiting[ComponentT]):
    """The clause of those of them of which each call gets the same answer as another."""

    @clause(
        "While one call is left without an answer, others get theirs.",
        "D22",
        after=(FIRST, "next_after_cancelled"),
    )
    async def others_go_on(self) -> None:
        await self._expect_works(self._silent(1), await self._others())


class _Astray(Broken):
    """Another call may have been left without an answer than was meant."""


async def _closed(component: object) -> None:
    # Others may need what its silent calls have, such as a thread.
    if isinstance(component, Closer):
        await ended(start(component.close()))


def _at_work() -> set[int]:
    """Return the threads of pools, whoever's they are, that have work."""
    tops = sys._current_frames()  # pyright: ignore[reportPrivateUsage]  # as above
    calls = {one: [frame.f_code for frame, _ in traceback.walk_stack(tops[one])] for one in tops}
    return {one for one in calls if _WORKER in calls[one][1:]}


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
