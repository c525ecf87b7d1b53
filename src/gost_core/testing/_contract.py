"""How a contract is written down as scenarios, and run.

A contract is a class with one method for each clause. The method is a scenario: it builds a fresh
object, does something with it and looks at what comes of it::

    @clause("A second value under a name is refused, and the first stays.", "D60")
    async def duplicate_refused(self) -> None:
        registry = self.build()
        ...

The name of the method gives the clause its id. What a scenario builds it hands to :meth:`keep`,
what may wait it awaits through :meth:`within`, so that nothing outlives it and nothing hangs.
"""

import asyncio
import contextlib
import inspect
import sys
import threading
import unittest
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Generator
from concurrent.futures import Future
from typing import Any, ClassVar, Final, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from gost_core.common.net import Closer
from gost_core.testing._report import Clause, ContractError, Outcome, Report, Result
from gost_core.testing._verify import SHAPE, examine, interface_name

__all__ = (
    "Broken",
    "Contract",
    "NotTried",
    "checks",
    "clause",
    "clauses_of",
    "expect",
    "expect_raises",
    "run",
    "contract_tests",
)

R = TypeVar("R")
P = ParamSpec("P")
ScenarioT = TypeVar("ScenarioT", bound=Callable[..., Coroutine[Any, Any, None]])

_THREADS: Final[int] = 4

# After a scenario all tasks that began with it are ended, so two must never overlap.
_turns: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock]] = WeakKeyDictionary()


class Broken(AssertionError):
    """Raised by a scenario: the object does not keep the clause; says what was observed."""


class NotTried(Exception):
    """Raised by a scenario: the clause could not be tried; says why."""


# The marks of the scenarios, until __init_subclass__ collects them.
_marks: Final[
    dict[Callable[..., Coroutine[object, object, None]], tuple[str, str, tuple[str, ...]]]
] = {}


def clause(
    sentence: str, basis: str, /, *, after: tuple[str, ...] = ("shape",)
) -> Callable[[ScenarioT], ScenarioT]:
    """Make a method of a :class:`Contract` the scenario of a clause.

    Args:
        sentence: what is promised.
        basis: the decisions, such as "D60" or "D1, D27", or the evidence.
        after: the names of the scenarios of this contract whose clauses must hold before this one
            can be tried.
    """

    def mark(scenario: ScenarioT) -> ScenarioT:
        _marks[scenario] = (sentence, basis, after)
        return scenario

    return mark


def expect(condition: bool, observed: str, /) -> None:
    """Break the clause unless ``condition`` holds."""
    if not condition:
        raise Broken(observed)


@contextlib.contextmanager
def expect_raises(what: str, *expected: type[BaseException]) -> Generator[None]:
    """Break the clause unless the block raises one of ``expected``; ``what`` names the call."""
    try:
        yield
    except (Broken, NotTried):
        raise
    except expected:
        return
    except Exception as error:
        raise Broken(f"{what} raised {describe(error)} instead of {_names(expected)}") from error
    raise Broken(f"{what} raised nothing instead of {_names(expected)}")


def describe(error: BaseException) -> str:
    """Name an exception as a report does."""
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _names(classes: tuple[type[BaseException], ...]) -> str:
    return " or ".join(cls.__name__ for cls in classes)


class Contract(ABC):
    """The scenarios of one interface; see the module's docstring."""

    clauses: ClassVar[tuple[Clause, ...]] = ()
    interface: ClassVar[type[object]] = object
    _scenarios: ClassVar[dict[str, Callable[..., Coroutine[object, object, None]]]] = {}

    def __init__(self) -> None:
        self.time_limit = 5.0
        self.subject = "?"
        self._cleanups: list[Callable[[], Awaitable[None]]] = []
        self._started: list[asyncio.Future[Any]] = []

    def __init_subclass__(cls, *, interface: type[object]) -> None:
        super().__init_subclass__()
        cls.interface = interface
        name = interface_name(interface)
        scenarios = {
            method: function
            for base in reversed(cls.__mro__)
            for method, function in vars(base).items()
            if inspect.isfunction(function) and function in _marks
        }
        cls.clauses = tuple(
            Clause(
                id=f"{name}.{_dashed(method)}",
                sentence=_marks[function][0],
                basis=_marks[function][1],
                after=tuple(f"{name}.{_dashed(one)}" for one in _marks[function][2]),
            )
            for method, function in scenarios.items()
        )
        cls._scenarios = {f"{name}.{_dashed(method)}": f for method, f in scenarios.items()}
        known = {one.id for one in cls.clauses}
        for one in cls.clauses:
            if missing := set(one.after) - known:
                raise TypeError(f"{one.id} comes after {sorted(missing)}, which do not exist")

    # ---- What scenarios use

    @abstractmethod
    async def specimen(self) -> object:
        """Build an object for the clause ``shape``, and keep it."""

    @clause(SHAPE, "", after=())
    async def shape(self) -> None:
        """Compare the object with the interface."""
        try:
            specimen = await self.within(self.specimen(), "building the object")
            if inspect.iscoroutine(specimen):
                specimen.close()
                raise Broken("the factory is async; give one that returns the object")
        except (Broken, NotTried):
            raise
        except Exception as error:
            # Not "not tried": a factory that always fails would pass for a success.
            raise Broken(f"building the object raised {describe(error)}") from error
        self.subject = type(specimen).__qualname__
        findings = examine(specimen, self.interface)
        expect(not findings.problems, "\n".join(findings.problems))

    def keep(self, cleanup: Callable[[], Awaitable[None]]) -> None:
        """Have ``cleanup`` called when the scenario is over; the last one kept is the first."""
        self._cleanups.append(cleanup)

    def owned(self, built: R) -> R:
        """Return what a factory built, to be closed when the scenario is over if it is a Closer."""
        if isinstance(built, Closer):
            self.keep(built.close)
        return built

    async def within(self, awaitable: Awaitable[R], what: str) -> R:
        """Await something that the contract says will end; ``what`` names the call."""
        task = asyncio.ensure_future(awaitable)
        try:
            await asyncio.wait({task}, timeout=self.time_limit)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if not task.done():
            task.cancel()
            raise Broken(f"{what} did not end within {self.time_limit:g} s")
        if task.cancelled():
            raise Broken(f"{what} was cancelled, by nobody here")
        return task.result()

    async def raises(
        self, awaitable: Awaitable[object], what: str, *expected: type[BaseException]
    ) -> None:
        """Break the clause unless awaiting raises one of ``expected``."""
        with expect_raises(what, *expected):
            await self.within(awaitable, what)

    async def given(self, awaitable: Awaitable[R], what: str) -> R:
        """Await something that the scenario needs; if that fails, the clause is not tried."""
        try:
            return await self.within(awaitable, what)
        except NotTried:
            raise
        except Exception as error:
            raise NotTried(f"{what} failed: {describe(error)}") from error

    def start(self, awaitable: Awaitable[R]) -> "asyncio.Future[R]":
        """Begin something that goes on beside the scenario, and is cancelled when that is over."""
        future = asyncio.ensure_future(awaitable)
        # The event loop itself holds a task only weakly.
        self._started.append(future)
        # A failure that no scenario asks about is no news.
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        return future

    async def in_threads(self, work: Callable[[], R], what: str) -> list[R]:
        """Call ``work`` in several threads at once, which take turns as often as possible."""
        barrier = threading.Barrier(_THREADS)
        futures = [Future[R]() for _ in range(_THREADS)]

        def call(future: Future[R]) -> None:
            barrier.wait()
            try:
                future.set_result(work())
            except Exception as error:
                future.set_exception(error)

        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            for future in futures:
                future.set_running_or_notify_cancel()
                # A daemon: a deadlock within the object must not keep the process from ending.
                threading.Thread(target=call, args=(future,), daemon=True).start()
            return await self.within(asyncio.gather(*map(asyncio.wrap_future, futures)), what)
        finally:
            sys.setswitchinterval(interval)

    async def settle(self) -> None:
        """Let happen what is ready to happen."""
        for _ in range(20):
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)

    # ---- How they are run

    async def run(self) -> Report:
        """Try each clause, and report; other checks in this event loop wait for their turn."""
        async with _turns.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            return await self._run()

    async def _run(self) -> Report:
        results: list[Result] = []
        held: set[str] = set()
        for one in self.clauses:
            missing = [needed for needed in one.after if needed not in held]
            if missing:
                detail = f"it needs {', '.join(missing)}"
                result = Result(one, Outcome.NOT_TRIED, detail)
            else:
                result = await self._try(one)
            if result.outcome is Outcome.HELD:
                held.add(one.id)
            results.append(result)
        return Report(self.subject, interface_name(self.interface), tuple(results))

    async def _try(self, one: Clause) -> Result:
        tasks_before = asyncio.all_tasks()
        try:
            await self._scenarios[one.id](self)
        except NotTried as reason:
            return Result(one, Outcome.NOT_TRIED, str(reason))
        except Broken as observation:
            return Result(one, Outcome.BROKEN, str(observation))
        except (Exception, SystemExit) as error:
            return Result(one, Outcome.BROKEN, f"raised {describe(error)}")
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            return Result(one, Outcome.BROKEN, "raised CancelledError, cancelled by nobody here")
        finally:
            await self._clean_up(tasks_before)
        return Result(one, Outcome.HELD)

    async def _clean_up(self, tasks_before: set[asyncio.Task[Any]]) -> None:
        while self._cleanups:
            cleanup = self._cleanups.pop()
            # What goes wrong here is the affair of other clauses; this one has its outcome.
            with contextlib.suppress(Exception):
                await self.within(cleanup(), "cleaning up")
        leftover = asyncio.all_tasks() - tasks_before
        for task in leftover:
            task.cancel()
        if leftover:
            await asyncio.wait(leftover, timeout=self.time_limit)
        self._started.clear()


def _dashed(name: str) -> str:
    return name.replace("_", "-")


CheckT = TypeVar("CheckT", bound=Callable[..., Coroutine[Any, Any, Report]])

_contracts: Final[dict[object, type[Contract]]] = {}


def checks(contract: type[Contract], /) -> Callable[[CheckT], CheckT]:
    """Say which contract a ``check_`` function runs."""

    def remember(check: CheckT) -> CheckT:
        _contracts[check] = contract
        return check

    return remember


async def run(contract: Contract, time_limit: float, /) -> Report:
    """Run a contract as a ``check_`` function does.

    Args:
        contract: over the factories and hooks that the function was given.
        time_limit: seconds for each wait for something that the contract says will end.

    Raises:
        ContractError: a clause is broken.
    """
    contract.time_limit = time_limit
    report = await contract.run()
    if report.broken:
        raise ContractError(report)
    return report


def clauses_of(check: Callable[..., Coroutine[object, object, Report]], /) -> tuple[Clause, ...]:
    """Return the clauses that a ``check_`` function tries, in order.

    Raises:
        TypeError: ``check`` is not one of them.
    """
    try:
        return _contracts[check].clauses
    except KeyError:
        raise TypeError(f"{check!r} is none of the check_ functions of gost_core.testing") from None


def contract_tests(
    check: Callable[P, Coroutine[object, object, Report]], /, *args: P.args, **kwargs: P.kwargs
) -> type[unittest.TestCase]:
    """Return a class with one test for each clause, for pytest and for unittest.

    Assign it where your test runner looks for test classes::

        TestRegistry = contract_tests(check_registry_registry, MyRegistry, Thing)

    The tests are named after the clauses: ``test_registry.Registry.found``. The check runs once,
    before the first of them. A clause that could not be tried is a skipped test.

    Args:
        check: one of the ``check_`` functions.
        args: what to call it with.
        kwargs: likewise.
    """

    class ContractTest(unittest.TestCase):
        report: ClassVar[Report]

        @classmethod
        def setUpClass(cls) -> None:
            try:
                cls.report = asyncio.run(check(*args, **kwargs))
            except ContractError as error:
                cls.report = error.report

    for position, one in enumerate(clauses_of(check)):
        setattr(ContractTest, f"test_{one.id}", _test_of(position))
    return ContractTest


def _test_of(position: int) -> Callable[[Any], None]:
    """Return a test method that judges one result of the report of its class."""

    # Any: the report is an attribute of the class above, which has no name out here.
    def test(self: Any) -> None:
        report: Report = self.report
        result = report.results[position]
        if result.outcome is Outcome.NOT_TRIED:
            self.skipTest(f"{result.clause.id}: {result.detail}")
        if result.outcome is Outcome.BROKEN:
            raise ContractError(Report(report.subject, report.interface, (result,)))

    return test
