"""The checks of gost_core.testing, tried on implementations whose faults are known."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

import pytest

from gost_core.testing import ContractError, Report, check_listener_listener
from tests.kit import FAULTS, TRIALS, Fault, Trial, virtual_time

PATIENT: Final = 20.0


def judged(
    check: Callable[[], Coroutine[object, object, Report]], is_right: Callable[[Report], bool]
) -> Report:
    """Run a check; try it again on a patient clock if its report is not right.

    The limits of a trial are short, for the sake of the faults that hang. So on a busy machine a
    clause may seem broken that is only late, and a wrong report counts when it is so both times.
    """
    report = outcome(check, 1.0)
    return report if is_right(report) else outcome(check, PATIENT)


def outcome(check: Callable[[], Coroutine[object, object, Report]], pace: float) -> Report:
    try:
        return virtual_time.run(check(), pace)
    except ContractError as error:
        return error.report


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.clause}:{fault.name}")
def test_the_check_names_exactly_the_broken_clause(fault: Fault) -> None:
    def named(report: Report) -> list[str]:
        return [result.clause.id for result in report.broken]

    report = judged(fault.run, lambda report: named(report) == [fault.clause])
    assert named(report) == [fault.clause], str(report)


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: trial.check.__name__)
def test_a_right_implementation_keeps_every_clause(trial: Trial[Any]) -> None:
    report = judged(
        lambda: trial.run(trial.right), lambda report: len(report.held) == len(report.results)
    )
    assert len(report.held) == len(trial.clauses()), str(report)


def test_every_clause_has_a_fault() -> None:
    clauses = {clause.id for trial in TRIALS for clause in trial.clauses()}
    assert clauses == {fault.clause for fault in FAULTS}


def test_a_check_of_a_listener_needs_a_listener() -> None:
    with pytest.raises(TypeError, match="nothing to check"):
        asyncio.run(check_listener_listener(None, None))
