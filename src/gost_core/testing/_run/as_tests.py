"""One test for each clause, for pytest and for unittest."""

import importlib
import unittest
from collections.abc import Callable
from functools import cache
from typing import Final

from gost_core.testing._run.report import Clause, ContractError, Outcome, Report

__all__ = ("as_tests",)

# unittest leaves the frames of a module with this name out of what it prints.
__unittest: Final = True


class _ClauseTests(unittest.TestCase):
    """Tests that know who runs them."""

    by_pytest = False

    def run(self, result: unittest.TestResult | None = None) -> unittest.TestResult | None:
        """Run one of them; pytest has it reported to an object of its own."""
        self.by_pytest = type(result).__module__.startswith("_pytest.")
        return super().run(result)


def as_tests(
    name: str, module: str, clauses: tuple[Clause, ...], run: Callable[[], Report]
) -> type[unittest.TestCase]:
    """Return a class of tests.

    Args:
        name: what it is called.
        module: where it is made, for those who look for it by its name.
        clauses: a test for each of these.
        run: runs the contract; called once a process, by the first of the tests.
    """
    report = cache(run)
    tests = {f"test_{one.id}": _test_of(one, report) for one in clauses}
    return type(name, (_ClauseTests,), {"__module__": module, **tests})


def _test_of(one: Clause, run: Callable[[], Report]) -> Callable[[_ClauseTests], None]:
    """Return a test that judges the result of a clause."""

    def test(self: _ClauseTests) -> None:
        report = run()
        [result] = (result for result in report.results if result.clause.id == one.id)
        match result.outcome:
            case Outcome.HELD:
                return
            case Outcome.NOT_TRIED:
                self.skipTest(f"{one.id}: {result.detail}")
            case Outcome.KNOWN:
                self.skipTest(f"{one.id} is known to be broken: {result.detail}")
            case Outcome.BROKEN:
                error = ContractError(Report(report.subject, report.interface, (result,)))
                if self.by_pytest:
                    # The message alone: no frame in here is of interest to whoever reads it.
                    importlib.import_module("pytest").fail(str(error), pytrace=False)
                raise error

    test.__doc__ = one.sentence
    return test
