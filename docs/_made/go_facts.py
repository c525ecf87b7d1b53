"""The public API of the Go module, as recorded in ``go-core-api.json``."""

import json
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

RECORD = Path(__file__).with_name("go-core-api.json")


@dataclass(frozen=True, slots=True)
class Variable:
    """A parameter or a field; a parameter may have no name."""

    name: str
    type: str
    fields: tuple["Variable", ...] = ()
    """The fields of an anonymous struct."""
    origin: str = ""
    """Where a field is known from; "" = as its struct."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function or a method."""

    name: str
    parameters: tuple[Variable, ...]
    results: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Symbol:
    """An exported name of a package."""

    package: str
    name: str
    kind: str
    """``interface``, ``struct``, ``slice``, ``functype``, ``type``, ``func``, ``const`` or ``var``;
    a ``slice`` is a named one with methods."""
    type: str
    """What a ``type`` is made from, what a ``slice`` holds, or the type of a ``const``."""
    value: object
    """The value of a ``const``."""
    fields: tuple[Variable, ...]
    methods: tuple[Function, ...]
    function: Function
    """The parameters and results of a ``func`` or ``functype``."""
    is_generic: bool
    sets: str
    """The field that an option function sets, or ""."""
    origin: str
    """Where the name is known from; "" = the sources of the module."""

    def __str__(self) -> str:
        return f"{self.package}.{self.name}"


_others = ContextVar[dict[str, Symbol] | None]("_others", default=None)


def symbols() -> dict[str, Symbol]:
    """Return every exported name, by package and name: ``chain.Node``."""
    others = _others.get()
    return _recorded() if others is None else others


@contextmanager
def using(packages: Mapping[str, Mapping[str, dict[str, Any]]]) -> Generator[None]:
    """Have :func:`symbols` return other facts than the recorded ones."""
    token = _others.set(_symbols(packages))
    try:
        yield
    finally:
        _others.reset(token)


@cache
def _recorded() -> dict[str, Symbol]:
    return _symbols(json.loads(RECORD.read_text(encoding="utf-8"))["packages"])


def _symbols(packages: Mapping[str, Mapping[str, dict[str, Any]]]) -> dict[str, Symbol]:
    found = (
        _symbol(package, name, facts)
        for package, names in packages.items()
        for name, facts in names.items()
    )
    return {str(symbol): symbol for symbol in found}


def packages() -> tuple[str, ...]:
    """Return the paths of the packages within the module: ``common/net``."""
    return tuple(dict.fromkeys(symbol.package for symbol in symbols().values()))


def _symbol(package: str, name: str, facts: dict[str, Any]) -> Symbol:
    return Symbol(
        package=package,
        name=name,
        kind=facts["kind"],
        type=facts.get("type", facts.get("elem", "")),
        value=json.loads(facts["value"]) if facts["kind"] == "const" else None,
        fields=_variables(facts.get("fields", ())),
        methods=tuple(_function(*method) for method in facts.get("methods", {}).items()),
        function=_function(name, facts),
        is_generic="type_params" in facts,
        sets=facts.get("sets", ""),
        origin=facts.get("origin", ""),
    )


def _function(name: str, facts: dict[str, Any]) -> Function:
    results = tuple(result["type"] for result in facts.get("results", ()))
    return Function(name, _variables(facts.get("params", ())), results)


def _variables(facts: Iterable[dict[str, Any]]) -> tuple[Variable, ...]:
    return tuple(
        Variable(
            variable["name"],
            variable["type"],
            _variables(variable.get("fields", ())),
            variable.get("origin", ""),
        )
        for variable in facts
    )
