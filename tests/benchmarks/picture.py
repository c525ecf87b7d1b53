"""The picture of the ratios: an SVG in the colours of the other pictures, on any page and width."""

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import chain
from textwrap import wrap

from docs._made import canvas
from tests.benchmarks.measure import Figure

WIDTH, ROW, MARGIN = canvas.WIDTH, 32, 14
FROM, TO = MARGIN, 270  # where the scale is; behind it stand the numbers
COLUMNS = 52  # characters of a line of small print
TICKS = (0.1, 1, 10, 100)
STYLE = """
.gost-picture .tick { stroke: var(--panel-edge) }
.gost-picture .one { stroke: var(--line) }
.gost-picture .bar { fill: var(--service-edge); opacity: 0.6 }
.gost-picture .spread { stroke: var(--ink); stroke-width: 2 }
.gost-picture .subject { paint-order: stroke; stroke: var(--panel); stroke-width: 4px }
.gost-picture .bound { stroke: var(--out-edge); stroke-width: 3 }
"""


def draw(parts: Mapping[str, Sequence[Figure]], measured: Sequence[str]) -> str:
    """Return the picture.

    Args:
        parts: the figures, by part.
        measured: sentences that say when, where and what was measured.
    """
    lines: list[str] = []
    top = MARGIN - 12
    for line in chain.from_iterable(wrap(text, COLUMNS) for text in measured):
        top += 16
        lines.append(f'<text class="muted" x="{MARGIN}" y="{top}">{escape(line)}</text>')
    for part, figures in parts.items():
        top += 30
        lines.append(f'<text class="heading" x="{MARGIN}" y="{top}">{escape(part)}</text>')
        top += 16
        lines += _axis(top, top + 4 + ROW * len(figures))
        top += 4
        for figure in figures:
            lines += _row(figure, top)
            top += ROW
    height = top + MARGIN
    shown = round(height * canvas.SHOWN_WIDTH / WIDTH)
    return "\n".join(
        [
            '<svg xmlns="http://www.w3.org/2000/svg" class="gost-picture" role="img"'
            f' aria-label="Each ratio as a bar from 1" width="{canvas.SHOWN_WIDTH}"'
            f' height="{shown}" viewBox="0 0 {WIDTH} {height}">',
            f"<style>\n{canvas.style()}{STYLE}</style>",
            f'<rect class="box panel" width="{WIDTH}" height="{height}" rx="8"/>',
            *lines,
            "</svg>\n",
        ]
    )


def _axis(top: int, bottom: int) -> Iterator[str]:
    for tick in TICKS:
        place = "" if tick == TICKS[0] else ' text-anchor="middle"'
        yield f'<text class="muted" x="{_x(tick):.1f}" y="{top}"{place}>{tick:g}</text>'
        yield f'<path class="tick" d="M{_x(tick):.1f} {top + 4}V{bottom}"/>'


def _row(figure: Figure, top: int) -> Iterator[str]:
    middle, (low, high) = figure.samples.middle(), figure.samples.quartiles()
    y = top + 21
    subject = escape(figure.subject)
    yield f'<text class="subject" x="{MARGIN}" y="{top + 12}">{subject}</text>'
    left, right = sorted((_x(1), _x(middle)))
    yield f'<rect class="bar" x="{left:.1f}" y="{y - 4}" width="{right - left:.1f}" height="8"/>'
    yield f'<path class="spread" d="M{_x(low):.1f} {y}H{_x(high):.1f}"/>'
    yield f'<path class="one" d="M{_x(1):.1f} {y - 6}v12"/>'
    number = f"{middle:.2f}"
    if figure.bound is not None:
        number += f" {'≤' if figure.bound.way == 'at most' else '≥'} {figure.bound.value:g}"
        number += " ✓" if figure.bound.holds(middle) else " ✗"
        yield f'<path class="bound" d="M{_x(figure.bound.value):.1f} {y - 7}v14"/>'
    yield f'<text x="{TO + 6}" y="{y + 4}">{number}</text>'


def _x(value: float) -> float:
    return FROM + (math.log10(min(max(value, 0.1), 100)) + 1) / 3 * (TO - FROM)
