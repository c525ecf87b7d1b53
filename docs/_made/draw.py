"""Draw the pictures of the architecture anew: ``python -m docs._made.draw``.

It needs gost_core to be installed, and nothing else. The views are in views.py, the graphs of the
code in graphs.py. What a picture says to those who do not see it stands where a page shows it.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from docs._made.canvas import Canvas
from docs._made.graphs import GRAPHS
from docs._made.views import VIEWS

DOCS: Final = Path(__file__).parents[1]
FOLDER: Final = DOCS / "pictures"
PICTURES: Final = VIEWS | GRAPHS


def texts() -> dict[str, str]:
    """Return what the pages say in place of each picture."""
    return {
        name: " ".join(text.split())
        for page in sorted(DOCS.rglob("*.md"))
        for name, text in re.findall(
            r"^```\{picture\} (\S+)\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE
        )
    }


def drawn() -> Iterator[tuple[Path, str]]:
    """Return each picture's file and what belongs into it."""
    said = texts()
    for name, (title, draw) in PICTURES.items():
        canvas = Canvas(name, title, said[name])
        draw(canvas)
        yield FOLDER / f"{name}.svg", canvas.svg()


if __name__ == "__main__":
    for path, svg in drawn():
        path.write_text(svg, encoding="utf-8")
