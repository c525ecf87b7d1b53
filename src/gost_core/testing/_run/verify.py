"""Comparing the members of an object with those of an interface."""

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from types import FunctionType, ModuleType
from typing import Final, get_origin

from typing_extensions import get_protocol_members, is_protocol

import gost_core
from gost_core.testing._run.report import Clause, ContractError, Outcome, Report, Result

__all__ = ("SHAPE", "examine", "interface_name", "verify")

SHAPE: Final[str] = "It has every member of the interface, each with the right call shape."


@dataclass(slots=True)
class Findings:
    """What an examination of an object's members found."""

    problems: list[str] = field(default_factory=list[str])
    """What is wrong, a sentence each."""
    skipped: list[str] = field(default_factory=list[str])
    """What could not be inspected."""


def verify(obj: object, interface: type[object], /) -> Report:
    """Compare an object with an interface, member by member.

    It looks at what ``isinstance`` cannot see: whether each member is there, is a method and not
    an attribute or a property, is ``async`` where the interface is, and takes what a caller
    passes, ``*opts`` included. Names of parameters do not matter. It calls nothing and needs no
    event loop; how the object behaves is the affair of its contract.

    Args:
        obj: the object, whether it inherits from the interface or not.
        interface: one of the contract's interfaces, such as ``Registry`` or ``Registry[str]``.

    Returns:
        A report of one clause, ``<module>.<Interface>.shape``. Its detail says what could not be
        inspected and was left out, such as the parameters of a method written in C.

    Raises:
        ContractError: something is wrong; the message lists all of it.
        TypeError: ``interface`` is not an interface.
    """
    findings = examine(obj, interface)
    name = interface_name(interface)
    result = Result(
        Clause(f"{name}.shape", SHAPE, ""),
        Outcome.BROKEN if findings.problems else Outcome.HELD,
        "\n".join(findings.problems or findings.skipped),
    )
    subject = obj if isinstance(obj, type) else type(obj)
    report = Report(subject.__qualname__, name, (result,))
    if findings.problems:
        raise ContractError(report)
    return report


def interface_name(interface: type[object], /) -> str:
    """Return ``<module>.<Interface>``, as clause ids begin."""
    cls = get_origin(interface) or interface
    return f"{cls.__module__.removeprefix('gost_core.')}.{cls.__qualname__}"


def examine(obj: object, interface: type[object], /) -> Findings:
    """Compare the members of ``obj`` with those of ``interface``."""
    protocol = get_origin(interface) or interface
    if not isinstance(protocol, type) or not is_protocol(protocol):
        raise TypeError(f"{interface!r} is not an interface: pass a protocol such as Registry")
    findings = Findings()
    if isinstance(obj, type):
        findings.problems.append(f"it is the class {obj.__qualname__} itself; pass an instance")
        return findings
    for name in sorted(get_protocol_members(protocol)):
        _examine_member(obj, name, getattr(protocol, name), findings)
    if lookalikes := _lookalikes(protocol):
        hint = (
            f"isinstance takes any {' or '.join(lookalikes)} for a {interface_name(protocol)}, "
            "since it sees names alone; make sure that this is the interface of the object's role"
        )
        (findings.problems or findings.skipped).append(hint)
    return findings


def _examine_member(
    obj: object, name: str, expected: Callable[..., object], findings: Findings
) -> None:
    wanted = f"{'async ' if inspect.iscoroutinefunction(expected) else ''}def {name}"
    wanted += str(inspect.signature(expected))
    static = inspect.getattr_static(type(obj), name, None)
    if isinstance(static, property | functools.cached_property):
        findings.problems.append(f"{name} is a property; expected the method {wanted}")
        return
    try:
        member = getattr(obj, name)
    except AttributeError:
        findings.problems.append(f"{name} is missing; expected {wanted}")
        return
    # Every object has a __str__; the one that nobody wrote is no implementation.
    if static is getattr(object, name, None) and static is not None:
        findings.problems.append(f"{name} is missing; expected {wanted}")
        return
    if not callable(member):
        kind = type(member).__qualname__
        findings.problems.append(
            f"{name} is an attribute of type {kind}; expected the method {wanted}"
        )
        return
    _examine_colour(member, name, expected, wanted, findings)
    _examine_parameters(member, name, expected, wanted, findings)


def _examine_colour(
    member: Callable[..., object],
    name: str,
    expected: Callable[..., object],
    wanted: str,
    findings: Findings,
) -> None:
    """Compare whether the two are ``async``."""
    function = _innermost(member)
    is_async = inspect.iscoroutinefunction(function)
    is_generator = inspect.isasyncgenfunction(function)
    wants_async = inspect.iscoroutinefunction(expected)
    if is_async and is_generator:
        # No function is both; a mock of one says yes to whatever it is asked.
        findings.skipped.append(f"whether {name} returns an awaitable cannot be inspected")
    elif is_generator:
        findings.problems.append(f"{name} is an async generator; expected {wanted}")
    elif is_async and not wants_async:
        findings.problems.append(
            f"{name} is async, so callers would not await it; expected {wanted}"
        )
    elif wants_async and not is_async:
        if not inspect.isfunction(function) or _may_return_awaitable(function, name):
            findings.skipped.append(f"whether {name} returns an awaitable cannot be inspected")
        else:
            findings.problems.append(f"{name} is not async; expected {wanted}")


def _examine_parameters(
    member: Callable[..., object],
    name: str,
    expected: Callable[..., object],
    wanted: str,
    findings: Findings,
) -> None:
    """Compare what can be passed, by binding what a caller passes."""
    try:
        signature = inspect.signature(member)
    except (TypeError, ValueError):
        findings.skipped.append(f"the parameters of {name} cannot be inspected")
        return
    parameters = list(inspect.signature(expected).parameters.values())[1:]
    fixed = sum(one.kind is one.POSITIONAL_ONLY for one in parameters)
    calls = [fixed]
    if any(one.kind is one.VAR_POSITIONAL for one in parameters):
        # Far more than any fixed parameters could take in place of *opts.
        calls += [fixed + 1, fixed + 50]
    for count in calls:
        try:
            signature.bind(*range(count))
        except TypeError as error:
            findings.problems.append(
                f"{name}{signature} cannot be called with {count} arguments ({error}); "
                f"expected {wanted}"
            )
            return


def _innermost(member: Callable[..., object]) -> Callable[..., object]:
    """Look through partials, decorators and callable objects."""
    while True:
        if isinstance(member, functools.partial):
            member = member.func
        elif inspect.iscoroutinefunction(member):
            return member
        elif callable(wrapped := getattr(member, "__wrapped__", None)):
            member = wrapped
        elif inspect.ismethod(member):
            member = member.__func__
        elif not inspect.isroutine(member) and inspect.isfunction(type(member).__call__):
            return type(member).__call__
        else:
            return member


def _may_return_awaitable(function: FunctionType, name: str) -> bool:
    """Tell whether a function that is not async may still return what an async one returns."""
    # A decorator's inner function has a name of its own, and what it wraps may well be async.
    if function.__name__ != name:
        return True
    result = inspect.get_annotations(function).get("return", inspect.Parameter.empty)
    if isinstance(result, str):
        return any(word in result for word in ("Awaitable", "Coroutine", "Future", "Task"))
    origin = get_origin(result)
    cls = result if origin is None else origin
    return isinstance(cls, type) and issubclass(cls, Awaitable)


@functools.cache
def _interfaces() -> tuple[type[object], ...]:
    """Return all interfaces of the contract."""
    return tuple(
        value
        for module in _modules()
        for value in vars(module).values()
        if isinstance(value, type) and is_protocol(value) and value.__module__ == module.__name__
    )


def _modules(package: ModuleType = gost_core) -> Iterator[ModuleType]:
    """Return the modules of a package, at any depth, without the kit: that has no interface."""
    for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        if info.name != "gost_core.testing":
            module = importlib.import_module(info.name)
            yield module
            if info.ispkg:
                yield from _modules(module)


def _lookalikes(protocol: type[object]) -> list[str]:
    """Return the interfaces with all the member names of ``protocol``, and perhaps more."""
    members = get_protocol_members(protocol)
    return [
        interface_name(other)
        for other in _interfaces()
        if other is not protocol and members <= get_protocol_members(other)
    ]
