"""The graphs of the code: read from it, and drawn as a list with its wiring.

Each row of the list is a name. Whatever is used has a wire of its own, which runs past the rows of
those who use it and ends in an arrow at its own row; a dot joins a user to the wire.
"""

import ast
import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import import_module
from types import FunctionType
from typing import Final, get_origin, get_type_hints

from typing_extensions import is_protocol

from docs._made import package
from docs._made.canvas import WIDTH, Canvas, Point, Tone, code_width
from gost_core.chain import Node
from gost_core.context import Context

Graph = Mapping[str, set[str]]
"""What each name uses."""

FIRST: Final = 38.0
ROW: Final = 21
MARGIN: Final = 6
WIRE_GAP: Final = 13
"""From one wire to the next, where there is room."""

TONES: Final[Mapping[str, Tone]] = {
    "service": "service",
    "listener": "service",
    "handler": "service",
    "chain": "route",
    "hop": "route",
    "selector": "route",
    "routing": "route",
    "dialer": "out",
    "connector": "out",
    "common": "out",
}
"""The colour of each package's wires, as in the views; whatever else is a support."""


def short(name: str) -> str:
    """Return the name of a module within the package."""
    return name.removeprefix(f"{package.NAME}.")


# ---- What the code says


@cache
def imports() -> Graph:
    """Return which modules of the contract each of them imports."""
    names = set(package.contract_names()) - {package.NAME}
    graph: dict[str, set[str]] = {}
    for name in sorted(names):
        found = set[str]()
        for node in ast.walk(package.syntax_tree(name)):
            if isinstance(node, ast.ImportFrom) and node.module:
                submodules = {f"{node.module}.{alias.name}" for alias in node.names} & names
                found |= submodules or {node.module} & names
        graph[short(name)] = {short(one) for one in found}
    return graph


@cache
def uses() -> Graph:
    """Return which interfaces each interface names: in its methods, options and structs.

    A node is shown with them, for it is where the interfaces of routing come together.
    """
    shown = interfaces() | {Node: "chain.Node"}
    return {
        name: {shown[other] for other in named(cls, frozenset(shown))}
        for cls, name in shown.items()
    }


@cache
def interfaces() -> dict[type[object], str]:
    """Return all interfaces, by their modules and in the order of the source."""
    return {
        cls: f"{short(module_name)}.{cls.__name__}"
        for module_name in package.contract_names()
        for cls in vars(import_module(module_name)).values()
        if isinstance(cls, type) and is_protocol(cls) and cls.__module__ == module_name
    }


def named(cls: type[object], shown: frozenset[type[object]]) -> set[type[object]]:
    """Return which of the shown classes a class names, itself or by what is not shown."""
    found, waiting, seen = set[type[object]](), [cls], set[type[object]]()
    while waiting:
        one = waiting.pop()
        for other in types_of(one) - seen - {cls, Context}:
            seen.add(other)
            if other in shown:
                found.add(other)
            else:
                waiting.append(other)
    return found


def types_of(cls: type[object]) -> set[type[object]]:
    """Return the package's classes in the annotations of a class, and its bases."""
    hints = list[object](cls.__bases__)
    if not is_protocol(cls):
        hints += get_type_hints(cls).values()
    for function in vars(cls).values():
        if isinstance(function, FunctionType):
            hints += get_type_hints(function).values()
    found = {one for hint in hints for one in classes_in(hint)}
    module = inspect.getmodule(cls)
    if cls.__name__.lower() == cls.__module__.rpartition(".")[2]:
        # The options of a constructor, which no method names.
        found |= set(classes_in(getattr(module, "Options", None)))
    return {one for one in found if one.__module__.startswith(package.NAME)}


def classes_in(hint: object) -> Iterator[type[object]]:
    """Return the classes that a type hint is made of."""
    for part in (hint, get_origin(hint)):
        if isinstance(part, type):
            yield part
    arguments: tuple[object, ...] = getattr(hint, "__args__", ())
    for part in arguments:
        yield from classes_in(part)


# ---- The drawing


def order(graph: Graph) -> list[str]:
    """Put each name below all that use it, and as near to the last of them as may be."""
    unplaced = {name: {user for user in graph if name in graph[user]} for name in graph}
    placed, ready = list[str](), list[str]()

    def rank(name: str) -> tuple[int, int, str]:
        return len(unplaced[name]), -len(graph[name]), name

    while unplaced:
        if not ready:  # a beginning, or names that use one another
            ready.append(min(unplaced, key=rank))
        name = ready.pop()
        placed.append(name)
        del unplaced[name]
        freed = list[str]()
        for target in graph[name] & unplaced.keys():
            unplaced[target].discard(name)
            if not unplaced[target]:
                freed.append(target)
        ready += sorted(freed, key=lambda one: (-len(graph[one]), one))
    return placed


def wire(draw: Canvas, graph: Graph, verb: str) -> None:
    """Draw a graph as a list of names with wires at its right."""
    used = set[str]().union(*graph.values())
    alone = [name for name in graph if not graph[name] and name not in used]
    joined = {name: targets for name, targets in graph.items() if name not in alone}
    rows = {name: FIRST + ROW * place for place, name in enumerate(order(joined))}
    ends = {name: MARGIN + code_width(name) + 4 for name in graph}
    lanes = assign(joined, rows)
    left = max(ends[name] for name in joined) + 6
    gap = min(WIRE_GAP, (WIDTH - MARGIN - left) / max(lanes.values()))
    wires = {name: left + lane * gap for name, lane in lanes.items()}

    draw.words(MARGIN, 14, f"A dot: it {verb} what the arrow of this wire points at.", "muted")
    for target, x in wires.items():
        leaving = [rows[user] + 4 for user in joined if target in joined[user]]
        arriving = rows[target] - 4
        end = Point(ends[target], arriving)
        draw.arrow(Point(x, min(*leaving, arriving)), Point(x, arriving), end, tone=tone_of(target))
        if max(leaving) > arriving:
            path = Point(x, max(leaving)), Point(x, arriving)
            draw.path(path, f"{tone_of(target)}-line")
    for user, targets in joined.items():
        y = rows[user] + 4
        if targets:
            farthest = max(wires[target] for target in targets)
            draw.path((Point(ends[user], y), Point(farthest, y)), "thin")
        for target in sorted(targets):
            draw.dot(Point(wires[target], y), tone_of(target), f"{user} {verb} {target}")

    y = FIRST + ROW * len(rows) + 18
    draw.words(MARGIN, y, "on their own", "heading")
    rows |= {name: y + ROW * place for place, name in enumerate(alone, 1)}
    for name, y in rows.items():
        draw.dotted(MARGIN, y + 4, name)


def tone_of(name: str) -> Tone:
    """Return the colour of the wire to a name."""
    return TONES.get(name.partition(".")[0], "support")


def assign(graph: Graph, rows: Mapping[str, float]) -> dict[str, int]:
    """Give each used name a wire: short ones near the names, and none over another."""
    spans: dict[str, tuple[float, float]] = {}
    for target in set[str]().union(*graph.values()):
        places = [rows[target], *(rows[user] for user in graph if target in graph[user])]
        spans[target] = (min(places), max(places))
    lanes: dict[str, int] = {}
    for target in sorted(spans, key=lambda one: (spans[one][1] - spans[one][0], one)):
        start, end = spans[target]
        taken = {
            lanes[other] for other in lanes if spans[other][0] <= end and start <= spans[other][1]
        }
        lanes[target] = next(lane for lane in range(len(spans)) if lane not in taken)
    return lanes


def modules(draw: Canvas) -> None:
    """Which module imports which."""
    wire(draw, imports(), "imports")


def interface_uses(draw: Canvas) -> None:
    """Which interface names which."""
    wire(draw, uses(), "uses")


GRAPHS: Final[dict[str, tuple[str, Callable[[Canvas], None]]]] = {
    "modules": ("The modules and their imports", modules),
    "uses": ("Who uses whom", interface_uses),
}
"""Each graph's title, and who draws it, by the name of its file."""
