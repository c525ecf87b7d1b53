"""Right implementations of real kinds of protocols, and the faults that are planted in them."""

from typing import Any, Final

import pytest

from gost_core.testing import Report
from tests.kit import virtual_time
from tests.kit.protocols import _quic_trial, _ssh_trial, _websocket_trial
from tests.kit.protocols._trial import ProtocolTrial

pytestmark = pytest.mark.one_python

TRIALS: Final[tuple[ProtocolTrial[Any], ...]] = (
    _quic_trial.trial,
    _websocket_trial.trial,
    _ssh_trial.trial,
)


def reports(trial: ProtocolTrial[Any], parts: object, pace: float = 1.0) -> list[Report]:
    return [virtual_time.run(contract.run(), pace) for contract in trial.over(parts)]


def not_held(given: list[Report]) -> dict[str, str]:
    return {
        result.clause.id: str(result)
        for report in given
        for result in report.results
        if result not in report.held
    }


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: trial.name)
def test_a_right_protocol_keeps_every_clause_of_all_its_parts(trial: ProtocolTrial[Any]) -> None:
    unkept = not_held(reports(trial, trial.right))
    if unkept:
        # On a busy machine something may only be late.
        unkept = not_held(reports(trial, trial.right, virtual_time.PATIENT))
    assert not unkept


@pytest.mark.parametrize(
    ("trial", "name"), [(trial, name) for trial in TRIALS for name in trial.faults]
)
def test_a_fault_in_a_protocol_is_caught(trial: ProtocolTrial[Any], name: str) -> None:
    parts, clause = trial.faults[name]
    given = [
        virtual_time.run(contract.run(only=[clause]))
        for contract in trial.over(parts)
        if clause in {one.id for one in contract.clauses}
    ]
    assert clause in [one.clause.id for report in given for one in report.broken]


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: trial.name)
def test_ten_faults_are_planted(trial: ProtocolTrial[Any]) -> None:
    assert len(trial.faults) >= 10
    assert len({clause for _, clause in trial.faults.values()}) >= 10
