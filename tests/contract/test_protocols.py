"""The form of every interface: what each Protocol of the package must and must not have."""

import ast
import dataclasses
import enum
from importlib import import_module
from typing import Final, get_origin

import pytest
from typing_extensions import Protocol, get_original_bases

from docs._made import package, translation

CAPABILITIES: Final[frozenset[str]] = frozenset(
    {
        "chain.RouteCarrier",
        "common.net.Aborter",
        "common.net.Closer",
        "common.net.ConnUnwrapper",
        "common.net.ContextCarrier",
        "common.net.Error",
        "common.net.HalfCloser",
        "common.net.PacketConn",
    }
)
"""The interfaces that Go does not have and that are looked for at run time."""

CONCRETE: Final[frozenset[str]] = frozenset(
    {
        "chain.FailCodes",
        "chain.Node",
        "common.url.Userinfo",
        "context.Context",
        "context.Key",
        "logger.LoggerGroup",
        "options.FieldOption",
        "selector.FailMarker",
    }
)
"""The classes that are neither a protocol nor a dataclass, enum or exception."""


def short_name(cls: type[object]) -> str:
    return f"{cls.__module__}.{cls.__name__}".removeprefix(f"{package.NAME}.")


def is_protocol(cls: type[object]) -> bool:
    return any((get_origin(base) or base) is Protocol for base in get_original_bases(cls))


CLASSES: Final = [cls for name in package.contract_names() for cls in package.public_classes(name)]
PROTOCOLS: Final = [cls for cls in CLASSES if is_protocol(cls)]


@pytest.fixture(params=PROTOCOLS, ids=short_name)
def protocol(request: pytest.FixtureRequest) -> type[object]:
    cls: type[object] = request.param
    return cls


def test_a_protocol_holds_a_docstring_empty_slots_and_methods(protocol: type[object]) -> None:
    docstring, slots, *methods = package.class_definition(protocol).body
    assert isinstance(docstring, ast.Expr)
    assert ast.unparse(slots) == "__slots__ = ()"
    assert methods
    assert all(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) for node in methods)


def test_no_member_is_a_constructor(protocol: type[object]) -> None:
    names = {method.name for method in package.methods(package.class_definition(protocol))}
    assert not names & {"__init__", "__new__", "__init_subclass__"}


def test_every_member_is_an_abstract_method_and_no_property(protocol: type[object]) -> None:
    for method in package.methods(package.class_definition(protocol)):
        decorators = [ast.unparse(decorator) for decorator in method.decorator_list]
        assert decorators == ["abstractmethod"], method.name


def test_every_member_has_a_docstring_and_an_ellipsis_for_a_body(protocol: type[object]) -> None:
    # Without the ellipsis, pyright takes the docstring for an implementation that returns None.
    for method in package.methods(package.class_definition(protocol)):
        assert ast.get_docstring(method), method.name
        assert [ast.unparse(statement) for statement in method.body[1:]] == ["..."], method.name


def test_parameters_are_positional_only_and_have_no_defaults(protocol: type[object]) -> None:
    # A parameter that can be named binds every implementation to its name.
    for method in package.methods(package.class_definition(protocol)):
        parameters = method.args
        names = [parameter.arg for parameter in parameters.args + parameters.kwonlyargs]
        assert names in ([], ["self"]), method.name
        assert parameters.kwarg is None, method.name
        assert not parameters.defaults, method.name


@pytest.mark.parametrize("cls", PROTOCOLS, ids=short_name)
def test_isinstance_works_for_what_is_looked_for_at_run_time_only(cls: type[object]) -> None:
    looked_for = CAPABILITIES | {translation.module_name(x) for x in translation.RUNTIME_CHECKABLE}
    try:
        isinstance(object(), cls)
    except TypeError:
        is_checkable = False
    else:
        is_checkable = True
    assert is_checkable == (short_name(cls) in looked_for)


@pytest.mark.parametrize("cls", CLASSES, ids=short_name)
def test_a_class_is_an_interface_a_record_an_enum_an_error_or_final(cls: type[object]) -> None:
    # Forgetting Protocol among the bases makes a class that looks like an interface and is none.
    if short_name(cls) in CONCRETE:
        assert getattr(cls, "__final__", False)
        assert not is_protocol(cls)
    else:
        assert (
            is_protocol(cls)
            or dataclasses.is_dataclass(cls)
            or issubclass(cls, enum.Enum | Exception)
        )


def test_the_listed_concrete_classes_exist() -> None:
    assert CONCRETE - {short_name(cls) for cls in CLASSES} == set()


@pytest.mark.parametrize("module_name", package.module_names())
def test_protocol_comes_from_typing_extensions(module_name: str) -> None:
    # On 3.11 the standard library's is 16 times slower and evaluates properties.
    for name in ("Protocol", "runtime_checkable"):
        value: object = getattr(import_module(module_name), name, None)
        assert value is None or value is getattr(import_module("typing_extensions"), name)
