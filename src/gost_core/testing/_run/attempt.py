"""One attempt at one clause: what it has opened, begun, and may say of its surroundings.

A contract holds parameters only. What belongs to an attempt is found through a context variable, so
that one contract can be run twice, and twice at once, and so that what stands in for the rest of
the world needs no reference to the contract that uses it.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Generator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final

from gost_core.context import Context
from gost_core.testing._run.report import describe

__all__ = (
    "Attempt",
    "Blocked",
    "Broken",
    "Exempt",
    "NotTried",
    "Verdict",
    "attempt",
    "current",
    "observers",
)


class Verdict(Exception):
    """Raised by a scenario that knows its outcome; says why."""


class Broken(Verdict, AssertionError):
    """The object does not keep the clause; says what was observed."""


class NotTried(Verdict):
    """What the clause needs was not given; says what."""


class Exempt(Verdict):
    """The contract allows what leaves the clause nothing to try; says what. The clause holds."""


class Blocked(BaseException):
    """Raised by the watchdog in code that keeps the event loop; no code expects it."""


@dataclass(eq=False, slots=True)
class Attempt:
    """What belongs to one attempt."""

    clause: str
    """The id of the clause."""
    time_limit: float
    """Seconds for each wait for something that the contract says will end."""
    ctx: Context = field(default_factory=Context)
    """The values of the calls that are made."""
    subject: str = ""
    """What is on trial, once it is known."""
    cleanups: list[Callable[[], object]] = field(default_factory=list[Callable[[], object]])
    """What to call when it is over, the last one first."""
    started: list[asyncio.Future[Any]] = field(default_factory=list[asyncio.Future[Any]])
    """What goes on beside it. The event loop itself holds a task only weakly."""
    others: set[asyncio.Task[Any]] = field(default_factory=set[asyncio.Task[Any]])
    """The tasks of who plays the rest of the world, which are not the object's."""
    records: list[Callable[[], object]] = field(default_factory=list[Callable[[], object]])
    """Each has who plays the rest of the world forget the calls of one method."""
    remarks: list[Callable[[], str]] = field(default_factory=list[Callable[[], str]])
    """Asked when the clause is not held: what an observation may follow from, or ""."""
    blocked: str = ""
    """That the event loop was blocked, and where; "" = it was not."""
    longest_wait: float = 0.0
    """Seconds that the longest wait has taken, of those that ``time_limit`` bounds."""

    def with_remarks(self, observed: str) -> str:
        """Add what an observation may follow from."""
        remarks = dict.fromkeys(remark() for remark in self.remarks)
        return "; ".join([observed, *filter(None, remarks)])

    @contextlib.contextmanager
    def waiting(self) -> Generator[None]:
        """Take the time of a wait."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            yield
        finally:
            self.longest_wait = max(self.longest_wait, loop.time() - began)

    async def clean_up(self, tasks_before: set[asyncio.Task[Any]]) -> None:
        """Close what was kept, and end every task that began meanwhile."""
        cleaning = set[asyncio.Future[None]]()
        while self.cleanups:
            # One that takes its time does not hold up the others.
            begun = asyncio.ensure_future(_quietly(self.cleanups.pop()))
            cleaning.add(begun)
            await asyncio.wait({begun}, timeout=0.05)
            if not self.cleanups:
                await asyncio.wait(cleaning, timeout=self.time_limit)
        for one in cleaning:
            one.cancel()
        leftover = asyncio.all_tasks() - tasks_before
        for task in leftover:
            task.cancel()
        if leftover:
            _, endless = await asyncio.wait(leftover, timeout=self.time_limit)
            for task in endless:
                # The loop would wait for it at its own end.
                asyncio.tasks._unregister_task(task)
        self.started.clear()


async def _quietly(cleanup: Callable[[], object]) -> None:
    # What goes wrong here is the affair of other clauses; this one has its outcome.
    with contextlib.suppress(Exception):
        if isinstance(closing := cleanup(), Awaitable):
            await closing


observers: Final[list[Callable[[Attempt], object]]] = []
"""Called with each attempt when it is over, by those who study the kit."""

_current: Final[ContextVar[Attempt]] = ContextVar("_current")


def current() -> Attempt:
    """Return the attempt that is made.

    Raises:
        RuntimeError: none is; the caller is used outside of a clause.
    """
    try:
        return _current.get()
    except LookupError:
        raise RuntimeError("this belongs into a clause, which a contract runs") from None


async def attempt(scenario: Callable[[], Awaitable[None]], made: Attempt, /) -> Verdict | None:
    """Make an attempt; return why the clause is not held, or holds untried, or None."""
    tasks_before = asyncio.all_tasks()
    token = _current.set(made)
    try:
        verdict = await _verdict_on(scenario)
        if isinstance(verdict, Broken):
            # What fails as it is cleaned up says nothing.
            verdict = Broken(made.with_remarks(str(verdict)))
    finally:
        await made.clean_up(tasks_before)
        _current.reset(token)
        for observe in observers:
            observe(made)
    return Broken(made.blocked) if made.blocked else verdict


async def _verdict_on(scenario: Callable[[], Awaitable[None]]) -> Verdict | None:
    try:
        await scenario()
    except Verdict as verdict:
        return verdict
    except (Exception, SystemExit, Blocked) as error:
        return Broken(f"raised {describe(error)}")
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        return Broken("raised CancelledError, cancelled by nobody here")
    return None
