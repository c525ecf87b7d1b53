"""The checks of gost_core.testing, tried on implementations whose faults are known."""

import asyncio
from typing import Any

import pytest

from gost_core.testing import ContractError, Report, check_listener_listener
from tests.kit import FAULTS, TRIALS, Fault, Trial


def outcome(fault: Fault) -> Report:
    with pytest.raises(ContractError) as raised:
        asyncio.run(fault.run())
    return raised.value.report


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.clause}:{fault.name}")
def test_the_check_names_exactly_the_broken_clause(fault: Fault) -> None:
    report = outcome(fault)
    assert [result.clause.id for result in report.broken] == [fault.clause], str(report)


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: trial.check.__name__)
def test_a_right_implementation_keeps_every_clause(trial: Trial[Any]) -> None:
    report = asyncio.run(trial.run(trial.right))
    assert len(report.held) == len(trial.clauses()), str(report)


def test_every_clause_has_a_fault() -> None:
    clauses = {clause.id for trial in TRIALS for clause in trial.clauses()}
    assert clauses == {fault.clause for fault in FAULTS}


def test_a_check_of_a_listener_needs_a_listener() -> None:
    with pytest.raises(TypeError, match="nothing to check"):
        asyncio.run(check_listener_listener(None, None))
