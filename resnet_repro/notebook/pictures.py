"""Pictures of the notebooks: lines, bars, a block, and errors that are drawn while a net trains."""

from __future__ import annotations

import io
import math
import re
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from resnet_repro.errors import UserError
from resnet_repro.evaluate.probes.lesions import Lesions
from resnet_repro.models.names import parse
from resnet_repro.records.store import Row
from resnet_repro.report.page.drawings import TIMES, block
from resnet_repro.report.plots.lesions import Lesioned
from resnet_repro.report.plots.probes import line
from resnet_repro.report.plots.style import finish, new_figure, palette, style

if TYPE_CHECKING:
    from IPython.display import SVG
    from matplotlib.figure import Figure

# x -> y, or y alone, which stands at x = 1, 2, ...
Line = Mapping[float, float] | Mapping[int, float] | Sequence[float]

_DASHES = ("-", "--", "-.", ":")
_MOST_MARKED = 32  # points of a line that carry markers
# A file of its own has no style sheet; the page's colours, on paper of its own.
_BLOCK_STYLE = (
    "text{font:10.5px sans-serif;fill:#1a1d21}.end{text-anchor:end}.middle{text-anchor:middle}"
    ".beside{fill:#5b636d}.enters{font-size:12px}.shortcut{fill:none;stroke:#b04a00;stroke-width:1.5}"
    ".box{fill:#f4f4f0;stroke:#5b636d}.flow,.plus{stroke:#1a1d21;stroke-width:1.3;fill:none}"
    ".sum{fill:#fdfdfb;stroke:#1a1d21;stroke-width:1.3}"
)


def plot(
    lines: Mapping[Any, Line],
    title: str,
    x: str,
    y: str,
    *,
    log: bool = False,
    points: bool = False,
) -> SVG:
    """Lines by their labels, in one panel.

    A network's name gives its line the colour of its depth, dashed where it is plain. x, y: what
    the axes show, with units. log: a logarithmic y axis. points: markers alone.
    """
    looks = _looks(lines)
    with style():
        figure, (axis,) = new_figure(6.5, 3.8, 1)
        for name, values in lines.items():
            xs, ys = _points(values)
            marker = "o" if points else "." if len(xs) <= _MOST_MARKED else ""
            axis.plot(xs, ys, **{**looks[name], "marker": marker, **({"ls": ""} if points else {})})
        if log:
            axis.set_yscale("log")
        axis.set_xlabel(x)
        axis.set_ylabel(y)
        mark = {"marker": "o", "ls": ""} if points else {}
        keys = [Line2D([], [], label=_label(n), **{**looks[n], **mark}) for n in lines]
        finish(figure, title, keys, "")
    return show(figure)


def bars(groups: Mapping[str, Mapping[str, float]], title: str, y: str) -> SVG:
    """Bars of several kinds side by side, at the same places: kind -> place -> height."""
    shades = dict(zip(groups, cycle(palette()), strict=False))
    width = 0.8 / len(groups)
    places = list(next(iter(groups.values())))
    with style():
        figure, (axis,) = new_figure(6.5, 3.8, 1)
        for n, (kind, heights) in enumerate(groups.items()):
            middles = [i + (n - (len(groups) - 1) / 2) * width for i in range(len(places))]
            drawn = axis.bar(middles, [heights[p] for p in places], 0.9 * width, color=shades[kind])
            axis.bar_label(drawn, fmt="%.1f", padding=2)
        axis.set_xticks(range(len(places)), places)
        axis.set_ylabel(y)
        axis.grid(visible=False, axis="x")
        finish(figure, title, [Patch(facecolor=shades[kind], label=kind) for kind in groups], "")
    return show(figure)


def draw_block(channels: int = 16) -> SVG:
    """Fig. 2 of the paper: a residual block of two 3x3 layers, with batch normalisation."""
    from IPython.display import SVG  # only a notebook has, and needs, it

    layer = f"3{TIMES}3 conv, {channels}"
    drawn = block(
        "A residual block: two layers, and the input added to what they put out",
        "x",
        [(layer, "batch normalisation", "ReLU"), (layer, "batch normalisation", "F(x)")],
        shortcut="x",
        leaves=("ReLU", "y = ReLU(F(x) + x)"),
    )
    opening = '<svg xmlns="http://www.w3.org/2000/svg" width="340" style="background:#fff" '
    style_sheet = f"<style>{_BLOCK_STYLE}</style>"
    svg = drawn.replace("<svg ", opening, 1).replace(">", f">{style_sheet}", 1)
    return SVG(svg)  # type: ignore[no-untyped-call, unused-ignore]


class Curves:
    """The errors of nets as they are trained: a picture that is drawn anew in its place.

    Once in `seconds` at most, as a picture takes longer than many a net's step. Outside of a
    notebook it draws nothing.
    """

    def __init__(self, seconds: float = 2.0) -> None:
        self._rows: dict[str, list[Row]] = {}
        self._handle: Any = None
        self._seconds, self._drawn = seconds, -math.inf
        shell = sys.modules.get("IPython")
        self._seen = shell is not None and shell.get_ipython() is not None

    def take(self, name: str, rows: list[Row]) -> None:
        """Take over the rows of a net so far, and draw those of all if it is time."""
        self._rows[name] = list(rows)
        if time.monotonic() >= self._drawn + self._seconds:
            self.draw()

    def draw(self) -> None:
        """Draw the rows there are."""
        self._drawn = time.monotonic()
        if not self._seen:
            return
        from IPython.display import display  # only a notebook has, and needs, it

        picture = show(errors_figure(self._rows))
        if self._handle is None:
            self._handle = display(picture, display_id=True)  # type: ignore[no-untyped-call, unused-ignore]
        else:
            self._handle.update(picture)


def errors_figure(nets: Mapping[str, Sequence[Row]]) -> Figure:
    """Test error (solid) and training error (dotted) in % by iteration, a colour a net."""
    shades = dict(zip(nets, cycle(palette()), strict=False))
    with style():
        figure, (axis,) = new_figure(6.5, 3.2, 1)
        for name, rows in nets.items():
            at = [row["iteration"] for row in rows]
            axis.plot(at, [row["test_error"] for row in rows], color=shades[name])
            axis.plot(at, [row["train_error"] for row in rows], color=shades[name], ls=":")
        axis.set_ylim(0, 100)
        axis.set_xlabel("iteration")
        axis.set_ylabel("error (%)")
        keys = [Line2D([], [], color=shades[name], label=_label(name)) for name in nets]
        finish(figure, "Solid: test error. Dotted: training error", keys[:6], "")
    return figure


def lesioned(network: str, found: Lesions) -> Lesioned:
    """What was measured of a network, as report.lesions draws it."""
    return Lesioned(
        network=network,
        blocks=tuple(found.deleted),
        pairs=tuple(found.swapped),
        intact=found.intact,
        deleted=tuple(found.deleted.values()),
        random=tuple(tuple(errors) for errors in found.random.values()),
        swapped=tuple(found.swapped.values()),
    )


def show(figure: Figure) -> SVG:
    """The figure as a notebook's output, in the style of the report's; the same bytes each time."""
    from IPython.display import SVG  # only a notebook has, and needs, it

    with style():
        picture = io.StringIO()
        # Dates would change the bytes of an unchanged figure.
        figure.savefig(picture, format="svg", metadata={"Date": None, "Creator": None})
    # A hundredth of a point is not seen; the digits behind it are half of a file.
    svg = re.sub(r' d="[^"]*"', lambda m: re.sub(r"(\.\d\d)\d+", r"\1", m[0]), picture.getvalue())
    return SVG(svg)  # type: ignore[no-untyped-call, unused-ignore]


def _points(values: Line) -> tuple[list[float], list[float]]:
    if isinstance(values, Mapping):
        return list(values), list(values.values())
    return list(range(1, len(values) + 1)), list(values)


def _label(name: object) -> str:
    """A network's name as the paper writes it; any other as it stands."""
    try:
        return parse(str(name)).label
    except UserError:
        return str(name)


def _looks(names: Iterable[object]) -> dict[object, dict[str, Any]]:
    """Colour and dashes of each line: of networks by their depth, of others in turn."""
    found: dict[object, dict[str, Any]] = {}
    for name, shade, dash in zip(names, cycle(palette()), cycle(_DASHES), strict=False):
        try:
            parse(str(name))
            found[name] = line(str(name))
        except UserError:
            found[name] = {"color": shade, "ls": dash}
    return found
