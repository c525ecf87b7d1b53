"""A canvas for pictures that are tall and narrow: boxes, arrows and words, written as SVG.

It is as wide as a phone, so its smallest letters stay 11 pixels high there. What a picture names,
it names by the dotted name within the package: a name that does not exist cannot be drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib import import_module
from typing import Final, Literal, NamedTuple

WIDTH: Final = 360
SHOWN_WIDTH: Final = 480
"""How wide the picture is where there is room."""
SMALL: Final = 11
LETTER: Final = 0.602
"""The width of a letter of a monospaced font, as a part of the font's size."""

Tone = Literal["service", "route", "out", "support", "outside", "panel"]

COLOURS: Final[dict[str, tuple[str, str]]] = {
    "ink": ("#1b1f24", "#e6edf3"),
    "muted": ("#545d68", "#a4afba"),
    "line": ("#5c6670", "#98a3ae"),
    "panel": ("#f6f7f9", "#1b1e23"),
    "panel-edge": ("#c4cad1", "#454c55"),
    "outside": ("#ffffff", "#0d1117"),
    "outside-edge": ("#5c6670", "#98a3ae"),
    "service": ("#e6f0fd", "#13263f"),
    "service-edge": ("#2268bd", "#6aaaf2"),
    "route": ("#e3f4e8", "#11301c"),
    "route-edge": ("#1f7a3b", "#56b870"),
    "out": ("#fcefd8", "#37270c"),
    "out-edge": ("#985500", "#dd9c3c"),
    "support": ("#f1eafc", "#281c40"),
    "support-edge": ("#7146bd", "#b394f2"),
}
"""Each colour on a light page and on a dark one."""

TONES: Final[tuple[Tone, ...]] = ("service", "route", "out", "support", "outside", "panel")


def style() -> str:
    """Return the style sheet: by the reader's preference, or by what the page was switched to."""
    light, dark = (
        " ".join(f"--{name}: {pair[which]};" for name, pair in COLOURS.items()) for which in (0, 1)
    )
    rules = [
        f".gost-picture {{ {light} }}",
        f"@media (prefers-color-scheme: dark) {{ .gost-picture {{ {dark} }} }}",
        f'[data-theme="light"] .gost-picture {{ {light} }}',
        f'[data-theme="dark"] .gost-picture {{ {dark} }}',
        ".gost-picture text { fill: var(--ink); font: 11px system-ui, sans-serif; }",
        ".gost-picture .code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas,"
        ' "DejaVu Sans Mono", monospace; }',
        ".gost-picture .name { font-size: 12.5px; font-weight: 700; }",
        ".gost-picture .heading { font-size: 12.5px; font-weight: 600; }",
        ".gost-picture .muted { fill: var(--muted); }",
        ".gost-picture .middle { text-anchor: middle; }",
        ".gost-picture .end { text-anchor: end; }",
        ".gost-picture .box { stroke-width: 1.25; }",
        ".gost-picture .maybe { stroke-dasharray: 4 3; }",
        ".gost-picture .line { fill: none; stroke: var(--line); stroke-width: 1.5;"
        " stroke-linejoin: round; }",
        ".gost-picture .thin { stroke-width: 1; }",
        ".gost-picture .strong { font-weight: 700; }",
        ".gost-picture .head { fill: var(--line); }",
        ".gost-picture a { text-decoration: none; }",
        ".gost-picture a:is(:hover, :focus) text { text-decoration: underline; }",
        ".gost-picture a:is(:hover, :focus) .box { stroke-width: 2.25; }",
    ]
    for tone in TONES:
        rules.append(
            f".gost-picture .{tone} {{ fill: var(--{tone}); stroke: var(--{tone}-edge); }}"
        )
    for tone in TONES[:4]:
        rules += [
            f".gost-picture .{tone}-line {{ stroke: var(--{tone}-edge); }}",
            f".gost-picture .{tone}-head {{ fill: var(--{tone}-edge); }}",
        ]
    return "\n".join(rules)


class Point(NamedTuple):
    """A place on the canvas."""

    x: float
    y: float


@dataclass(frozen=True, kw_only=True)
class Box:
    """A rectangle on the canvas, and where arrows may meet it."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right_edge(self) -> float:
        """Where it ends, from the left."""
        return self.x + self.width

    @property
    def end(self) -> float:
        """Where it ends, from the top."""
        return self.y + self.height

    @property
    def top(self) -> Point:
        """The middle of the upper edge."""
        return Point(self.x + self.width / 2, self.y)

    @property
    def bottom(self) -> Point:
        """The middle of the lower edge."""
        return Point(self.x + self.width / 2, self.end)

    @property
    def left(self) -> Point:
        """The middle of the left edge."""
        return Point(self.x, self.y + self.height / 2)

    @property
    def right(self) -> Point:
        """The middle of the right edge."""
        return Point(self.right_edge, self.y + self.height / 2)


class Name(NamedTuple):
    """A name of the package: its module, and the class or the member within it; each may be ""."""

    module: str
    qualified: str

    @property
    def link(self) -> str:
        """Where the reference says more, as seen from the folder of the pictures."""
        anchor = ".".join(filter(None, ("gost_core", *self)))
        page = self.module.replace(".", "/")
        return f"../reference/{page}.html#{'' if self.qualified else 'module-'}{anchor}"


def find(dotted: str) -> Name:
    """Split a dotted name of the package; a LookupError if there is nothing of that name."""
    module, parts = dotted, list[str]()
    while module:
        try:
            found: object = import_module(f"gost_core.{module}")
        except ModuleNotFoundError:
            module, _, part = module.rpartition(".")
            parts.insert(0, part)
            continue
        for part in parts:
            if not hasattr(found, part):
                raise LookupError(f"gost_core.{dotted}: there is no {part}")
            found = getattr(found, part)
        return Name(module, ".".join(parts))
    raise LookupError(f"gost_core has no {dotted}")


def number(value: float) -> str:
    """Write a coordinate, without more digits than anyone sees."""
    return f"{value:.1f}".removesuffix(".0")


def code_width(text: str, size: float = SMALL) -> float:
    """Return how wide a monospaced text is."""
    return len(text) * size * LETTER


class Canvas:
    """What has been drawn so far."""

    def __init__(self, name: str, title: str, text: str) -> None:
        self.name = name
        self.title = title
        self.text = text
        """What the picture says to those who do not see it."""
        self._parts = list[str]()
        self._bottom = 0.0

    # ---- Words

    def words(self, x: float, y: float, text: str, *kinds: str) -> None:
        """Write a line; ``y`` is where its letters stand."""
        classes = f' class="{" ".join(kinds)}"' if kinds else ""
        self._add(
            f'<text x="{number(x)}" y="{number(y)}"{classes}>{escape(text, quote=False)}</text>',
            y + 4,
        )

    def linked(self, x: float, y: float, dotted: str, text: str, *kinds: str) -> None:
        """Write a name that leads to the reference."""
        self._add(f'<a href="{find(dotted).link}">', y)
        self.words(x, y, text, "code", *kinds)
        self._add("</a>", y)

    def dotted(self, x: float, y: float, dotted: str) -> None:
        """Write a whole name, the class in bold, and lead from it to the reference."""
        module, qualified = find(dotted)
        self._add(f'<a href="{find(dotted).link}">', y)
        if qualified:
            self.words(x, y, f"{module}.", "code", "muted")
            self.words(x + code_width(f"{module}."), y, qualified, "code", "strong")
        else:
            self.words(x, y, module, "code")
        self._add("</a>", y)

    def call(self, x: float, y: float, dotted: str, *kinds: str) -> None:
        """Write a method as it is called."""
        self.linked(x, y, dotted, f"{dotted.rpartition('.')[2]}()", *kinds)

    # ---- Boxes

    def rectangle(self, box: Box, *kinds: str, radius: float = 6) -> Box:
        """Draw a rectangle with nothing in it."""
        self._add(
            f'<rect class="box {" ".join(kinds)}" x="{number(box.x)}" y="{number(box.y)}"'
            f' width="{number(box.width)}" height="{number(box.height)}" rx="{radius:g}"/>',
            box.end,
        )
        return box

    def interface(
        self,
        x: float,
        y: float,
        width: float,
        dotted: str,
        tone: Tone,
        *,
        members: Sequence[str] = (),
        maybe: bool = False,
    ) -> Box:
        """Draw an interface, or a class: its module, its name, and a line of its methods.

        With ``maybe``, it is one that a component may have or lack.
        """
        module, name = find(dotted)
        height = 53 if members else 38
        box = Box(x=x, y=y, width=width, height=height)
        kinds = (tone, "maybe") if maybe else (tone,)
        self._add(f'<a href="{find(dotted).link}">', y)
        self.rectangle(box, *kinds)
        middle = x + width / 2
        self.words(middle, y + 15, module, "code", "muted", "middle")
        self.words(middle, y + 30, name, "code", "name", "middle")
        self._add("</a>", y)
        if members:
            self._members(middle, y + 46, dotted, members)
        return box

    def _members(self, middle: float, y: float, dotted: str, members: Sequence[str]) -> None:
        """Write methods side by side, each a link."""
        texts = [f"{member}()" for member in members]
        x = middle - code_width(" ".join(texts)) / 2
        for member, text in zip(members, texts, strict=True):
            self.call(x, y, f"{dotted}.{member}")
            x += code_width(f"{text} ")

    def outside(self, x: float, y: float, width: float, title: str) -> Box:
        """Draw somebody outside the program."""
        box = self.rectangle(Box(x=x, y=y, width=width, height=28), "outside", radius=14)
        self.words(x + width / 2, y + 18, title, "heading", "middle")
        return box

    def panel(
        self,
        y: float,
        end: float,
        title: str,
        *,
        x: float = 4,
        width: float = WIDTH - 8,
        indent: float = 10,
    ) -> Box:
        """Draw what boxes stand in, before they are drawn; its title may be an interface."""
        box = self.rectangle(Box(x=x, y=y, width=width, height=end - y), "panel", radius=8)
        if " " in title:
            self.words(x + indent, y + 18, title, "heading")
        else:
            self.linked(x + indent, y + 18, title, title, "name")
        return box

    def legend(self, x: float, y: float, *texts: str) -> None:
        """Say what a broken edge means."""
        self.rectangle(Box(x=x, y=y - 10, width=22, height=13), "outside", "maybe", radius=3)
        self.lines(x + 30, y, *texts)

    def lines(self, x: float, y: float, *texts: str) -> None:
        """Write remarks, one line below the other."""
        for row, text in enumerate(texts):
            self.words(x, y + 14 * row, text, "muted")

    # ---- Lines

    def path(self, points: Sequence[Point], *kinds: str) -> None:
        """Draw a line through points, with round corners."""
        data = [f"M{number(points[0].x)} {number(points[0].y)}"]
        for before, here, after in zip(points, points[1:], points[2:], strict=False):
            enter, leave = towards(here, before, 5), towards(here, after, 5)
            data.append(f"L{number(enter.x)} {number(enter.y)}")
            data.append(f"Q{number(here.x)} {number(here.y)} {number(leave.x)} {number(leave.y)}")
        data.append(f"L{number(points[-1].x)} {number(points[-1].y)}")
        classes = " ".join(("line", *kinds))
        self._add(
            f'<path class="{classes}" d="{" ".join(data)}"/>',
            max(point.y for point in points),
        )

    def arrow(self, *points: Point, maybe: bool = False, tone: Tone | None = None) -> None:
        """Draw an arrow through points; with ``maybe``, a broken one."""
        tip, before = points[-1], points[-2]
        base = towards(tip, before, 7)
        lines = ([f"{tone}-line"] if tone else []) + (["maybe"] if maybe else [])
        self.path((*points[:-1], base), *lines)
        across = Point((base.y - tip.y) * 0.55, (tip.x - base.x) * 0.55)
        corners = (
            tip,
            Point(base.x + across.x, base.y + across.y),
            Point(base.x - across.x, base.y - across.y),
        )
        drawn = " ".join(f"{number(corner.x)},{number(corner.y)}" for corner in corners)
        self._add(f'<polygon class="{f"{tone}-" if tone else ""}head" points="{drawn}"/>', tip.y)

    def dot(self, at: Point, tone: Tone, title: str) -> None:
        """Draw where two lines are joined."""
        self._add(
            f'<circle class="{tone}-head" cx="{number(at.x)}" cy="{number(at.y)}" r="3">'
            f"<title>{escape(title, quote=False)}</title></circle>",
            at.y,
        )

    # ---- The file

    def svg(self) -> str:
        """Return the picture as a file of its own, which a page can also hold in its text."""
        height = round(self._bottom + 6)
        shown = round(height * SHOWN_WIDTH / WIDTH)
        head = [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="gost-picture" role="group"'
            f' width="{SHOWN_WIDTH}" height="{shown}" viewBox="0 0 {WIDTH} {height}"'
            f' aria-labelledby="{self.name}-title" aria-describedby="{self.name}-text">',
            f'<title id="{self.name}-title">{escape(self.title)}</title>',
            f'<desc id="{self.name}-text">{escape(self.text)}</desc>',
            f"<style>\n{style()}\n</style>",
        ]
        return "\n".join([*head, *self._parts, "</svg>", ""])

    def _add(self, part: str, bottom: float) -> None:
        self._parts.append(part)
        self._bottom = max(self._bottom, bottom)


def towards(start: Point, goal: Point, far: float) -> Point:
    """Return the point on the way from one to another, so far from the start, or half the way."""
    distance = ((goal.x - start.x) ** 2 + (goal.y - start.y) ** 2) ** 0.5 or 1.0
    part = min(far, distance / 2) / distance
    return Point(start.x + (goal.x - start.x) * part, start.y + (goal.y - start.y) * part)
