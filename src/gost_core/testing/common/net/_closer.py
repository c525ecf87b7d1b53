"""The contract of what must be closed."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import field
from functools import partial
from typing import Final, Generic

from typing_extensions import TypeVar

from gost_core.common.net import ClosedError, Closer
from gost_core.testing._families.closers import (
    AT_ONCE,
    TWICE,
    closed_at_once,
    closed_twice,
    closes_cut_short,
    expect_no_task_after_close,
)
from gost_core.testing._run.contract import Contract, clause
from gost_core.testing._run.report import describe
from gost_core.testing._run.waiting import (
    ended,
    expect,
    expect_cancelled,
    failure_of,
    given,
    need,
    owned,
    raises,
    start,
    until,
    within,
)
from gost_core.testing._stage.streams import begin

__all__ = ("CloserContract",)

# How many calls are made at once.
_CALLS: Final[int] = 3

CloserT = TypeVar("CloserT", bound=Closer, default=Closer)


class CloserContract(Contract, Generic[CloserT], interface=Closer):
    """How a component is closed: a dialer with sessions, a handler, a hop, a router."""

    make: Callable[[], Awaitable[CloserT]] = field(kw_only=False)
    """Makes the component, initialized and at work, its background tasks running. It leaves no task
    of its own behind."""
    wait: Callable[[CloserT], Awaitable[object]] | None = None
    """Calls something of the component that waits until it is closed."""
    call_back: Callable[[CloserT, Callable[[], Awaitable[None]]], Awaitable[object]] | None = None
    """Calls the component in such a way that it calls the given function from inside, as a handler
    dials through a router that it was given."""
    is_free: Callable[[CloserT], bool] | None = None
    """Tells whether everything that the component held is released."""

    async def _specimen(self) -> CloserT:
        return owned(await given(self.make(), "making it"))

    @clause("close() ends, and raises nothing.", "D1")
    async def closes(self) -> None:
        await within((await self._specimen()).close(), "close()")

    @clause("close() releases what the component holds.", "D1", after=("closes",))
    async def releases(self) -> None:
        is_free = need(self.is_free, "is_free")
        component = await self._specimen()
        await within(component.close(), "close()")
        expect(is_free(component), "after close(), not everything is released")

    @clause("After close(), no task of the component is left.", "D20", after=("closes",))
    async def no_task_left(self) -> None:
        before = asyncio.all_tasks()
        component = await self._specimen()
        if self.call_back is not None:
            # What a call has begun has to end with it, also if it fails.
            await ended(start(self.call_back(component, _fail)))
        await within(component.close(), "close()")
        await expect_no_task_after_close(before)

    @clause(TWICE, "D1", after=("closes",))
    async def twice(self) -> None:
        await closed_twice(await self._specimen())

    @clause(AT_ONCE, "D1", after=("twice",))
    async def at_once(self) -> None:
        await closed_at_once(await self._specimen())

    @clause(
        "A cancelled close() ends as cancelled, releases everything and ends waiting calls all the "
        "same, and leaves no task.",
        "D1, D14, D20",
        after=("releases", "no_task_left", "twice", "wakes_waiting"),
    )
    async def cancelled(self) -> None:
        is_free = need(self.is_free, "is_free")
        before = asyncio.all_tasks()

        async def made() -> tuple[Closer, Callable[[], Awaitable[None]]]:
            component = await self._specimen()
            waiting = start(self.wait(component) if self.wait else asyncio.sleep(0))

            async def expect_freed() -> None:
                left = "after a cancelled close(), not everything is released"
                await until(partial(is_free, component), left)
                await within(asyncio.wait({waiting}), "a call that waited when close() came")
                await expect_no_task_after_close(before)

            return component, expect_freed

        await closes_cut_short(made)

    @clause(
        "close() ends waiting calls, which raise ClosedError, and after it none waits.",
        "D1, D14",
        after=("closes",),
    )
    async def wakes_waiting(self) -> None:
        wait = need(self.wait, "wait")
        component = await self._specimen()
        await expect_cancelled(await begin(wait(component)), "waiting call")
        waiting, other = [await begin(wait(component)) for _ in range(2)]
        expect(not waiting.done(), "`wait` did not wait")
        await within(component.close(), "close() beside waiting calls")
        await raises(waiting, "the waiting call", ClosedError)
        # A call of which only one may wait refuses the other.
        await raises(other, "another waiting call", ClosedError, RuntimeError)
        late = start(wait(component))
        await ended(late)
        expect(late.done(), "a call after close() waits on")

    @clause("close() may be called from inside a call of the component.", "D22", after=("closes",))
    async def from_inside(self) -> None:
        call_back = need(self.call_back, "call_back")
        component = await self._specimen()
        outcomes = list[str]()

        async def close() -> None:
            try:
                await component.close()
            except Exception as error:
                return outcomes.append(f"raised {describe(error)}")
            outcomes.append("ended")

        calling = start(call_back(component, close))
        await until(lambda: bool(outcomes), "close() from inside a call did not end")
        expect(outcomes[0] == "ended", f"close() from inside a call {outcomes[0]}")
        # How the call ends is its own affair: perhaps with a ClosedError.
        await within(asyncio.wait({calling}), "the call from inside which close() was called")

    @clause(
        "Calls at once do not mix: none calls back what another was given in place of its own.",
        "D22",
        after=("closes",),
    )
    async def calls_apart(self) -> None:
        call_back, called = need(self.call_back, "call_back"), list[int]()

        async def note(number: int) -> None:
            called.append(number)

        alone = await self._specimen()
        await ended(start(call_back(alone, partial(note, 0))))
        each = len(called)
        called.clear()
        component = await self._specimen()
        calls = [start(call_back(component, partial(note, number))) for number in range(_CALLS)]
        await ended(*calls)
        succeeded = {number for number, one in enumerate(calls) if _succeeded(one)}
        # Equal calls may share what they do, and then less is called.
        is_shared = len(called) < _CALLS * max(each, 1)
        what = f"{_CALLS} calls at once called {called}, and {sorted(succeeded)} succeeded"
        expect(is_shared or succeeded <= set(called), what)


async def _fail() -> None:
    raise ConnectionResetError("what was called back fails")


def _succeeded(call: "asyncio.Future[object]") -> bool:
    return call.done() and failure_of(call) is None
