"""The tutorial as its reader follows it: the files that the page shows, and the lines to type."""

import re
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

DOCS: Final = Path(__file__).parents[2] / "docs"
PAGE: Final = (DOCS / "tutorial.md").read_text(encoding="utf-8")

_FENCE: Final = re.compile(
    r"^```(?P<kind>\w+|{literalinclude} (?P<source>\S+))\n(?P<body>.*?)^```$", re.M | re.S
)


class Command(NamedTuple):
    """A line that the page asks its reader to type, and what the page shows below it."""

    line: str
    shown: str


def files() -> dict[str, str]:
    """Return the files that the page shows, by the names above them."""
    found = dict[str, str]()
    for fence in _FENCE.finditer(PAGE):
        if fence["source"]:
            name = re.fullmatch(r":caption: (\S+)\n", fence["body"])
            assert name, f"{fence['source']} is not shown whole, under its name: {fence['body']!r}"
            found[name[1]] = (DOCS / fence["source"]).read_text(encoding="utf-8")
    return found


def commands() -> list[Command]:
    """Return the lines to type, in the order of the page."""
    found = list[Command]()
    fences = list(_FENCE.finditer(PAGE))
    for fence, below in pairwise([*fences, None]):
        if fence and fence["kind"] == "sh":
            *before, last = fence["body"].splitlines()
            found += [Command(line, "") for line in before]
            found.append(Command(last, below["body"] if below and below["kind"] == "text" else ""))
    return found


def write(folder: Path) -> None:
    """Make the folder that a reader of the page has when every file is written."""
    (folder / "tutorial").mkdir()
    (folder / "tutorial" / "__init__.py").touch()
    for name, text in files().items():
        (folder / name).write_text(text, encoding="utf-8")


def without_numbers(text: str) -> str:
    """Return a text of which only the numbers may differ from one run to the next."""
    return re.sub(r"[\d.]+", "#", text)
