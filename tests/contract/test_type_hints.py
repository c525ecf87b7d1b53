"""Every annotation can be evaluated, and none says Any."""

import inspect
import re
import types
import typing
from collections.abc import Iterator
from importlib import import_module

import pytest

from docs._made import package

HasHints = types.ModuleType | type[object] | types.FunctionType


def public_objects(module_name: str) -> Iterator[HasHints]:
    """Return a module with its public functions and classes, and the methods of the classes."""
    module = import_module(module_name)
    yield module
    for name in package.public_names(module):
        value: object = getattr(module, name)
        if isinstance(value, type):
            yield value
            yield from (
                member
                for member in vars(value).values()
                if isinstance(member, types.FunctionType) and member.__module__ == value.__module__
            )
        elif isinstance(value, types.FunctionType):
            yield value


def mentions_any(annotation: object) -> bool:
    arguments: tuple[object, ...] = getattr(annotation, "__args__", ())
    return annotation is typing.Any or any(map(mentions_any, arguments))


@pytest.mark.parametrize("module_name", package.module_names())
def test_type_hints_resolve_and_name_no_any(module_name: str) -> None:
    for value in public_objects(module_name):
        hints: dict[str, object] = typing.get_type_hints(value)
        if re.match(r"_[^_]", value.__name__):
            continue
        public = {name: hint for name, hint in hints.items() if not name.startswith("_")}
        assert not [name for name, hint in public.items() if mentions_any(hint)], value


@pytest.mark.parametrize("module_name", package.module_names())
def test_every_parameter_and_result_is_annotated(module_name: str) -> None:
    for value in public_objects(module_name):
        if isinstance(value, types.FunctionType) and not value.__name__.startswith("__"):
            parameters = set(inspect.signature(value).parameters) - {"self"}
            assert set(typing.get_type_hints(value)) == parameters | {"return"}, value
