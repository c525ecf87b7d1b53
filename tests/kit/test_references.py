"""How live references fail closed: the table of D60, tried row by row."""

import asyncio
import inspect
from typing import Any

import pytest

from gost_core.testing._families.references import CLOSED, expect_closed
from gost_core.testing._run.attempt import Attempt, Verdict, attempt
from gost_core.testing.registry import RegistryContract
from tests.kit import virtual_time
from tests.kit.registry import RightRegistry, Value

pytestmark = pytest.mark.one_python

ROWS = [(one, number) for one, calls in CLOSED.items() for number in range(len(calls))]


def reference(interface: type[object], open_row: int | None = None) -> object:
    """Return a reference that fails closed, but for the method of one row."""

    def method(name: str) -> object:
        def give(*arguments: object) -> object:
            [answer] = [
                "open" if number == open_row else closed
                for number, (called, given, closed) in enumerate(CLOSED[interface])
                if (called, given) == (name, arguments)
            ]
            if answer is OSError:
                raise OSError("the component is gone")
            return answer

        async def give_later(*arguments: object) -> object:
            return give(*arguments)

        waits = inspect.iscoroutinefunction(getattr(interface, name))
        return staticmethod(give_later if waits else give)

    members: dict[str, Any] = {name: method(name) for name, _, _ in CLOSED[interface]}
    return type("Reference", (Closed,), members)()


class Kept:
    def get(self) -> list[str]:
        return ["kept"]


class Closed:
    """What a reference of any kind may have besides."""

    def nodes(self) -> list[str]:
        return []

    def marker(self) -> str | None:
        return None

    def metadata(self) -> str | None:
        return None


def verdict_on(built: object, interface: type[object]) -> Verdict | None:
    made = Attempt("test", 1.0)
    return virtual_time.run(attempt(lambda: expect_closed(built, interface), made))


@pytest.mark.parametrize("interface", CLOSED, ids=lambda one: one.__qualname__)
def test_a_reference_that_fails_closed_is_right(interface: type[object]) -> None:
    assert verdict_on(reference(interface), interface) is None


@pytest.mark.parametrize(("interface", "row"), ROWS, ids=str)
def test_a_reference_that_answers_with_one_method_is_broken(
    interface: type[object], row: int
) -> None:
    verdict = verdict_on(reference(interface, row), interface)
    assert str(verdict).startswith(f"{CLOSED[interface][row][0]}() of what is gone ")


@pytest.mark.parametrize("name", ["nodes", "marker", "metadata"])
def test_a_reference_that_keeps_nodes_or_a_marker_or_metadata_is_broken(name: str) -> None:
    [interface] = [one for one in CLOSED if one.__qualname__ == "Chainer"]
    built = type("Keeping", (type(reference(interface)),), {name: Kept.get})()
    assert str(verdict_on(built, interface)).startswith(f"{name}() of what is gone")


def test_an_interface_without_a_rule_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="Value"):
        RegistryContract(RightRegistry, value=Value, interface=Value)


def test_what_is_asked_waits_no_longer_than_the_time_limit() -> None:
    class Hanging:
        async def route(self, *_: object) -> None:
            await asyncio.Event().wait()

    [interface] = [one for one in CLOSED if one.__qualname__ == "Chainer"]
    assert "did not end" in str(verdict_on(Hanging(), interface))
