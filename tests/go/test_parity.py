"""The package against the recorded facts of the Go module, name by name."""

import dataclasses
import re
from collections.abc import Callable, Mapping
from difflib import unified_diff
from importlib import import_module
from inspect import signature
from typing import Final

import pytest

from docs._made import package, surface, translation
from docs._made.go_facts import Symbol, packages, symbols

pytestmark = pytest.mark.one_python

ADDITIONS: Final[Mapping[str, frozenset[str]]] = {
    "chain": frozenset({"EmptyRouteError", "RouteCarrier", "TLSOptions"}),
    "common.net": frozenset(
        {
            "Aborter",
            "Addr",
            "ClosedError",
            "Closer",
            "Conn",
            "ConnUnwrapper",
            "ContextCarrier",
            "DeniedError",
            "Error",
            "HalfCloser",
            "Listener",
            "PacketConn",
            "ProtocolError",
            "UnsupportedError",
            "find_capability",
        }
    ),
    "common.tls": frozenset({"TLSConfig", "TLSSource"}),
    "common.url": frozenset({"Userinfo"}),
    "context": frozenset({"Context", "Key"}),
    "keys": frozenset(
        {
            "CLIENT_ID",
            "DESTINATION_ADDRESS",
            "HASH_SOURCE",
            "LABELS",
            "PEER_CERTIFICATE",
            "SESSION_ID",
            "SOURCE_ADDRESS",
            "TIME_LIMIT",
        }
    ),
    "observer": frozenset({"StatsEvent", "StatusEvent"}),
    "options": frozenset({"FieldOption", "apply"}),
    "recorder": frozenset(
        {
            "RECORDER_SERVICE_HANDLER",
            "RECORDER_SERVICE_HANDLER_SERIAL",
            "RECORDER_SERVICE_HANDLER_TUNNEL",
        }
    ),
    "registry": frozenset({"DuplicateError", "MissingError", "require"}),
}
"""What the package has and Go's module has not: the stand-ins for Go's standard library, the
options' machinery, the shared keys, what Go leaves without a name, and what independent packages
cannot settle among themselves."""

NAMESPACES: Final[frozenset[str]] = frozenset({package.NAME, f"{package.NAME}.common"})
"""The modules that only hold other modules."""

OPTION_FUNCTIONS: Final = [symbol for symbol in symbols().values() if symbol.sets]
WITH_METHODS: Final = [symbol for symbol in symbols().values() if symbol.methods]


def full_module_name(symbol: Symbol) -> str:
    return f"{package.NAME}.{translation.module_name(symbol.package)}"


def declared(module_name: str, name: str) -> list[str]:
    """Return the lines of a public name, without the names of parameters and without notes."""
    if name not in package.public_names(import_module(module_name)):
        return []
    lines = (line.partition("  #")[0].strip() for line in surface.declaration(module_name, name))
    return [re.sub(r"(?<=[(* ])\w+: ", "", line) if "def " in line else line for line in lines]


def counterpart(symbol: Symbol) -> list[str]:
    """Return the lines that stand in Python for a Go name."""
    class_name, _, member = translation.python_name(symbol).partition(".")
    lines = declared(full_module_name(symbol), class_name)
    if member:
        return [line for line in lines if line.startswith(f"{member} = ")]
    if str(symbol) in translation.CONSTRUCTORS:
        return [line for line in lines if line.startswith("def __init__(")]
    if symbol.kind == "type":  # the order of its constants is not among the facts
        return lines[:1] + sorted(lines[1:])
    return [line for line in lines if not line.startswith("def __")]


def expect_declaration(symbol: Symbol) -> None:
    expected = list(translation.declaration(symbol))
    python_name = f"{full_module_name(symbol)}.{translation.python_name(symbol)}"
    difference = unified_diff(expected, counterpart(symbol), str(symbol), python_name, lineterm="")
    missed = "\n".join(difference)
    if missed:
        pytest.fail(f"{python_name} is not what {symbol} translates to\n{missed}", pytrace=False)


@pytest.mark.parametrize("symbol", symbols().values(), ids=str)
def test_a_go_name_is_declared_as_the_rules_say(symbol: Symbol) -> None:
    expect_declaration(symbol)


def test_the_anonymous_struct_of_tls_settings_is_tls_options() -> None:
    settings = symbols()["chain.TLSNodeSettings"]
    (fields,) = (field.fields for field in settings.fields if field.fields)
    struct = dataclasses.replace(settings, name="TLSOptions", fields=fields)
    expect_declaration(struct)


@pytest.mark.parametrize("symbol", WITH_METHODS, ids=str)
def test_a_parameter_keeps_its_name_and_its_place(symbol: Symbol) -> None:
    cls: object = getattr(import_module(full_module_name(symbol)), symbol.name)
    for method in symbol.methods:
        python_method: Callable[..., object] | None
        python_method = getattr(cls, translation.snake_case(method.name), None)
        if python_method is None or not method.parameters:
            continue
        found = [name for name in signature(python_method).parameters if name != "self"]
        expected = [
            translation.parameter_name(parameter.name) if parameter.name else found_name
            for parameter, found_name in zip(method.parameters, found, strict=True)
        ]
        assert found == expected, f"{symbol}.{method.name}"


@pytest.mark.parametrize("symbol", OPTION_FUNCTIONS, ids=str)
def test_an_option_function_sets_its_field_and_no_other(symbol: Symbol) -> None:
    module = import_module(full_module_name(symbol))
    options_class: type[object] = getattr(module, translation.options_struct(symbol).name)
    assert dataclasses.is_dataclass(options_class)
    option_function: Callable[[object], Callable[[object], object]]
    option_function = getattr(module, translation.python_name(symbol))
    is_variadic = symbol.function.parameters[0].type.startswith("...")
    value = object()
    expected = {
        field.name: getattr(options_class(), field.name)
        for field in dataclasses.fields(options_class)
    }
    expected[translation.snake_case(symbol.sets)] = (value,) if is_variadic else value

    options = options_class()
    option_function(value)(options)

    assert {name: getattr(options, name) for name in expected} == expected


@pytest.mark.parametrize("module_name", package.contract_names())
def test_a_public_name_comes_from_go_or_is_listed_as_an_addition(module_name: str) -> None:
    name = module_name.removeprefix(f"{package.NAME}.")
    translated = {
        translation.python_name(symbol).partition(".")[0]
        for symbol in symbols().values()
        if full_module_name(symbol) == module_name
    }
    added = ADDITIONS.get(name, frozenset())
    assert set(package.public_names(import_module(module_name))) == translated | added


def test_there_is_a_module_for_each_go_package_and_for_each_addition() -> None:
    expected = {translation.module_name(path) for path in packages()} | set(ADDITIONS)
    found = set(package.contract_names()) - NAMESPACES
    assert {name.removeprefix(f"{package.NAME}.") for name in found} == expected
