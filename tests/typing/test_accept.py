"""The examples of ``accept/`` can be run, and leave no interface without an implementer."""

import inspect
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Final, get_origin, get_type_hints
from unittest.mock import AsyncMock, create_autospec

import pytest
from typing_extensions import get_protocol_members, is_protocol

from docs._made.package import contract_names, public_classes

pytestmark = pytest.mark.one_python

EXAMPLES: Final[tuple[Path, ...]] = tuple(sorted(Path(__file__).parent.glob("accept/*.py")))
INTERFACES: Final[tuple[type[object], ...]] = tuple(
    cls for name in contract_names() for cls in public_classes(name) if is_protocol(cls)
)


def proofs() -> Iterator[tuple[type[object], type[object]]]:
    """Return each implementer, with the interface that it is proven to implement."""
    for path in EXAMPLES:
        for name, function in runpy.run_path(str(path)).items():
            if name.startswith("prove_"):
                implementer, interface = get_type_hints(function).values()
                yield get_origin(implementer) or implementer, get_origin(interface) or interface


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_imports(path: Path) -> None:
    runpy.run_path(str(path))


def test_every_interface_has_an_implementer_that_does_not_inherit_it() -> None:
    implemented = {interface for cls, interface in proofs() if interface not in cls.__mro__}
    assert [cls for cls in INTERFACES if cls not in implemented] == []


@pytest.mark.parametrize(
    "interface", INTERFACES, ids=lambda cls: f"{cls.__module__}.{cls.__name__}"
)
def test_autospec_double_awaits_what_the_interface_awaits(interface: type[object]) -> None:
    double: object = create_autospec(interface, instance=True)
    for name in get_protocol_members(interface) - {"__str__"}:
        awaited = inspect.iscoroutinefunction(inspect.getattr_static(interface, name))
        assert isinstance(getattr(double, name), AsyncMock) == awaited, name
