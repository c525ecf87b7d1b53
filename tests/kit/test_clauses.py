"""The clauses, the docstrings and the documentation speak of the same things."""

import inspect
from importlib import import_module
from typing import Any

import pytest

from tests.kit import FAULTS, TRIALS, Trial, clauses, kinds
from tests.kit.history import TRAPS, UNSEEN, Trap

pytestmark = pytest.mark.one_python


def trap_name(trap: Trap) -> str:
    return trap.name


@pytest.mark.parametrize("trial", TRIALS, ids=clauses.title)
def test_the_docstring_of_an_interface_names_its_contract(trial: Trial[Any]) -> None:
    module, _, name = clauses.interface_of(trial).rpartition(".")
    docstring = inspect.getdoc(getattr(import_module(f"gost_core.{module}"), name)) or ""
    assert f":class:`gost_core.testing.{module}.{trial.contract.__name__}`" in docstring


def test_every_decision_has_a_clause_or_a_reason_why_not() -> None:
    assert clauses.tried() <= set(clauses.decisions())
    assert [number for number, reason in clauses.without_clause().items() if not reason] == []


@pytest.mark.parametrize("trap", TRAPS, ids=trap_name)
def test_a_historical_bug_is_caught_or_said_to_be_out_of_sight(trap: Trap) -> None:
    names = [trap.name] if trap.name.startswith("x ") else trap.name.split()
    caught = any(name in fault.history for fault in FAULTS for name in names)
    assert caught is (trap.name not in UNSEEN)


def test_each_kind_of_fault_is_seen_in_each_interface_or_cannot_occur() -> None:
    gaps = [
        f"{kind.name} in {interface}"
        for interface, ids in clauses.clause_ids().items()
        for kind, cell in zip(kinds.KINDS, kinds.row(ids), strict=True)
        if not cell.clauses and not cell.reason
    ]
    assert gaps == []


@pytest.mark.parametrize("kind", kinds.KINDS, ids=lambda kind: kind.name)
def test_each_clause_that_a_kind_names_exists(kind: kinds.Kind) -> None:
    ids = {one for ids in clauses.clause_ids().values() for one in ids}
    assert kind.clauses <= ids | {one.rpartition(".")[2] for one in ids}


@pytest.mark.parametrize("kind", kinds.KINDS, ids=lambda kind: kind.name)
def test_each_reason_of_a_kind_is_somebodys(kind: kinds.Kind) -> None:
    given = {
        cell.reason
        for ids in clauses.clause_ids().values()
        if not (cell := kinds.row(ids)[kinds.KINDS.index(kind)]).clauses
    }
    assert set(kind.nowhere) == given


def test_the_pages_are_up_to_date() -> None:
    outdated = [
        path.name
        for path, text in clauses.pages().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    assert not outdated, "run python -m tests.kit.clauses"
