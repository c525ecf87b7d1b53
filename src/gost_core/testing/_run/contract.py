"""How a contract is written down: fields are its parameters, methods are its clauses.

::

    class RegistryContract(Contract, Generic[T], interface=Registry):
        make: Callable[[], Registry[T]] = field(kw_only=False)
        '''Makes an empty registry.'''
        value: Callable[[], T]
        '''Makes a value that may be registered.'''

        @clause("A second value under a name is refused, and the first stays.", "D60")
        async def duplicate_refused(self) -> None:
            registry = owned(self.make())
            ...

The name of the method gives the clause its id. Helpers of a scenario have names with an underscore
in front; the verbs of ``waiting`` are functions. Several contracts inherit clauses that they share
from a family, a class that names no interface.
"""

import asyncio
import difflib
import inspect
import sys
import threading
import unittest
from abc import ABC
from collections.abc import Callable, Collection, Coroutine, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import Field, dataclass, field
from functools import partial
from types import FrameType
from typing import Any, ClassVar, Final, TypeGuard, TypeVar
from weakref import WeakKeyDictionary

from typing_extensions import dataclass_transform

from gost_core.testing._run.as_tests import as_tests
from gost_core.testing._run.attempt import Attempt, Broken, NotTried, attempt, current
from gost_core.testing._run.report import Clause, Outcome, Report, Result, describe
from gost_core.testing._run.verify import SHAPE, examine, interface_name
from gost_core.testing._run.waiting import expect, owned, within

__all__ = ("FIRST", "Contract", "clause")

Scenario = Callable[..., Coroutine[Any, Any, None]]
ScenarioT = TypeVar("ScenarioT", bound=Scenario)

FIRST: Final[str] = "(first)"
"""In ``after`` of a family's clause: what the contract itself names as ``first``."""

# How long a clause is tried before a terminal is told which one it is, in seconds.
_SILENCE: Final[float] = 2.0
_API: Final[frozenset[str]] = frozenset(("as_tests", "check", "clauses", "run"))

# After a scenario all tasks that began with it are ended, so two must never overlap.
_turns: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock]] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class _Mark:
    """What :func:`clause` says of a scenario."""

    sentence: str
    basis: str
    after: tuple[str, ...]


_marks: Final[dict[object, _Mark]] = {}


def clause(
    sentence: str, basis: str, /, *, after: tuple[str, ...] = ("shape",)
) -> Callable[[ScenarioT], ScenarioT]:
    """Make a method of a :class:`Contract` the scenario of a clause.

    The method is async and takes no arguments. It returns when the object keeps the clause; an
    AssertionError or any other exception breaks it, and :class:`NotTried` says that it could not
    be tried.

    Args:
        sentence: what is promised.
        basis: the decisions, such as "D60" or "D1, D27", or the evidence; "" = none.
        after: the names of the methods of this contract whose clauses must hold before this one
            can be tried.
    """

    def mark(scenario: ScenarioT) -> ScenarioT:
        _marks[scenario] = _Mark(sentence, basis, after)
        return scenario

    return mark


@dataclass_transform(eq_default=False, kw_only_default=True, field_specifiers=(field,))
class Contract(ABC):  # noqa: B024 families have abstract methods
    """The contract of an interface: its clauses, and what they need in order to be tried.

    A subclass declares what it must be given as fields, and adds clauses::

        class Ours(BypassContract[BypassT]):
            private: str = "10.0.0.1:80"

            @clause("Private networks are never bypassed.", "ours")
            async def private_networks(self) -> None: ...

    It inherits the interface and all clauses. Each subclass is made a dataclass, whose fields are
    passed by keyword. A contract holds parameters only: it can be run twice, and twice at once.

    A class may be made with these keywords:

    - ``interface``: the protocol that is promised. A class that neither names one nor inherits one
      is a family: clauses for contracts to inherit.
    - ``first``: the methods whose clauses come before those of a family that are said to come
      after the first.
    - ``said``: sentence and basis of inherited clauses, by their methods, that must be said anew.
    """

    time_limit: float = 5.0
    """Seconds for each wait for something that the contract says will end."""

    clauses: ClassVar[tuple[Clause, ...]] = ()
    """The clauses, in the order in which they are tried."""

    _interface: ClassVar[type[object] | None] = None
    _first: ClassVar[tuple[str, ...]] = ()
    _said: ClassVar[Mapping[str, tuple[str, str]]] = {}
    # The class that named the interface: clauses of it and of its bases go by the interface's name.
    _namer: ClassVar[type[object]] = object
    _scenarios: ClassVar[Mapping[str, Scenario]] = {}

    def __init_subclass__(
        cls,
        *,
        interface: type[object] | None = None,
        first: tuple[str, ...] | None = None,
        said: Mapping[str, tuple[str, str]] | None = None,
    ) -> None:
        super().__init_subclass__()
        if interface is not None:
            cls._interface = interface
            cls._namer = cls
        if first is not None:
            cls._first = first
        cls._said = {**cls._said, **(said or {})}
        _refuse_taken_names(cls)
        dataclass(eq=False, kw_only=True, repr=False)(cls)
        if cls._interface is not None:
            cls.clauses, cls._scenarios = cls._collected(interface_name(cls._interface))

    @classmethod
    def _collected(cls, name: str) -> tuple[tuple[Clause, ...], dict[str, Scenario]]:
        """Return the clauses of the class and its bases, each behind those that it comes after."""
        prefixes: dict[str, str] = {}
        scenarios: dict[str, Scenario] = {}
        for base in reversed(cls.__mro__):
            prefix = name if issubclass(cls._namer, base) else _full_name(base)
            for method, function in vars(base).items():
                if _is_clause(function):
                    prefixes[method] = prefix
                    scenarios[method] = function
        ids = {method: f"{prefix}.{_dashed(method)}" for method, prefix in prefixes.items()}
        after = {method: cls._after(method, scenarios) for method in scenarios}
        order: list[str] = []
        while waiting := [method for method in scenarios if method not in order]:
            ready = [method for method in waiting if set(after[method]) <= set(order)]
            if not ready:
                raise TypeError(f"{cls.__qualname__}: {', '.join(waiting)} wait for each other")
            order.append(ready[0])
        clauses: list[Clause] = []
        for method in order:
            mark = _marks[scenarios[method]]
            sentence, basis = cls._said.get(method, (mark.sentence, mark.basis))
            needed = tuple(ids[one] for one in after[method])
            clauses.append(Clause(ids[method], sentence, basis, needed))
        if unknown := set(cls._said) - set(scenarios):
            raise TypeError(f"{cls.__qualname__} says anew {sorted(unknown)}, which do not exist")
        return tuple(clauses), {ids[method]: scenarios[method] for method in order}

    @classmethod
    def _after(cls, method: str, scenarios: Mapping[str, Scenario]) -> tuple[str, ...]:
        """Return the methods whose clauses come before that of ``method``."""
        after = _marks[scenarios[method]].after
        if FIRST in after:
            # What is first itself cannot come after the first.
            first = () if method in cls._first else cls._first
            after = (*first, *(one for one in after if one != FIRST)) or ("shape",)
        if missing := set(after) - set(scenarios):
            raise TypeError(
                f"{cls.__qualname__}.{method} comes after {sorted(missing)}, which do not exist"
            )
        return after

    # ---- What every contract tries

    async def _specimen(self) -> object:
        """Build an object for the clause ``shape``: what ``make``, without arguments, returns."""
        make = vars(self).get("make")
        if not callable(make):
            raise TypeError(f"{type(self).__qualname__} has no `make`; it must define _specimen()")
        return owned(make())

    @clause(SHAPE, "", after=())
    async def shape(self) -> None:
        """Compare the object with the interface."""
        try:
            specimen = await within(self._specimen(), "building the object")
            if inspect.iscoroutine(specimen):
                specimen.close()
                raise Broken("the factory is async; give one that returns the object")
        except (Broken, NotTried):
            raise
        except Exception as error:
            # Not "not tried": a factory that always fails would pass for a success.
            raise Broken(f"building the object raised {describe(error)}") from error
        current().subject = _full_name(type(specimen))
        assert self._interface is not None
        findings = examine(specimen, self._interface)
        expect(not findings.problems, "\n".join(findings.problems))

    def _secrets(self) -> Iterator[str]:
        """Return what the report must not tell: what the fields hold that have no repr."""
        for one in _fields_of(type(self)):
            value = getattr(self, one.name)
            if not one.repr and isinstance(value, str) and value:
                yield value

    # ---- How it is run

    async def run(
        self, *, only: Collection[str] = (), known: Mapping[str, str] | None = None
    ) -> Report:
        """Try the clauses, and report; other contracts in this event loop wait for their turn.

        Args:
            only: the ids of the clauses to try; what they need is tried as well. Empty = all.
            known: the ids of clauses that are known to be broken, each with the reason. They count
                as known and not as broken; one that is kept counts as broken, since the reason has
                gone.

        Returns:
            The report. A broken clause raises nothing: await ``run()`` and call
            ``raise_if_broken()`` on what it returns.

        Raises:
            ValueError: an id in ``only`` or ``known`` is none of this contract.
            RuntimeError: no asyncio event loop runs.
        """
        chosen = self._chosen(only)
        reasons = dict(known or {})
        self._expect_ids(reasons)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise RuntimeError(
                "a contract needs a running asyncio event loop: await run() in one, or call check()"
            ) from None
        async with _turns.setdefault(loop, asyncio.Lock()):
            subject = ""
            results: dict[str, Result] = {}
            for one in chosen:
                missing = [
                    needed for needed in one.after if results[needed].outcome is not Outcome.HELD
                ]
                if missing:
                    detail = f"it needs {', '.join(missing)}"
                    results[one.id] = Result(one, Outcome.NOT_TRIED, detail)
                    continue
                made = Attempt(self.time_limit)
                with _told_after_silence(one):
                    failure = await attempt(partial(self._scenarios[one.id], self), made)
                subject = subject or made.subject
                results[one.id] = self._judged(one, failure, reasons.get(one.id))
        assert self._interface is not None
        name = interface_name(self._interface)
        return Report(subject or "an object", name, tuple(results.values()))

    def check(
        self,
        *,
        only: Collection[str] = (),
        known: Mapping[str, str] | None = None,
        verbose: bool = False,
    ) -> Report:
        """Run the contract in an event loop of its own, and print the report; for scripts.

        Args:
            only: see :meth:`run`.
            known: see :meth:`run`.
            verbose: True = print each clause with its sentence, those that are kept as well.

        Raises:
            ContractError: clauses are broken; it lists them all.
            RuntimeError: an event loop runs here already: await ``run()`` instead.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            raise RuntimeError("check() runs an event loop of its own; in here, await run()")
        report = asyncio.run(self.run(only=only, known=known))
        report.print(verbose=verbose)
        return report.raise_if_broken()

    def as_tests(
        self, *, only: Collection[str] = (), known: Mapping[str, str] | None = None
    ) -> type[unittest.TestCase]:
        """Return a class with one test for each clause, for pytest and for unittest.

        Assign it where your test runner looks for test classes::

            TestBypass = BypassContract(MyBypass).as_tests()

        The tests are named after the clauses: ``test_bypass.Bypass.answer``. The contract runs
        once a process, before the first of them. A clause that could not be tried, or is known to
        be broken, is a skipped test.

        Args:
            only: see :meth:`run`.
            known: see :meth:`run`.
        """
        chosen = self._chosen(only)
        self._expect_ids(known or {})
        make = vars(self).get("make")
        tried = make.__name__ if isinstance(make, type) else ""
        return as_tests(
            f"{tried}{type(self).__name__}",
            _module_of(inspect.currentframe()),
            chosen,
            lambda: asyncio.run(self.run(only=only, known=known)),
        )

    def _judged(self, one: Clause, failure: Broken | NotTried | None, reason: str | None) -> Result:
        """Return the result of an attempt, of a clause that is perhaps known to be broken."""
        detail = "" if failure is None else str(failure)
        for secret in self._secrets():
            detail = detail.replace(secret, "(a secret)")
        match failure:
            case NotTried():
                return Result(one, Outcome.NOT_TRIED, detail)
            case Broken() if reason is None:
                return Result(one, Outcome.BROKEN, detail)
            case Broken():
                return Result(one, Outcome.KNOWN, f"{reason}\n{detail}")
            case None if reason is None:
                return Result(one, Outcome.HELD)
            case None:
                gone = f"it is kept, so take it out of what is known to be broken ({reason})"
                return Result(one, Outcome.BROKEN, gone)

    def _chosen(self, only: Collection[str]) -> tuple[Clause, ...]:
        """Return the clauses with these ids, and what they need, in order."""
        self._expect_ids(only)
        wanted = set(only)
        for one in reversed(self.clauses):
            if one.id in wanted:
                wanted.update(one.after)
        return tuple(one for one in self.clauses if not only or one.id in wanted)

    def _expect_ids(self, ids: Collection[str]) -> None:
        """Raise ValueError unless all of these are ids of clauses of this contract."""
        if isinstance(ids, str):
            raise ValueError(f"give a collection of ids, such as [{ids!r}]")
        known = [one.id for one in self.clauses]
        for unknown in set(ids) - set(known):
            close = difflib.get_close_matches(unknown, known, 1, 0.0)
            raise ValueError(
                f"{unknown!r} is no clause of {type(self).__qualname__}; "
                + (f"did you mean {close[0]!r}?" if close else "it has none: it is a family")
            )


def _refuse_taken_names(cls: type[Contract]) -> None:
    """Raise TypeError if the class gives a name to two things of which one is a clause."""
    own = vars(cls)
    taken = {
        name: base
        for base in cls.__mro__[1:]
        for name, value in vars(base).items()
        if _is_clause(value)
    }
    annotated = set(inspect.get_annotations(cls))
    inherited_fields = {one.name for base in cls.__mro__[1:] for one in _fields_of(base)}
    for name in sorted(annotated | set(own)):
        value = own.get(name)
        is_clause = _is_clause(value)
        if name in taken:
            raise TypeError(
                f"{cls.__qualname__}.{name}: {taken[name].__qualname__} has a clause of this name"
            )
        if is_clause and (name in annotated or name in inherited_fields):
            raise TypeError(f"{cls.__qualname__}.{name} is both a field and a clause")
        if name in _API and cls.__mro__[1:-1] and name != "clauses":
            raise TypeError(f"{cls.__qualname__}.{name}: every contract has a method of this name")


def _is_clause(value: object) -> TypeGuard[Scenario]:
    """Tell whether a member of a class is a scenario."""
    return inspect.isfunction(value) and value in _marks


def _fields_of(cls: type[object]) -> tuple[Field[Any], ...]:
    """Return the fields of a class that is perhaps a dataclass."""
    return tuple(getattr(cls, "__dataclass_fields__", {}).values())


@contextmanager
def _told_after_silence(one: Clause) -> Generator[None]:
    """Tell a terminal which clause is being tried, if that takes long."""
    if not sys.stderr.isatty():
        yield
        return
    told = threading.Timer(_SILENCE, print, (f"trying {one.id} ...",), {"file": sys.stderr})
    told.daemon = True
    told.start()
    try:
        yield
    finally:
        told.cancel()


def _module_of(frame: FrameType | None) -> str:
    """Return the module from which a method with this frame was called."""
    caller = None if frame is None else frame.f_back
    return __name__ if caller is None else str(caller.f_globals.get("__name__", __name__))


def _full_name(cls: type[object]) -> str:
    """Return the name of a class with its module, as a report tells it."""
    if cls.__module__ in ("builtins", "__main__"):
        return cls.__qualname__
    return f"{cls.__module__}.{cls.__qualname__}"


def _dashed(name: str) -> str:
    return name.replace("_", "-")
