"""The contracts of gost_core.testing, tried on implementations whose faults are known."""

from typing import Any

import pytest

from gost_core.testing import Report
from tests.kit import FAULTS, TRIALS, Fault, Trial, virtual_time


# A right implementation may fail on one Python only; a fault is a fault on each.
@pytest.mark.one_python
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.clause}:{fault.name}")
def test_the_report_names_exactly_the_broken_clause(fault: Fault) -> None:
    def named(report: Report) -> list[str]:
        return [result.clause.id for result in report.broken]

    report = virtual_time.judge(
        lambda: fault.over().run(), lambda report: named(report) == [fault.clause]
    )
    assert named(report) == [fault.clause], str(report)


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: trial.contract.__module__)
def test_a_right_implementation_keeps_every_clause(trial: Trial[Any]) -> None:
    def tried(report: Report) -> int:
        # A clause that holds untried has a detail.
        return sum(not result.detail for result in report.held)

    clauses = len(trial.contract.clauses)
    report = virtual_time.judge(
        lambda: trial.over(trial.right).run(), lambda report: tried(report) == clauses
    )
    assert tried(report) == clauses, str(report)


def test_every_clause_has_a_fault() -> None:
    clauses = {clause.id for trial in TRIALS for clause in trial.contract.clauses}
    assert clauses == {fault.clause for fault in FAULTS}
