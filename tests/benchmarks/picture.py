"""The picture of the ratios: an SVG of its own colours, readable on any page and any width."""

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape

from tests.benchmarks.measure import Figure

WIDTH, ROW, MARGIN = 360, 32, 14
FROM, TO = MARGIN, 270  # where the scale is; behind it stand the numbers
STYLE = """
text { font: 11.5px system-ui, sans-serif; fill: #1f2937 }
.part { font-weight: 600; font-size: 14px }
.one { stroke: #6b7280 }
.bar { fill: #6d9bd3 }
.spread { stroke: #0b2545; stroke-width: 2 }
.bound { stroke: #b45309; stroke-width: 3 }
"""


def draw(parts: Mapping[str, Sequence[Figure]]) -> str:
    """Return the picture, which depends on the figures alone."""
    lines: list[str] = []
    top = MARGIN
    for part, figures in parts.items():
        top += 24
        lines.append(f'<text class="part" x="{MARGIN}" y="{top - 8}">{escape(part)}</text>')
        for figure in figures:
            lines += _row(figure, top)
            top += ROW
    lines.append(f'<text x="{MARGIN}" y="{top + 12}">from 0.1 to 100, logarithmic</text>')
    height = top + 12 + MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}">',
            f"<style>{STYLE}</style>",
            f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#f9fafb"/>',
            *lines,
            "</svg>\n",
        ]
    )


def _row(figure: Figure, top: int) -> Iterator[str]:
    middle, (low, high) = figure.samples.middle(), figure.samples.quartiles()
    y = top + 21
    yield f'<text x="{MARGIN}" y="{top + 12}">{escape(figure.subject)}</text>'
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
