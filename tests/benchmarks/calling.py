"""What the parts of the contract that are code cost: options, nodes, isinstance, and the pool."""

import copy
import importlib
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial

from typing_extensions import Buffer, get_protocol_members, is_protocol

from gost_core.chain import Node, NodeOptions, priority_node_option
from gost_core.common import bufpool
from gost_core.common.net import Addr, Conn, ContextCarrier, find_capability
from gost_core.dialer import DialOptions, host_dial_option
from gost_core.logger import LoggerGroup
from gost_core.options import FieldOption, apply
from gost_core.selector import FailMarker
from tests.benchmarks.importing import contract_modules
from tests.benchmarks.measure import Bound, Figure, Samples, interleaved, ratio, timed


def figures(quick: bool) -> Iterator[Figure]:
    yield from options_and_nodes(quick)
    yield from optional_interfaces(quick)
    yield from capabilities(quick)
    yield from marker_and_logger(quick)
    yield from buffers(quick)
    yield from memory(quick)


def options_and_nodes(quick: bool) -> Iterator[Figure]:
    option, node_option = host_dial_option("example.com"), priority_node_option(1)
    node = Node("name", "host:1", node_option)
    filled_options = node.options()

    def assign() -> None:
        options = DialOptions()
        options.host = "example.com"

    found = timed(
        {
            "an options object, a field assigned": assign,
            "an options object, an option applied": lambda: apply(DialOptions(), option),
            "NodeOptions(priority=1)": lambda: NodeOptions(priority=1),
            "Node(name, addr, option)": lambda: Node("name", "host:1", node_option),
            "copy of a NodeOptions": lambda: copy.copy(filled_options),
            "Node.copy()": node.copy,
        },
        quick,
    )
    yield from nanoseconds(found)
    assigned, applied, filled, made, options, copied = found.values()
    yield ratio("an option applied over a field assigned", applied, assigned)
    yield ratio("a Node over its NodeOptions", made, filled)
    yield ratio("Node.copy() over a copy of its NodeOptions", copied, options)


def optional_interfaces(quick: bool) -> Iterator[Figure]:
    """Measure all interfaces that are looked for at run time, and show the slowest of each kind.

    The object that fits derives from nothing: it just has the methods.
    """
    calls: dict[str, Callable[[], object]] = {}
    other = type("Other", (), {})()
    for cls in _optional():
        members = dict.fromkeys(get_protocol_members(cls), len)
        fitting = type("Fitting", (), dict(members))()
        calls[f"{cls.__name__}, hit"] = partial(isinstance, fitting, cls)
        calls[f"{cls.__name__}, miss"] = partial(isinstance, other, cls)
    calls["a class"] = partial(isinstance, other, FieldOption)
    found = timed(calls, quick)
    for kind in ("hit", "miss"):
        name = max(
            (name for name in found if name.endswith(kind)), key=lambda name: found[name].best()
        )
        bound = Bound("at most", 0.5) if kind == "hit" else None
        number = len(calls) // 2
        subject = f"isinstance, {name}, the slowest of {number}"
        yield Figure(subject, found[name].times(1e6), "us", bound)
        yield ratio(f"isinstance, {kind}, over that of a class", found[name], found["a class"])


class Inheriting(Conn):
    """A connection that inherits from its interface, and can do nothing besides."""

    async def read(self, n: int, /) -> bytes:
        raise NotImplementedError

    async def write(self, data: Buffer, /) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError

    def local_addr(self) -> Addr:
        raise NotImplementedError

    def remote_addr(self) -> Addr:
        raise NotImplementedError


def capabilities(quick: bool) -> Iterator[Figure]:
    """Measure the look for a capability that is not there, on a class that inherits."""
    conn = Inheriting()
    found = timed(
        {
            "isinstance": lambda: isinstance(conn, ContextCarrier),
            "find_capability": lambda: find_capability(conn, ContextCarrier),
        },
        quick,
    )
    for name, samples in found.items():
        bound = Bound("at most", 4) if name == "find_capability" else None
        subject = f"{name}, miss, on a class that inherits"
        yield Figure(subject, samples.times(1e6), "us", bound)


def _optional() -> Iterator[type]:
    for name in contract_modules():
        for cls in vars(importlib.import_module(name)).values():
            is_here = isinstance(cls, type) and cls.__module__ == name
            if is_here and is_protocol(cls) and getattr(cls, "_is_runtime_protocol", False):
                yield cls


class Count:
    """Counts as a marker must, under a lock and with the time, and is nothing else."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.count = 0
        self.time = 0.0

    def mark(self) -> None:
        with self.lock:
            self.count += 1
            self.time = time.time()


def marker_and_logger(quick: bool) -> Iterator[Figure]:
    one, two = LoggerGroup(), LoggerGroup()  # which discard
    group = LoggerGroup(one, two)

    def both() -> None:
        one.infof("%s", 1)
        two.infof("%s", 1)

    found = timed(
        {
            "a count under a lock": Count().mark,
            "FailMarker.mark()": FailMarker().mark,
            "two loggers, one after the other": both,
            "a LoggerGroup of two": lambda: group.infof("%s", 1),
        },
        quick,
    )
    yield from nanoseconds(found)
    counted, marked, apart, together = found.values()
    yield ratio("FailMarker.mark() over a count under a lock", marked, counted)
    yield ratio("a LoggerGroup over its two loggers", together, apart)


def borrow(size: int) -> None:
    bufpool.put(bufpool.get(size))


def buffers(quick: bool) -> Iterator[Figure]:
    for size in (128, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 66560):
        found = timed(
            {
                "bytearray": partial(bytearray, size),
                "bufpool": partial(borrow, size),
            },
            quick,
        )
        bound = Bound("at most", 1) if size == 65536 else None
        subject = f"bufpool over bytearray, {size} bytes"
        yield ratio(subject, found["bufpool"], found["bytearray"], bound)


def memory(quick: bool) -> Iterator[Figure]:
    number = 1_000 if quick else 10_000
    kinds: dict[str, Callable[[], object]] = {
        "a NodeOptions": NodeOptions,
        "a Node with its options and marker": lambda: Node("name", "host:1"),
    }

    def bytes_each(make: Callable[[], object]) -> float:
        tracemalloc.start()
        kept = [make() for _ in range(number)]
        taken, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return taken / len(kept)

    found = interleaved({name: partial(bytes_each, make) for name, make in kinds.items()}, 3)
    for name, samples in found.items():
        yield Figure(f"memory of {name}", samples, "bytes")


def nanoseconds(found: dict[str, Samples]) -> Iterator[Figure]:
    for name, samples in found.items():
        yield Figure(name, samples.times(1e9), "ns")
