"""One run's curves as a few lines of SVG.

The page has a picture for every run; drawn with matplotlib, forty of them would take longer than
all the rest of the report.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

WIDTH, HEIGHT = 576, 250  # the picture
LEFT, RIGHT, TOP, BOTTOM = 44, 564, 10, 208  # the axes within it


def sketch(
    iterations: Sequence[int], train: Sequence[float], test: Sequence[float], colour: str
) -> bytes:
    """Training error (dashed) and test error (solid) in % against the iterations, as SVG.

    Values that are not finite leave a gap.
    """
    finite = [v for v in (*train, *test) if math.isfinite(v)]
    top = max(10.0 * math.ceil(max(finite, default=0.0) / 10), 10.0)
    end = max(iterations, default=1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    for part in range(5):
        y = BOTTOM + (TOP - BOTTOM) * part / 4
        parts.append(f'<path d="M{LEFT} {y:.1f}H{RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" {_END}>{top * part / 4:g}</text>')
        x = LEFT + (RIGHT - LEFT) * part / 4
        parts.append(f'<text x="{x:.1f}" y="{BOTTOM + 16}" {_MIDDLE}>{end * part / 4:,.0f}</text>')
    for values, dash, width in ((train, ' stroke-dasharray="5 3"', 1.2), (test, "", 2.0)):
        for points in _pieces(iterations, values, end, top):
            parts.append(
                f'<polyline points="{points}" fill="none" stroke="{colour}" '
                f'stroke-width="{width}"{dash}/>'
            )
    middle = (LEFT + RIGHT) / 2
    legend = "error, % against iterations; dashed: training error, solid: test error"
    parts.append(f'<text x="{middle}" y="{HEIGHT - 8}" {_MIDDLE}>{legend}</text></svg>')
    return "\n".join(parts).encode()


_END, _MIDDLE = 'text-anchor="end"', 'text-anchor="middle"'


def _pieces(iterations: Sequence[int], values: Sequence[float], end: int, top: float) -> list[str]:
    """The points of each unbroken part of a curve, as SVG writes them."""
    pieces: list[list[str]] = [[]]
    for iteration, value in zip(iterations, values, strict=True):
        if math.isfinite(value):
            x = LEFT + (RIGHT - LEFT) * iteration / end
            y = BOTTOM + (TOP - BOTTOM) * value / top
            pieces[-1].append(f"{x:.1f},{y:.1f}")
        else:
            pieces.append([])
    return [" ".join(piece) for piece in pieces if piece]
