"""Clauses of what asks other components and waits for them: cancelled, hung, many at once."""

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final, TypeAlias
from weakref import ref

from gost_core.chain import Node
from gost_core.common.net import Closer
from gost_core.context import Context, Key
from gost_core.keys import TIME_LIMIT
from gost_core.testing._families.lent import expect_dropped
from gost_core.testing._families.steps import MANY, expect_no_task_left
from gost_core.testing._run.attempt import current
from gost_core.testing._run.contract import FIRST, Contract, clause
from gost_core.testing._run.report import describe
from gost_core.testing._run.waiting import (
    ended,
    expect,
    expect_cancelled,
    given,
    outcome_of,
    raises,
    start,
    until,
    within,
)
from gost_core.testing._stage.fakes.recorded import Recorded, failures

__all__ = ("APART", "LENT_NUMBER", "Asking", "Waits")

_Call: TypeAlias = Callable[[Context], Awaitable[object]]
Waits: TypeAlias = Iterator[tuple[str, Recorded[Any], _Call]]

_MARK: Final[Key[str]] = Key("a value of the request")
_LENT: Final[int] = 3

LENT_NUMBER: Final[Key[int]] = Key("the number of a context that is lent")
"""By which calls go to a target of their own: what is kept of each target is kept of all."""

APART: Final[Sequence[tuple[str, str, str]]] = (
    ("tcp", "192.0.2.1:80", "one.example:80"),
    ("tcp4", "192.0.2.2:80", "two.example:80"),
    ("tcp6", "[2001:db8::3]:80", "three.example:80"),
    ("udp4", "192.0.2.4:80", "four.example:80"),
)
"""Requests that differ in everything: network (D11), address and host."""


class Asking(Contract):
    """The clauses of what asks components of the kit."""

    @abstractmethod
    def _waits(self) -> Waits:
        """Yield whom a call waits for: a name, what it is asked, and how to make such a call."""

    @abstractmethod
    async def _expect_apart(self) -> None:
        """Break the clause unless calls at once, different in every argument, do not mix."""

    @clause(
        "Cancelling a call cancels what it waits for before the call ends, and the next call "
        "works.",
        "D4, D14, D20",
        after=(FIRST,),
    )
    async def cancel_passes(self) -> None:
        for who, asked, call in self._waits():
            asked.hang(1)
            calling = start(call(Context()))
            await asked.reached(who)
            await expect_cancelled(calling, f"call that waits for {who}")
            expect(asked.cancelled == 1, f"the call has ended, and {who} still works for it")
            await given(
                call(Context()), f"a call after a cancelled one, which had waited for {who},"
            )

    @clause(
        "A call that is cancelled once its TIME_LIMIT is over ends as cancelled too.",
        "D14, D69",
        after=("cancel_passes",),
    )
    async def cancelled_at_limit(self) -> None:
        loop = asyncio.get_running_loop()
        # A busy machine needs longer to come as far as where a call waits.
        for seconds in (0.02, 0.5):
            limit = loop.time() + seconds
            ctx = Context().with_value(TIME_LIMIT, limit)
            calls: list[tuple[str, asyncio.Future[object]]] = []
            for who, asked, call in self._waits():
                asked.hang(1)
                calls.append((who, start(call(ctx))))
            # A little more: a timer may be early.
            await asyncio.sleep(limit + 0.001 - loop.time())
            # One that has ended by itself may have done so.
            cut = [(who, made) for who, made in calls if made.cancel()]
            await ended(*(made for _, made in calls))
            for who, made in cut:
                what = f"cancelled after its TIME_LIMIT, a call to {who} {outcome_of(made)}"
                expect(made.cancelled(), what)

    @clause(
        "A call that waits for another component holds up no other call.", "D22", after=(FIRST,)
    )
    async def concurrent(self) -> None:
        for who, asked, call in self._waits():
            asked.hang(1)
            start(call(Context()))
            await asked.reached(who)
            await within(call(Context()), f"a call beside one that waits for {who}")

    @clause(
        "Whoever is asked is given the values of that call, and of no other.",
        "D28",
        after=(FIRST,),
    )
    async def context_handed_on(self) -> None:
        for who, asked, call in self._waits():
            for value in ("here", "there", "elsewhere"):
                limit = asyncio.get_running_loop().time() + 3600.0
                ctx = Context().with_value(TIME_LIMIT, limit).with_value(_MARK, value)
                asked.contexts.clear()
                await given(call(ctx), f"a call that asks {who}")
                right = all(one.value(_MARK) == value for one in asked.contexts)
                expect(right, f"{who} was given a context without the request's values")
                limited = all(one.value(TIME_LIMIT) is not None for one in asked.contexts)
                expect(limited, f"{who} was given a context without the request's time limit")

    @clause(
        "Whatever another component raises, the call raises something too, and an OSError for an "
        "OSError: it does not go on without an answer.",
        "D14, D36, D39",
        after=(FIRST, "failure_over"),
    )
    async def failures_raised(self) -> None:
        for error in failures("it"):
            described, right = describe(error), OSError if isinstance(error, OSError) else Exception
            for who, asked, call in self._waits():
                asked.fail_always(error)
                await raises(call(Context()), f"a call where {who} raises {described}", right)

    @clause("A call that fails leaves no task behind, and the next works.", "D20", after=(FIRST,))
    async def failure_over(self) -> None:
        for who, asked, call in self._waits():
            await given(call(Context()), f"a call that asks {who}")
            before = asyncio.all_tasks()
            asked.fail(ConnectionResetError("the step failed"))
            with suppress(Exception):
                await within(call(Context()), f"a call where {who} fails")
            await expect_no_task_left(before, f"a call had failed at {who}")
            await given(call(Context()), f"a call after one that had failed at {who}")

    @clause(
        "However many calls were cancelled, the next works.",
        "D20",
        after=("cancel_passes", "many_waiting"),
    )
    async def many_cancelled(self) -> None:
        for who, asked, call in self._waits():
            calls = await _many(who, asked, call)
            for one in calls:
                one.cancel()
            await ended(*calls)
            await given(
                call(Context()), f"a call after {MANY} cancelled ones, which waited for {who},"
            )

    @clause("However many calls have failed, the next works.", "D20", after=("failure_over",))
    async def many_failed(self) -> None:
        for who, asked, call in self._waits():
            asked.fail_always(ConnectionResetError("the step failed"))
            await ended(*(start(call(Context())) for _ in range(MANY)))
            asked.fail_always(None)
            await given(call(Context()), f"a call after {MANY} that had failed at {who}")

    @clause(
        "However many calls wait for another component, all go on.", "D22", after=("concurrent",)
    )
    async def many_waiting(self) -> None:
        for who, asked, call in self._waits():
            await _many(who, asked, call)

    @clause(
        "Nothing is kept that was given for a call.",
        "D23",
        after=(FIRST, "calls_apart", "context_handed_on"),
    )
    async def nothing_kept(self) -> None:
        for who, _, call in self._waits():
            lent = [await self._lend(call, f"a call that asks {who}", n) for n in range(_LENT)]
            await expect_dropped(lent, f"{_LENT} calls that ask {who} were over")

    async def _lend(self, call: _Call, what: str, number: int) -> ref[Context]:
        ctx = Context().with_value(LENT_NUMBER, number)
        made = await given(call(ctx), what)
        # The close() of a node stops its probe.
        if not isinstance(made, Node) and isinstance(made, Closer):
            await given(made.close(), "close()")
        for forget in current().records:
            forget()
        return ref(ctx)

    @clause("Calls at once, different in every argument, do not mix.", "D22", after=(FIRST,))
    async def calls_apart(self) -> None:
        await self._expect_apart()


async def _many(who: str, asked: Recorded[Any], call: _Call) -> list[asyncio.Future[object]]:
    """Have many calls wait, all for the same, and return them."""
    reached = len(asked) + MANY
    asked.hang(MANY)
    calls = [start(call(Context())) for _ in range(MANY)]
    few = f"of {MANY} calls at once some did not come as far as {who}"
    await until(lambda: len(asked) == reached, few)
    return calls
