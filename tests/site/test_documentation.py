"""Everything public says what it is, and cites decisions that exist."""

import ast
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import FunctionType
from typing import Final

import pytest

from docs._made import options, package

pytestmark = pytest.mark.one_python

DECISIONS: Final = Path(__file__).parents[2] / "docs" / "decisions.md"
CITATION: Final = re.compile(r"\((?:D\d+(?:, |(?=\))))+\)")
"""How a docstring names decisions: in parentheses, behind the rule."""


def public_definitions(module_name: str) -> Iterator[tuple[str, package.Definition]]:
    """Return the public classes and functions of a module, with their names."""
    module = import_module(module_name)
    for name in package.public_names(module):
        value: object = getattr(module, name)
        if isinstance(value, type | FunctionType):
            yield name, package.definition(value.__module__, name)


def is_text(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def is_clause(method: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Tell whether a method is a clause, whose sentence says what it does."""
    return any(ast.unparse(one).startswith("clause(") for one in method.decorator_list)


def undocumented_attributes(node: ast.Module | ast.ClassDef) -> Iterator[str]:
    """Return the public attributes without a text below them or a line in the docstring."""
    docstring = ast.get_docstring(node) or ""
    for statement, below in zip(node.body, [*node.body[1:], ast.Pass()], strict=True):
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                described = re.search(rf"``{name}``|^ *{name}: ", docstring, re.MULTILINE)
                if not (name.startswith("_") or is_text(below) or described):
                    yield name
            case _:
                pass


def docstrings(module_name: str) -> Iterator[str]:
    """Return every text that stands alone as a statement: docstrings, and those of attributes."""
    for node in ast.walk(package.syntax_tree(module_name)):
        if isinstance(node, ast.Expr) and is_text(node):
            yield ast.unparse(node.value)


def cited(module_names: tuple[str, ...]) -> dict[int, str]:
    """Return the cited decisions, each with a module that cites it."""
    return {
        int(number): name
        for name in module_names
        for text in docstrings(name)
        for number in re.findall(r"\bD(\d+)\b", text)
    }


@pytest.fixture(scope="module")
def decisions() -> set[int]:
    titles = re.findall(r"^### D(\d+): ", DECISIONS.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(titles) == len(set(titles))
    return set(map(int, titles))


@pytest.mark.parametrize("module_name", package.all_module_names())
def test_every_module_has_a_docstring(module_name: str) -> None:
    assert ast.get_docstring(package.syntax_tree(module_name))


@pytest.mark.parametrize("module_name", package.module_names())
def test_every_public_class_function_and_method_has_a_docstring(module_name: str) -> None:
    definitions = dict(public_definitions(module_name))
    for name, node in list(definitions.items()):
        if isinstance(node, ast.ClassDef):
            definitions |= {
                f"{name}.{method.name}": method
                for method in package.methods(node)
                if not is_clause(method)
            }
    missed = {name for name, node in definitions.items() if not ast.get_docstring(node)}
    assert {name for name in missed if "._" not in name} == set()


@pytest.mark.parametrize("module_name", package.module_names())
def test_every_field_and_enum_member_is_described(module_name: str) -> None:
    missed = [
        f"{name}.{attribute}"
        for name, node in public_definitions(module_name)
        if isinstance(node, ast.ClassDef)
        for attribute in undocumented_attributes(node)
    ]
    assert missed == []


@pytest.mark.parametrize("module_name", package.module_names())
def test_every_constant_is_described(module_name: str) -> None:
    public = package.public_names(import_module(module_name))
    missed = set(undocumented_attributes(package.syntax_tree(module_name))).intersection(public)
    # The alias of an option stands below its class of options, which says it all.
    assert {name for name in missed if not name.endswith("Option")} == set()


def test_the_decisions_are_numbered_without_a_gap(decisions: set[int]) -> None:
    assert decisions == set(range(1, len(decisions) + 1))
    assert len(decisions) >= 77


def test_every_decision_is_cited_where_it_applies(decisions: set[int]) -> None:
    assert decisions - set(cited(package.contract_names())) == set()


def test_no_docstring_cites_a_decision_that_does_not_exist(decisions: set[int]) -> None:
    every = cited(package.all_module_names())
    assert {f"D{number}": every[number] for number in set(every) - decisions} == {}


DANGLING: Final = re.compile(r"(^|[.:;=(]|\b(see|by|as|in|of|per|than|to|with|under|from|and|or))$")
"""What ends a sentence that needs the number behind it, or is nothing."""


def without_numbers(text: str) -> Iterator[str]:
    """Return what a text says in front of each of its numbers, as one reads who knows none."""
    for found in CITATION.finditer(text):
        yield CITATION.sub("", text[: found.start()]).rstrip()


@pytest.mark.parametrize("module_name", package.contract_names())
def test_a_number_stands_in_parentheses_behind_a_whole_sentence(module_name: str) -> None:
    # A reader who does not know the number must lose nothing by passing over it.
    for text in docstrings(module_name):
        said = " ".join(ast.literal_eval(text).split())
        assert not re.search(r"\bD\d", CITATION.sub("", said)), said
        assert not re.search(r"(?<![\w\])])\(\s*\)", CITATION.sub("", said)), said
        assert [one for one in without_numbers(said) if DANGLING.search(one)] == []


@pytest.mark.parametrize(
    "said",
    [
        "see (D1)",
        "Where to listen; all forms of (D35) are legal.",
        "What is asked for: (D11)",
        "(D4)",
        "As they are (D16, see D3).",
        "As D16 says.",
    ],
)
def test_a_sentence_that_needs_its_number_is_seen(said: str) -> None:
    left = CITATION.sub("", said)
    assert re.search(r"\bD\d", left) or any(DANGLING.search(one) for one in without_numbers(said))


@pytest.mark.parametrize("module_name", package.contract_names())
def test_an_option_function_says_what_its_field_says(module_name: str) -> None:
    source = inspect.getsource(import_module(module_name))
    assert options.written(source) == source, "python -m docs._made.options writes it anew"


def test_every_option_function_is_known() -> None:
    known = {
        f"{name}.{function.name}"
        for name in package.contract_names()
        for function, _ in options.functions(package.syntax_tree(name))
    }
    named = {
        f"{name}.{public}"
        for name in package.contract_names()
        for public in package.public_names(import_module(name))
        if public.endswith("_option") or public.startswith("with_")
    }
    assert len(known) > 100
    assert known == named


OPTIONS_MODULE: Final = '''
class Options:
    addr: str = ""
    """Where to listen.

    "" = nowhere.
    """


def addr_option(addr: str, /) -> Option:{docstring}
    return FieldOption(Options, "addr", addr)
'''


@pytest.mark.parametrize(
    "docstring", ["", '\n    """Something else."""', '\n    """Two\n\n    lines.\n    """']
)
def test_a_docstring_that_is_missing_or_other_is_written_anew(docstring: str) -> None:
    right = '\n    """Set ``Options.addr``.\n\n    Where to listen.\n\n    "" = nowhere.\n    """'
    written = options.written(OPTIONS_MODULE.format(docstring=docstring))
    assert written == OPTIONS_MODULE.format(docstring=right)
