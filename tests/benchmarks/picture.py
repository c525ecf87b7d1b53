"""The picture of the ratios: an SVG of its own colours, readable on any page and any width."""

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape

from measure import Figure

WIDTH, ROW, MARGIN = 360, 34, 14
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #1f2937 }
.part { font-weight: 600; font-size: 14px }
.axis { stroke: #6b7280; stroke-dasharray: 2 2 }
.bar { fill: #3b6fb6 }
.spread { stroke: #0b2545; stroke-width: 2 }
.bound { stroke: #b45309; stroke-width: 2 }
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
    caption = "On a logarithmic scale from 0.01 to 1000; the dashed line is 1."
    lines.append(f'<text x="{MARGIN}" y="{top + 10}">{caption}</text>')
    height = top + 10 + MARGIN
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
    y = top + 22
    label = f"{figure.subject}: {middle:.2f}"
    bound = "" if figure.bound is None else f" ({figure.bound})"
    yield f'<text x="{MARGIN}" y="{top + 12}">{escape(label + bound)}</text>'
    left, right = sorted((_x(1), _x(middle)))
    yield f'<rect class="bar" x="{left:.1f}" y="{y - 4}" width="{right - left:.1f}" height="8"/>'
    yield f'<path class="spread" d="M{_x(low):.1f} {y}H{_x(high):.1f}"/>'
    yield f'<path class="axis" d="M{_x(1):.1f} {y - 6}v12"/>'
    if figure.bound is not None:
        yield f'<path class="bound" d="M{_x(figure.bound.value):.1f} {y - 7}v14"/>'


def _x(value: float) -> float:
    share = (math.log10(min(max(value, 0.01), 1000)) + 2) / 5
    return MARGIN + share * (WIDTH - 2 * MARGIN)
