"""How a contract is run: clause by clause, into a report, or as tests."""

import asyncio
import difflib
import inspect
import unittest
from collections.abc import Collection, Iterator, Mapping
from functools import partial
from types import FrameType
from typing import Final
from weakref import WeakKeyDictionary

from gost_core.testing._run.as_tests import as_tests
from gost_core.testing._run.attempt import Attempt, Broken, NotTried, Verdict, attempt, current
from gost_core.testing._run.declaring import FIRST, Declared, clause, fields_of, full_name
from gost_core.testing._run.report import Clause, Outcome, Report, Result
from gost_core.testing._run.secrets import censored
from gost_core.testing._run.verify import SHAPE, examine, interface_name
from gost_core.testing._run.waiting import expect, given, owned
from gost_core.testing._run.watchdog import watched

__all__ = ("FIRST", "Contract", "clause")

# After a scenario all tasks that began with it are ended, so two must never overlap.
_turns: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock]] = WeakKeyDictionary()


class Contract(Declared):
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
    """Seconds for each wait for something that the contract says will end, and for each turn of the
    event loop."""

    def __post_init__(self) -> None:
        """Refuse what cannot be tried."""
        make = vars(self).get("make")
        if make is not None and not callable(make):
            raise TypeError(f"`make` must be a function that builds one, and is {make!r:.80}")

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
        specimen = await given(self._specimen(), "building the object")
        if inspect.iscoroutine(specimen):
            specimen.close()
            raise Broken("the factory is async; give one that returns the object")
        current().subject = full_name(type(specimen))
        assert self._interface is not None
        findings = examine(specimen, self._interface)
        expect(not findings.problems, "\n".join(findings.problems))

    def _secrets(self) -> Iterator[str]:
        """Return what the report must not tell: what the fields hold that have no repr."""
        for one in fields_of(type(self)):
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
            The report. A broken clause raises nothing; for that, call ``raise_if_broken()`` on it.

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
            with watched() as begin:
                subject = ""
                results: dict[str, Result] = {}
                for one in chosen:
                    missing = [
                        needed
                        for needed in one.after
                        if results[needed].outcome is not Outcome.HELD
                    ]
                    if missing:
                        detail = f"it needs {', '.join(missing)}"
                        results[one.id] = Result(one, Outcome.NOT_TRIED, detail)
                        continue
                    made = Attempt(one.id, self.time_limit)
                    begin(made)
                    verdict = await attempt(partial(self._scenarios[one.id], self), made)
                    subject = subject or made.subject
                    results[one.id] = self._judged(one, verdict, reasons.get(one.id))
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

    def _judged(self, one: Clause, verdict: Verdict | None, reason: str | None) -> Result:
        """Return the result of an attempt, of a clause that is perhaps known to be broken."""
        detail = "" if verdict is None else str(verdict)
        for secret in self._secrets():
            detail = censored(detail, secret)
        match verdict:
            case NotTried():
                return Result(one, Outcome.NOT_TRIED, detail)
            case Broken() if reason is None:
                return Result(one, Outcome.BROKEN, detail)
            case Broken():
                return Result(one, Outcome.KNOWN, f"{reason}\n{detail}")
            case _ if reason is None:
                return Result(one, Outcome.HELD, detail)
            case _:
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


def _module_of(frame: FrameType | None) -> str:
    """Return the module from which a method with this frame was called."""
    caller = None if frame is None else frame.f_back
    return __name__ if caller is None else str(caller.f_globals.get("__name__", __name__))
