"""The verbs in which the scenarios of all clauses are written.

None of them waits without a bound: what the contract says will end gets the contract's time limit.
What a scenario opens it keeps, what it begins it starts, so that nothing outlives it.
"""

import asyncio
import contextlib
import random
import re
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Generator, Iterable
from concurrent.futures import Future
from contextvars import ContextVar
from itertools import count
from types import FrameType
from typing import Any, Final, TypeVar

from gost_core.common.net import Closer
from gost_core.testing._run.attempt import Broken, Exempt, NotTried, Verdict, current
from gost_core.testing._run.report import describe

__all__ = (
    "all_within",
    "applies",
    "closable",
    "may_refuse",
    "by_task_that_ends",
    "by_task_that_goes_on",
    "ended",
    "expect",
    "expect_cancelled",
    "expect_raises",
    "failure_of",
    "given",
    "in_threads",
    "keep",
    "leaving_no_task",
    "left_of",
    "need",
    "noting_tasks",
    "outcome_of",
    "owned",
    "raises",
    "returned",
    "settle",
    "start",
    "turns",
    "until",
    "within",
)

R = TypeVar("R")

_THREADS: Final[int] = 4
# How many calls they begin at the same moment, each with a turn for the others at many steps.
_TOGETHER: Final[int] = 100
# What belongs to a component has a name (D20); a task may be without, or called None.
_NAMELESS: Final[re.Pattern[str]] = re.compile(r"Task-\d+$|None$")
_begun: Final[ContextVar[list[asyncio.Task[Any]] | None]] = ContextVar("_begun", default=None)
# More than a single call does that threads make.
_ADDITIONS: Final[int] = 10_000


# ---- What is there, and what is so


def need(hook: R | None, name: str, /) -> R:
    """Return what the contract was given under ``name``; without it, the clause is not tried."""
    if hook is None:
        # It may say more behind a closing quote.
        last = "" if name.count("`") % 2 else "`"
        raise NotTried(f"no `{name}{last} was given")
    return hook


def applies(condition: bool, otherwise: str, /) -> None:
    """Leave a clause that the contract lets the object do without; ``otherwise`` says why."""
    if not condition:
        raise Exempt(otherwise)


@contextlib.contextmanager
def may_refuse(error_type: type[Exception], /) -> Generator[None]:
    """Leave the clause if the block raises what says that something is not offered."""
    try:
        yield
    except error_type as error:
        raise Exempt(f"it is not offered: {describe(error)}") from error


def closable(component: object, /) -> Closer:
    """Return a component as a Closer, which it need not be."""
    if not isinstance(component, Closer):
        raise Exempt("it has no close()")
    return component


def expect(condition: bool, observed: str, /) -> None:
    """Break the clause unless ``condition`` holds; ``observed`` says what was seen instead."""
    if not condition:
        raise Broken(observed)


def returned(value: R | None, what: str, /) -> R:
    """Break the clause if a call returned None, whatever its annotation says."""
    if value is None:
        raise Broken(f"{what} returned None")
    return value


@contextlib.contextmanager
def expect_raises(what: str, *expected: type[BaseException]) -> Generator[None]:
    """Break the clause unless the block raises one of ``expected``; ``what`` names the call."""
    try:
        yield
    except Verdict:
        raise
    except expected:
        return
    except Exception as error:
        raised, wanted = describe(error), _names(expected)
        if type(error).__name__ in wanted.split(" or "):
            # Two classes of one name are told apart by their modules.
            raised = f"{type(error).__module__}.{raised}"
            wanted = _names(expected, modules=True)
        raise Broken(f"{what} raised {raised} instead of {wanted}") from error
    raise Broken(f"{what} raised nothing instead of {_names(expected)}")


def _names(classes: tuple[type[BaseException], ...], *, modules: bool = False) -> str:
    return " or ".join(f"{cls.__module__}." * modules + cls.__name__ for cls in classes)


# ---- What is kept


def keep(cleanup: Callable[[], object], /) -> None:
    """Have ``cleanup`` called, and awaited, at the end of the scenario; the last one is first."""
    current().cleanups.append(cleanup)


def owned(built: R, /) -> R:
    """Return what a factory built, to be closed when the scenario is over if it is a Closer."""
    if isinstance(built, Closer):
        keep(built.close)
    return built


# ---- Calls that must end


async def within(awaitable: Awaitable[R], what: str, /) -> R:
    """Await something that the contract says will end; ``what`` names the call."""
    limit = current().time_limit
    task = asyncio.ensure_future(awaitable)
    try:
        with current().waiting():
            await asyncio.wait({task}, timeout=limit)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if not task.done():
        task.add_done_callback(_no_news)
        task.cancel()
        raise Broken(f"{what} did not end within {limit:g} s")
    if task.cancelled():
        raise Broken(f"{what} was cancelled, by nobody here")
    return task.result()


async def raises(
    awaitable: Awaitable[object], what: str, /, *expected: type[BaseException]
) -> None:
    """Break the clause unless awaiting raises one of ``expected``."""
    with expect_raises(what, *expected):
        await within(awaitable, what)


async def given(awaitable: Awaitable[R], what: str, /) -> R:
    """Await a step that leads to what is on trial; ``what`` says which one failed."""
    try:
        return await within(awaitable, what)
    except Verdict:
        raise
    except Exception as error:
        raise Broken(f"{what} raised {describe(error)}") from error


async def all_within(awaitables: Iterable[Awaitable[R]], what: str, /) -> list[R]:
    """Await calls that go on at once, as long as one of them ends within each time limit.

    How long all of them take depends on the machine, and on how many threads serve them.
    """
    calls = [start(one) for one in awaitables]
    await ended(*calls)
    late = sum(not one.done() for one in calls)
    expect(not late, f"{what}: {late} did not end within {current().time_limit:g} s")
    return [one.result() for one in calls]


async def by_task_that_ends(awaitable: Awaitable[R], what: str, /) -> R:
    """Await in a task of its own, which is over when this returns."""

    async def call() -> R:
        return await awaitable

    return await within(asyncio.ensure_future(call()), what)


async def by_task_that_goes_on(awaitable: Awaitable[R], what: str, /) -> R:
    """Await in a task that goes on afterwards, to the end of the scenario.

    What may not depend on the end of the task that made it (D4) is on trial in one clause, and must
    not break all the others.
    """
    result: asyncio.Future[R] = asyncio.get_running_loop().create_future()

    async def live() -> None:
        try:
            result.set_result(await awaitable)
        except Exception as error:
            result.set_exception(error)
        await asyncio.Event().wait()

    living = start(live())
    keep(living.cancel)
    return await within(result, what)


async def in_threads(work: Callable[[int], R], times: int, what: str, /) -> list[list[R]]:
    """Call ``work`` in several threads at once, which take turns as often as possible.

    Each thread calls it so many times, with 0, 1, 2 and so on; the first calls begin together, and
    others go on between their steps. Returns, for each thread, what its calls have returned. The
    clause is broken if they are not done within the time limit, and then none of them ends while as
    many threads count under a lock: on a machine under load, threads wait long for their turns.
    """
    lock, numbers = threading.Lock(), count()

    def count_under_lock(_number: int) -> None:
        with lock:
            next(numbers)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        results, failures, calls = _threads(work, times)
        await ended(calls)
        while not calls.done() and not failures:
            done = sum(map(len, results))
            _, _, beside = _threads(count_under_lock, _ADDITIONS)
            await asyncio.wait({calls, beside}, return_when=asyncio.FIRST_COMPLETED)
            expect(
                calls.done() or sum(map(len, results)) > done,
                f"{what} did not end within {current().time_limit:g} s",
            )
        if failures:
            raise failures[0]
        return results
    finally:
        sys.setswitchinterval(interval)


def _yielding(frame: FrameType, event: str, _argument: object, /) -> Any:
    """Trace a thread: at some of its steps, others go on, as they may even within a line."""
    if event == "call":
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
    if event == "opcode" and not random.getrandbits(4):
        time.sleep(0)
    return _yielding


def _threads(
    work: Callable[[int], R], times: int
) -> tuple[list[list[R]], list[BaseException], "asyncio.Future[list[None]]"]:
    """Begin the calls; return where results and failures come to stand, and what ends with them."""
    barrier = threading.Barrier(_THREADS)
    futures = [Future[None]() for _ in range(_THREADS)]
    results, failures = [list[R]() for _ in futures], list[BaseException]()

    def call(results: list[R], future: Future[None]) -> None:
        before = sys.gettrace()
        try:
            for number in range(times):
                if number < _TOGETHER:
                    barrier.wait()
                    sys.settrace(_yielding)
                results.append(work(number))
                sys.settrace(before)
        except BaseException as error:
            failures.append(error)
            barrier.abort()
        finally:
            sys.settrace(before)
            future.set_result(None)

    for mine, future in zip(results, futures, strict=True):
        future.set_running_or_notify_cancel()
        # A daemon: a deadlock within the object must not keep the process from ending.
        threading.Thread(target=call, args=(mine, future), daemon=True).start()
    return results, failures, start(asyncio.gather(*map(asyncio.wrap_future, futures)))


# ---- Calls that go on


def start(awaitable: Awaitable[R], /) -> "asyncio.Future[R]":
    """Begin something that goes on beside the scenario, and is cancelled when that is over."""
    future = asyncio.ensure_future(awaitable)
    current().started.append(future)
    future.add_done_callback(_no_news)
    return future


async def noting_tasks(awaitable: Awaitable[R], begun: list[asyncio.Task[Any]], /) -> R:
    """Await in the task that calls, and note those that it begins meanwhile, and nobody else's."""
    loop = asyncio.get_running_loop()
    found = loop.get_task_factory()
    noting = found if isinstance(found, _Noting) else _Noting(found)
    loop.set_task_factory(noting)
    noting.calls += 1
    token = _begun.set(begun)
    try:
        return await awaitable
    finally:
        _begun.reset(token)
        noting.calls -= 1
        if not noting.calls and loop.get_task_factory() is noting:
            loop.set_task_factory(noting.before)


class _Noting:
    """Makes the tasks of a loop while calls are to note theirs: one for all of them."""

    def __init__(self, before: Callable[..., "asyncio.Future[Any]"] | None) -> None:
        self.before: Final = before
        self.calls = 0

    def __call__(
        self, loop: asyncio.AbstractEventLoop, coro: Any, /, **options: Any
    ) -> "asyncio.Future[Any]":
        task = (self.before or _task)(loop, coro, **options)
        begun = _begun.get()
        if begun is not None and isinstance(task, asyncio.Task):
            begun.append(task)
        return task


def left_of(begun: list[asyncio.Task[Any]], /) -> list[asyncio.Task[Any]]:
    """Return the tasks that go on, and belong to a call: those of a component have names."""
    others = current().others
    return [
        one
        for one in begun
        if not one.done() and one not in others and _NAMELESS.match(one.get_name())
    ]


async def leaving_no_task(call: Awaitable[R], what: str, /) -> R:
    """Await in a task of its own, and break the clause if it fails while what it began goes on."""
    begun = list[asyncio.Task[Any]]()
    try:
        return await noting_tasks(call, begun)
    except Exception:
        # What was cancelled may still be about to end.
        left = [one for one in left_of(begun) if not one.cancelling()]
        expect(not left, f"{what} failed, and left {left}")
        raise


def _task(loop: asyncio.AbstractEventLoop, coro: Any, /, **options: Any) -> "asyncio.Task[Any]":
    return asyncio.Task(coro, loop=loop, **options)


def _no_news(done: "asyncio.Future[Any]") -> None:
    """Have asyncio not report a failure that no scenario asks about."""
    if not done.cancelled():
        done.exception()


async def turns(count: int, /) -> None:
    """Let the event loop go round."""
    for _ in range(count):
        await asyncio.sleep(0)


async def settle() -> None:
    """Let happen what is ready to happen."""
    await turns(20)
    await asyncio.sleep(0.01)


async def until(condition: Callable[[], bool], otherwise: str, /) -> None:
    """Break the clause unless something becomes so; ``otherwise`` says what is wrong if not."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    with current().waiting():
        while not condition():
            waited = loop.time() - began
            expect(waited < current().time_limit, otherwise)
            # What is on trial announces nothing; what takes long is looked for less often.
            await asyncio.sleep(max(0.001, waited / 16))


async def ended(*futures: "asyncio.Future[Any]", any_of_them: bool = False) -> None:
    """Wait until calls have ended, however they did, or for the time limit none of them has."""
    loop, limit = asyncio.get_running_loop(), current().time_limit
    last, left = loop.time(), set(futures)

    def note(_: object) -> None:
        nonlocal last
        last = loop.time()

    for one in left:
        one.add_done_callback(note)
    when = asyncio.FIRST_COMPLETED if any_of_them else asyncio.ALL_COMPLETED
    while left and (patience := last + limit - loop.time()) > 0:
        with current().waiting():
            done, left = await asyncio.wait(left, timeout=patience, return_when=when)
        if any_of_them and done:
            break


async def expect_cancelled(future: "asyncio.Future[Any]", what: str, /) -> None:
    """Cancel a call, and break the clause unless it ends by that."""
    future.cancel()
    await ended(future)
    expect(future.cancelled(), f"a cancelled {what} {outcome_of(future)}")
    current().remarks.append(lambda: f"a cancelled {what} came before")


def failure_of(future: "asyncio.Future[Any]", /) -> BaseException | None:
    """Return what a call that has ended raised."""
    return asyncio.CancelledError() if future.cancelled() else future.exception()


def outcome_of(future: "asyncio.Future[Any]", /) -> str:
    """Say how a call ended, for a report."""
    if not future.done():
        return "still waited"
    if future.cancelled():
        return "was cancelled"
    if error := future.exception():
        return f"raised {describe(error)}"
    return f"returned {future.result()!r:.50}"
