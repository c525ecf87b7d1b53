"""Who imports whom, on the syntax tree: the package's import graph is that of the Go module."""

import ast
import sys
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from typing import Final

import pytest

from docs._made import package, translation
from docs._made.go_facts import Symbol, packages, symbols

pytestmark = pytest.mark.one_python

ADDED_MODULES: Final[Mapping[str, frozenset[str]]] = {
    "_lock": frozenset(),
    "common.net": frozenset({"context"}),
    "common.tls": frozenset(),
    "common.url": frozenset(),
    "context": frozenset(),
    "keys": frozenset({"common.net", "context"}),
    "options": frozenset(),
}
"""The modules that Go has in its standard library or not at all, and what they may import."""


def imported(module_name: str) -> Iterator[str]:
    """Return the full names of the modules that the import statements of a module name."""
    for node in ast.walk(package.syntax_tree(module_name)):
        match node:
            case ast.Import(names=aliases):
                yield from (alias.name for alias in aliases)
            case ast.ImportFrom(module=str(source), level=0, names=aliases):
                for alias in aliases:
                    submodule = f"{source}.{alias.name}"
                    yield submodule if submodule in package.all_module_names() else source
            case ast.ImportFrom():
                pytest.fail(f"{module_name}: line {node.lineno} is a relative import")
            case _:
                pass


def edges(module_name: str) -> set[str]:
    """Return the modules of the package that a module imports, without the package's name."""
    prefix = f"{package.NAME}."
    return {name.removeprefix(prefix) for name in imported(module_name) if name.startswith(prefix)}


def go_edges(path: str) -> set[str]:
    """Return the modules that a Go package imports: those that its exported API mentions."""
    definitions = (
        translation.definition_of(go_type, path)
        for symbol in symbols().values()
        if symbol.package == path
        for go_type in mentioned_types(symbol)
    )
    named = {definition.package for definition in definitions if definition}
    return {translation.module_name(name) for name in named - {path}}


def mentioned_types(symbol: Symbol) -> Iterator[str]:
    for function in (symbol.function, *symbol.methods):
        yield from (parameter.type for parameter in function.parameters)
        yield from function.results
    yield from (field.type for field in symbol.fields)


@pytest.mark.parametrize("path", packages())
def test_a_module_imports_what_its_go_package_imports(path: str) -> None:
    module = translation.module_name(path)
    added = set(ADDED_MODULES)
    assert edges(f"{package.NAME}.{module}") - added == go_edges(path) - added


@pytest.mark.parametrize("module", ADDED_MODULES)
def test_an_added_module_imports_no_more_than_is_listed(module: str) -> None:
    assert edges(f"{package.NAME}.{module}") == ADDED_MODULES[module]


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = {
        name.removeprefix(f"{package.NAME}."): edges(name) for name in package.all_module_names()
    }
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("module_name", package.all_module_names())
def test_no_import_is_for_type_checkers_only(module_name: str) -> None:
    # Such a name does not exist at run time, and typing.get_type_hints fails over it.
    for node in ast.walk(package.syntax_tree(module_name)):
        names = (
            getattr(node, "id", None),
            getattr(node, "attr", None),
            getattr(node, "name", None),
        )
        assert "TYPE_CHECKING" not in names


@pytest.mark.parametrize("module_name", package.contract_names())
def test_the_contract_needs_neither_an_event_loop_nor_its_own_checks(module_name: str) -> None:
    for name in imported(module_name):
        assert name.partition(".")[0] != "asyncio"
        assert not name.startswith(f"{package.NAME}.testing")


@pytest.mark.parametrize("module_name", package.all_module_names())
def test_nothing_but_typing_extensions_is_needed_besides(module_name: str) -> None:
    allowed = {package.NAME, "typing_extensions", *sys.stdlib_module_names}
    assert {name.partition(".")[0] for name in imported(module_name)} <= allowed
