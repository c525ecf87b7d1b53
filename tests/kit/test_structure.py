"""One law of names: everything about a contract is at the path of its interface, and small."""

import ast
import inspect
from collections import Counter
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any, Final

import pytest

from docs._made import package
from gost_core import testing
from gost_core.testing import Contract
from tests import kit

pytestmark = pytest.mark.one_python

ROOT: Final = Path(__file__).parents[2]
KIT: Final = Path(testing.__file__).parent
PREFIX: Final = f"{testing.__name__}."

RECORDED: Final = (ROOT / "tests" / "data" / "clause-ids.txt").read_text("utf-8").split()
"""The ids of all clauses before the contracts became classes."""

RUN: Final = {"as_tests", "check", "clauses", "run", "shape", "time_limit"}


@cache
def paths() -> tuple[str, ...]:
    """Return the paths of the modules that define contracts: ``limiter.rate``."""
    return tuple(
        info.name.removeprefix(PREFIX)
        for info in walk_packages(testing.__path__, PREFIX)
        if "._" not in info.name and import_module(info.name).__all__
    )


@cache
def contracts() -> tuple[tuple[str, type[Contract]], ...]:
    """Return every contract with its path."""
    return tuple(
        (path, getattr(module, name))
        for path in paths()
        for module in [import_module(PREFIX + path)]
        for name in module.__all__
    )


def interface_of(contract: type[Contract]) -> str:
    """Return the name by which the clauses of a contract go."""
    return contract.clauses[0].id.rpartition(".")[0]


def files() -> list[Path]:
    return sorted(KIT.rglob("*.py"))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


each_path = pytest.mark.parametrize("path", paths())
each_contract = pytest.mark.parametrize(
    ("path", "contract"), contracts(), ids=[f"{path}.{one.__name__}" for path, one in contracts()]
)


# ---- Where it is


@each_contract
def test_a_contract_is_at_the_path_of_its_interface_under_its_name(
    path: str, contract: type[Contract]
) -> None:
    name = interface_of(contract)
    assert name.rpartition(".")[0] == path
    # A contract for a special kind says which: ReverseListenerContract.
    assert contract.__name__.endswith(f"{name.rpartition('.')[2]}Contract")


@each_path
def test_interface_page_and_trials_are_at_the_same_path(path: str) -> None:
    # The reference has a page for each of these, at its path.
    assert f"{package.NAME}.{path}" in package.contract_names()
    trials = import_module(f"{kit.__name__}.{path}").trials
    assert [one.contract for one in trials] == [
        contract for where, contract in contracts() if where == path
    ]


def test_nothing_else_has_trials() -> None:
    folder = Path(kit.__file__).parent
    tools = {
        "alone",
        "clauses",
        "conftest",
        "history",
        "kinds",
        "lenience",
        "protocols",
        "soak",
        "trial",
        "virtual_time",
    }
    found = {
        info.name.removeprefix(f"{kit.__name__}.")
        for info in walk_packages([str(folder)], f"{kit.__name__}.")
    }
    assert {
        name
        for name in found - tools
        if not name.rpartition(".")[2].startswith(("_", "test_")) and name not in paths()
    } <= {path.rpartition(".")[0] for path in paths()}


# ---- What it is


@each_contract
def test_a_contract_shows_its_fields_its_clauses_and_how_to_run_it(
    path: str, contract: type[Contract]
) -> None:
    clauses = {one.id.rpartition(".")[2].replace("-", "_") for one in contract.clauses}
    fields = {name for name in fields_of(contract) if not name.startswith("_")}
    shown = {name for name in dir(contract) if not name.startswith("_")}
    assert shown <= clauses | fields | RUN
    assert not clauses & fields


def fields_of(contract: type[Contract]) -> dict[str, Any]:
    return dict(getattr(contract, "__dataclass_fields__"))  # noqa: B009 each is made a dataclass


@each_contract
def test_a_field_says_what_it_is(path: str, contract: type[Contract]) -> None:
    undocumented = {
        node.target.id
        for base in contract.__mro__
        if base.__module__.startswith(PREFIX)
        for node, following in members(base)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
        if not node.target.id.startswith("_") and not is_text(following)
    }
    assert not undocumented


def members(cls: type[object]) -> Iterator[tuple[ast.stmt, ast.stmt | None]]:
    """Return the statements of a class, each with the following one."""
    for node in ast.walk(package.syntax_tree(cls.__module__)):
        if isinstance(node, ast.ClassDef) and node.name == cls.__name__:
            yield from zip(node.body, [*node.body[1:], None], strict=True)


def is_text(node: ast.stmt | None) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


@each_contract
def test_no_base_of_a_contract_names_another_interface(path: str, contract: type[Contract]) -> None:
    for base in contract.__mro__:
        if issubclass(base, Contract) and base.clauses:
            assert interface_of(base) == interface_of(contract)


# ---- What it promises


def test_no_clause_was_lost_and_none_has_another_id() -> None:
    ids = {one.id for _, contract in contracts() for one in contract.clauses}
    assert sorted(ids) == sorted(RECORDED)


def test_an_id_stands_for_one_sentence() -> None:
    sentences: dict[str, set[str]] = {}
    for _, contract in contracts():
        for one in contract.clauses:
            sentences.setdefault(one.id, set()).add(one.sentence)
    assert [name for name, said in sentences.items() if len(said) > 1] == []


def test_a_sentence_stands_once() -> None:
    counted = Counter(sentence for path in files() for sentence in sentences_in(tree(path)))
    assert [sentence for sentence, times in counted.items() if times > 1] == []


def sentences_in(module: ast.Module) -> Iterator[str]:
    """Return the first arguments of @clause, and what ``said`` says anew."""
    for node in ast.walk(module):
        match node:
            case ast.Call(func=ast.Name("clause"), args=[ast.Constant(str(sentence)), *_]):
                yield sentence
            case ast.keyword("said", ast.Dict(values=values)):
                for value in values:
                    assert isinstance(value, ast.Tuple)
                    yield str(ast.literal_eval(value.elts[0]))
            case _:
                pass


def test_only_a_field_that_was_not_given_leaves_a_clause_untried() -> None:
    raised = [
        path.name
        for path in files()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "NotTried"
    ]
    assert raised == ["waiting.py"]


# ---- How large it is


def test_the_kit_is_small_for_what_it_tries() -> None:
    lines = sum(len(path.read_text("utf-8").splitlines()) for path in files())
    ids = {one.id for _, contract in contracts() for one in contract.clauses}
    assert lines <= 19.5 * len(ids), f"{lines} lines for {len(ids)} clauses"


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(KIT)))
def test_a_file_can_be_read(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 700


@each_contract
def test_a_contract_can_be_read(path: str, contract: type[Contract]) -> None:
    """The bases that no other contract has count as parts of it."""
    others = {
        base
        for _, other in contracts()
        if not issubclass(other, contract)
        for base in other.__mro__
    }
    own = [base for base in contract.__mro__ if base not in others]
    assert sum(len(inspect.getsource(base).splitlines()) for base in own) <= 450
