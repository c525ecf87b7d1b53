"""The modules of the installed package, their public names and their syntax trees."""

import ast
import pkgutil
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from inspect import getsource
from types import ModuleType

import gost_core
from gost_core.testing import Contract

NAME = gost_core.__name__


@cache
def all_module_names() -> tuple[str, ...]:
    """Return the full names of all modules, sorted."""
    found = pkgutil.walk_packages(gost_core.__path__, f"{NAME}.")
    return tuple(sorted([NAME, *(info.name for info in found)]))


@cache
def module_names() -> tuple[str, ...]:
    """Return the full names of the public modules, sorted."""
    return tuple(name for name in all_module_names() if "._" not in name)


@cache
def contract_names() -> tuple[str, ...]:
    """Return the names of the public modules without ``testing``: those that make the contract."""
    testing = f"{NAME}.testing"
    return tuple(
        name for name in module_names() if name != testing and not name.startswith(f"{testing}.")
    )


def public_names(module: ModuleType) -> tuple[str, ...]:
    """Return what a module offers: its ``__all__``."""
    names: tuple[str, ...] = module.__all__
    return names


@cache
def contracts() -> tuple[type[Contract], ...]:
    """Return the contracts of ``testing``, in the order of their modules."""
    return tuple(
        value
        for module_name in module_names()
        if module_name.startswith(f"{NAME}.testing.")
        for name in _names(module_name)
        for value in [getattr(import_module(module_name), name)]
    )


def _names(module_name: str) -> tuple[str, ...]:
    return public_names(import_module(module_name))


@cache
def exported() -> frozenset[object]:
    """Return every class that a public module offers, wherever it is defined."""
    values = (
        getattr(import_module(module_name), name)
        for module_name in module_names()
        for name in _names(module_name)
    )
    return frozenset(value for value in values if isinstance(value, type))


def public_classes(module_name: str) -> Iterator[type[object]]:
    """Return the public classes that a module defines."""
    module = import_module(module_name)
    for name in public_names(module):
        value: object = getattr(module, name, None)
        if isinstance(value, type) and value.__module__ == module_name:
            yield value


@cache
def syntax_tree(module_name: str) -> ast.Module:
    """Return the syntax tree of a module."""
    return ast.parse(getsource(import_module(module_name)))


Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def definition(module_name: str, name: str) -> Definition:
    """Return the syntax tree of a class or a function at the top level of a module."""
    for node in syntax_tree(module_name).body:
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef() if node.name == name:
                return node
            case _:
                pass
    raise LookupError(f"{module_name} defines no {name} at its top level")


def class_definition(cls: type[object]) -> ast.ClassDef:
    """Return the syntax tree of a class at the top level of its module."""
    node = definition(cls.__module__, cls.__name__)
    assert isinstance(node, ast.ClassDef)
    return node


def methods(definition: ast.ClassDef) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return the methods that stand in a class."""
    for node in definition.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
