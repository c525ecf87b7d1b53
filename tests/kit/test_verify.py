"""gost_core.testing.verify: what it finds, what it leaves out, and that it only looks."""

import asyncio
import functools
import importlib
import inspect
import pkgutil
import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, ParamSpec, TypeVar
from unittest import mock

import pytest
from typing_extensions import get_protocol_members, is_protocol

import gost_core
from gost_core.admission import Admission, Option, Options
from gost_core.common.net import Addr
from gost_core.context import Context
from gost_core.metrics import Counter
from gost_core.registry import Registry
from gost_core.service import Service
from gost_core.testing import ContractError, Outcome, verify

P = ParamSpec("P")
R = TypeVar("R")


class Names:
    """A registry that does not inherit."""

    def register(self, name: str, value: str, /) -> None: ...

    def unregister(self, name: str, /) -> None: ...

    def is_registered(self, name: str, /) -> bool:
        return False

    def get(self, name: str, /) -> str | None:
        return None

    def get_all(self) -> Mapping[str, str]:
        return {}


def changed(**members: object) -> object:
    """Return a registry with other members in place of some of its own."""
    return type("Changed", (Names,), members)()


class Gate(Admission):
    """An admission that inherits."""

    async def admit(self, ctx: Context, network: str, addr: str, /, *opts: Option) -> bool:
        return True


def problems(obj: object, interface: type[object]) -> list[str]:
    with pytest.raises(ContractError) as raised:
        verify(obj, interface)
    (result,) = raised.value.report.results
    assert result.outcome is Outcome.BROKEN
    return result.detail.splitlines()


def skipped(obj: object, interface: type[object]) -> str:
    (result,) = verify(obj, interface).results
    assert result.outcome is Outcome.HELD
    return result.detail


# ---- What is right


@pytest.mark.parametrize(
    ("obj", "interface", "name"),
    [
        (Names(), Registry, "registry.Registry"),
        (Names(), Registry[str], "registry.Registry"),
        (Gate(), Admission, "admission.Admission"),
    ],
)
def test_a_right_object_passes(obj: object, interface: type[object], name: str) -> None:
    report = verify(obj, interface)
    assert [result.clause.id for result in report.held] == [f"{name}.shape"]
    assert (report.subject, report.interface) == (type(obj).__name__, name)
    assert report.held[0].detail == ""


def test_names_of_parameters_and_further_optional_ones_do_not_matter() -> None:
    class Other(Names):
        def get(self, key: str = "", default: str | None = None, /, *, exact: bool = True) -> Any:
            return default

    verify(Other(), Registry)


def test_static_and_class_methods_are_methods() -> None:
    class Gates:
        @staticmethod
        async def admit(ctx: Context, network: str, addr: str, /, *opts: Option) -> bool:
            return True

    class Gating:
        @classmethod
        async def admit(cls, ctx: Context, network: str, addr: str, /, *opts: Option) -> bool:
            return True

    for obj in (Gates(), Gating()):
        verify(obj, Admission)


# ---- What is wrong


def test_an_error_lists_every_problem_at_once() -> None:
    class Wrong:
        register = 5

        async def unregister(self, name: str, /) -> None: ...

        @property
        def is_registered(self) -> bool:
            return True

        def get(self) -> str | None:
            return None

    found = problems(Wrong(), Registry)
    assert len(found) == 5
    for member, words in {
        "register": "an attribute of type int",
        "unregister": "is async, so callers would not await it",
        "is_registered": "is a property",
        "get": "cannot be called with 1 arguments",
        "get_all": "is missing",
    }.items():
        (line,) = [line for line in found if re.match(rf"{member}\b", line)]
        assert words in line
        assert f"expected {'the method ' if ' method ' in line else ''}def {member}(self" in line


def test_the_error_names_object_interface_and_clause() -> None:
    with pytest.raises(ContractError) as raised:
        verify(object(), Registry)
    text = str(raised.value)
    assert text.startswith("get is missing; expected def get(self")
    assert "registry.Registry.shape: It has every member" in text
    assert text.endswith("object breaks 1 clause of registry.Registry")


def test_a_method_that_is_not_async_is_named() -> None:
    class Sync:
        def admit(self, ctx: Context, network: str, addr: str, /, *opts: Option) -> bool:
            return True

    (line,) = problems(Sync(), Admission)
    assert line.startswith("admit is not async; expected async def admit(self, ctx")


def test_an_async_generator_is_named() -> None:
    class Generating:
        async def admit(self, ctx: Context, network: str, addr: str, /, *opts: Option) -> Any:
            yield True

    (line,) = problems(Generating(), Admission)
    assert line.startswith("admit is an async generator")


def test_missing_opts_are_named_however_many_parameters_there_are() -> None:
    class NoOptions:
        async def admit(self, ctx: Context, network: str, addr: str, /) -> bool:
            return True

    class TwoOptions:
        async def admit(
            self, ctx: Context, network: str, addr: str, a: Any = None, b: Any = None, /
        ) -> bool:
            return True

    for obj in (NoOptions(), TwoOptions()):
        (line,) = problems(obj, Admission)
        assert re.match(r"admit\(.* cannot be called with .*\*opts", line)


def test_a_required_keyword_is_named() -> None:
    def get(self: object, name: str, /, *, exact: bool) -> None: ...

    (line,) = problems(changed(get=get), Registry)
    assert "exact" in line


def test_cached_properties_are_properties() -> None:
    def evaluate(self: object) -> None:
        raise AssertionError("evaluated")

    (line,) = problems(changed(get_all=functools.cached_property(evaluate)), Registry)
    assert line.startswith("get_all is a property")


def test_the_str_of_object_is_nobody_s_implementation() -> None:
    class Nameless:
        def network(self) -> str:
            return "tcp"

    (line,) = problems(Nameless(), Addr)
    assert line.startswith("__str__ is missing")


def test_a_class_is_not_taken_for_its_instances() -> None:
    (line,) = problems(Names, Registry)
    assert line == "it is the class Names itself; pass an instance"


@pytest.mark.parametrize("wrong", [int, Names, Gate, Options, "Registry", None, list[str]])
def test_what_is_no_interface_is_a_type_error(wrong: Any) -> None:
    with pytest.raises(TypeError, match="is not an interface"):
        verify(Names(), wrong)


# ---- Decorators, partials, mocks, built-in methods


def logged(function: Callable[P, R]) -> Callable[P, R]:
    """Wrap as decorators do that keep the name and the signature."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        return function(*args, **kwargs)

    return wrapper


def logged_async(
    function: Callable[P, Coroutine[Any, Any, R]],
) -> Callable[P, Coroutine[Any, Any, R]]:
    @functools.wraps(function)
    async def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        return await function(*args, **kwargs)

    return wrapper


def renamed(function: Callable[P, R]) -> Callable[P, R]:
    """Wrap as decorators do that forget functools.wraps."""

    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        return function(*args, **kwargs)

    return wrapper


@pytest.mark.parametrize("decorate", [logged, logged_async])
def test_a_wrapped_async_method_is_async(decorate: Callable[..., Any]) -> None:
    class Decorated:
        admit = decorate(Gate.admit)

    assert skipped(Decorated(), Admission) == ""


def test_a_wrapped_sync_method_is_sync_and_has_its_own_parameters() -> None:
    @logged
    def get(self: object) -> None: ...

    (line,) = problems(changed(get=get), Registry)
    assert line.startswith("get() -> None cannot be called with 1 arguments")


def test_of_an_unnamed_wrapper_it_says_that_it_could_not_look() -> None:
    class Decorated:
        admit = renamed(Gate.admit)

    assert skipped(Decorated(), Admission) == (
        "whether admit returns an awaitable cannot be inspected"
    )


@pytest.mark.parametrize("result", [Awaitable[bool], Coroutine[Any, Any, bool], "Awaitable[bool]"])
def test_a_method_that_is_declared_to_return_an_awaitable_may_be_right(result: object) -> None:
    class Returning:
        def admit(self, ctx: Context, network: str, addr: str, /, *opts: Option) -> Any:
            return Gate().admit(ctx, network, addr, *opts)

    Returning.admit.__annotations__["return"] = result
    assert "cannot be inspected" in skipped(Returning(), Admission)


def test_partials_are_judged_by_what_they_leave() -> None:
    def find(kind: str, name: str, /) -> None: ...

    right = Names()
    vars(right)["get"] = functools.partial(find, "kind")
    verify(right, Registry)
    wrong = Names()
    vars(wrong)["get"] = functools.partial(find)
    (line,) = problems(wrong, Registry)
    assert line.startswith("get(kind: str, name: str, /) -> None cannot be called with 1 arguments")


def test_a_partial_of_a_sync_function_is_sync() -> None:
    class Switched:
        def __init__(self) -> None:
            def admit(
                answer: bool, ctx: Context, network: str, addr: str, /, *opts: Option
            ) -> bool:
                return answer

            self.admit = functools.partial(admit, True)

    (line,) = problems(Switched(), Admission)
    assert line.startswith("admit is not async")


def test_partial_methods_and_callable_objects_are_looked_through() -> None:
    class Admit:
        async def __call__(self, ctx: Context, network: str, addr: str, /, *opts: Option) -> bool:
            return True

    class Switched:
        async def decide(
            self, answer: bool, ctx: Context, network: str, addr: str, /, *opts: Option
        ) -> bool:
            return answer

        admit = functools.partialmethod(decide, True)

    class Holding:
        def __init__(self) -> None:
            self.admit = Admit()

    for obj in (Switched(), Holding()):
        assert skipped(obj, Admission) == ""


def test_parameters_of_a_built_in_method_are_left_out_and_it_says_so() -> None:
    names: dict[str, str] = {}
    registry = Names()
    vars(registry)["get"] = names.pop
    with pytest.raises(ValueError, match="signature"):
        inspect.signature(registry.get)
    assert skipped(registry, Registry) == "the parameters of get cannot be inspected"


def test_mocks_of_an_interface_pass() -> None:
    verify(mock.create_autospec(Registry, instance=True), Registry)
    verify(mock.create_autospec(Admission, instance=True), Admission)
    verify(mock.AsyncMock(spec=Admission), Admission)
    verify(mock.AsyncMock(), Admission)


def test_an_async_mock_of_a_sync_interface_is_named() -> None:
    found = problems(mock.AsyncMock(), Registry)
    assert len(found) == 5
    assert all("is async, so callers would not await it" in line for line in found)


# ---- It only looks


def test_it_calls_nothing_and_evaluates_no_property() -> None:
    class Trapped:
        def __getattribute__(self, name: str) -> Any:
            value = super().__getattribute__(name)

            def refuse(*args: object) -> None:
                raise AssertionError(f"{name} was called")

            return functools.wraps(value)(refuse) if inspect.ismethod(value) else value

        @property
        def is_registered(self) -> bool:
            raise AssertionError("evaluated")

        def register(self, name: str, value: str, /) -> None: ...

        def unregister(self, name: str, /) -> None: ...

        def get(self, name: str, /) -> None: ...

        def get_all(self) -> None: ...

    (line,) = problems(Trapped(), Registry)
    assert line.startswith("is_registered is a property")


def test_it_needs_no_event_loop() -> None:
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()
    verify(Gate(), Admission)


# ---- Interfaces that look alike


def go_interfaces() -> dict[str, type[object]]:
    """Return the interfaces of the Go module: all but the stand-ins for Go's own."""
    modules = [
        importlib.import_module(info.name)
        for info in pkgutil.walk_packages(gost_core.__path__, "gost_core.")
        if not info.name.startswith("gost_core.testing")
    ]
    return {
        f"{module.__name__.removeprefix('gost_core.')}.{name}": value
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, type) and is_protocol(value) and value.__module__ == module.__name__
        if module.__name__ != "gost_core.common.net" or name == "Dialer"
    }


def right(interface: type[object]) -> object:
    """Return an object that has every member as the interface has it."""
    members = {name: getattr(interface, name) for name in get_protocol_members(interface)}
    return type("Right", (), members)()


def lookalikes(interface: type[object]) -> list[str]:
    found = re.search(r"isinstance takes any (.*) for a ", skipped(right(interface), interface))
    return found[1].split(" or ") if found else []


def test_every_interface_takes_its_own_shape() -> None:
    for interface in go_interfaces().values():
        verify(right(interface), interface)


def test_the_hint_names_the_23_pairs_that_isinstance_confuses() -> None:
    interfaces = go_interfaces()
    pairs = [(name, one) for name, it in interfaces.items() for one in lookalikes(it)]
    confused = [
        (name, other_name)
        for name, it in interfaces.items()
        for other_name, other in interfaces.items()
        if it is not other and get_protocol_members(it) <= get_protocol_members(other)
    ]
    assert sorted(pairs) == sorted(confused)
    assert len(pairs) == 23
    assert ("dialer.Handshaker", "connector.Handshaker") in pairs


def test_the_hint_is_part_of_an_error_too() -> None:
    assert (
        "isinstance takes any metrics.Gauge for a metrics.Counter"
        in problems(object(), Counter)[-1]
    )


def test_an_interface_of_its_own_shape_gets_no_hint() -> None:
    assert lookalikes(Service) == []
