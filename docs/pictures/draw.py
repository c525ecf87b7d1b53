"""Draw the pictures of the architecture anew: ``python docs/pictures/draw.py``.

It needs gost_core to be installed, and nothing else. The views are in views.py, the graphs of the
code in graphs.py. What a picture says to those who do not see it stands where a page shows it.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent / "tests")]

from canvas import Canvas  # noqa: E402
from graphs import GRAPHS  # noqa: E402
from views import VIEWS  # noqa: E402

PICTURES: Final = VIEWS | GRAPHS


def texts() -> dict[str, str]:
    """Return what the pages say in place of each picture."""
    return {
        name: " ".join(text.split())
        for page in sorted(HERE.parent.rglob("*.md"))
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
        yield HERE / f"{name}.svg", canvas.svg()


if __name__ == "__main__":
    for path, svg in drawn():
        path.write_text(svg, encoding="utf-8")
