"""Whoever keeps something about an object can do so without keeping the object alive."""

import gc
import weakref
from collections.abc import Callable

from gost_core.chain import Node
from gost_core.common.url import Userinfo
from gost_core.context import Context, Key
from gost_core.dialer import host_dial_option
from gost_core.logger import LoggerGroup
from gost_core.selector import FailMarker
from tests.contract.test_protocols import CONCRETE
from tests.contract.test_structs import CLASSES, full_name, make

MADE: dict[str, Callable[[], object]] = {
    "chain.Node": lambda: Node("a", ""),
    "common.url.Userinfo": lambda: Userinfo("alice"),
    "context.Context": Context,
    "context.Key": lambda: Key[str]("name"),
    "logger.LoggerGroup": LoggerGroup,
    "options.FieldOption": lambda: host_dial_option(""),
    "selector.FailMarker": FailMarker,
}


def test_every_concrete_class_is_tried() -> None:
    assert {*MADE, "chain.FailCodes"} == CONCRETE


def test_an_object_goes_though_it_is_weakly_referenced() -> None:
    # All in one test: looking through all objects of a test run takes time.
    made = {name: make_one() for name, make_one in MADE.items()}
    made |= {full_name(cls): make(cls) for cls in CLASSES}
    references = {name: weakref.ref(one) for name, one in made.items()}
    assert {
        name for name, reference in references.items() if reference() is not made[name]
    } == set()
    made.clear()
    gc.collect()
    assert [name for name, reference in references.items() if reference() is not None] == []
