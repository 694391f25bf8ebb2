"""Panels beside each other: the paper's axis below, what lies above it in a strip of its own scale.

And names at the ends of curves, as the paper has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from resnet_repro.report.plots.style import DPI, RGB

STRIP = 0.45  # a strip's height, where that of the axis below it is 1
LABEL = 7.5  # points, the size of a name at a curve's end
LINE = 1.2 * LABEL  # points from one such name to the next


@dataclass(frozen=True)
class PanelAxes:
    """A panel's axis, and the strip above it, if it has one; curves are drawn in both."""

    main: Axes
    strip: Axes | None = None

    @property
    def both(self) -> tuple[Axes, ...]:
        return (self.main,) if self.strip is None else (self.main, self.strip)

    @property
    def highest(self) -> Axes:
        return self.both[-1]

    def set_ylim(self, bottom: float, top: float, above: float) -> None:
        """The axis from `bottom` to `top`; the strip, if there is one, goes on to `above`."""
        self.main.set_ylim(bottom, top)
        if self.strip is not None:
            self.strip.set_ylim(top, above)
            self.strip.yaxis.set_major_locator(MaxNLocator(4, prune="lower"))  # said below


@dataclass(frozen=True)
class End:
    """Where a curve ends, and what is written there; bold for ours."""

    value: float
    text: str
    colour: RGB
    bold: bool


def new_panels(
    width: float, height: float, strips: Sequence[bool]
) -> tuple[Figure, list[PanelAxes]]:
    """A figure of a panel for each of `strips`, which says whether it has one; inches."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    rows = 2 if any(strips) else 1
    grid = figure.add_gridspec(
        rows, len(strips), height_ratios=(STRIP, 1) if rows == 2 else None, hspace=0.02
    )
    panels = []
    for column, has_strip in enumerate(strips):
        if not has_strip:
            panels.append(PanelAxes(figure.add_subplot(grid[:, column])))
            continue
        main = figure.add_subplot(grid[1, column])
        strip = figure.add_subplot(grid[0, column], sharex=main)
        strip.tick_params(axis="x", bottom=False, labelbottom=False)
        strip.spines["bottom"].set(linestyle=(0, (2, 2)), color="0.6")
        strip.set_facecolor("0.97")  # another scale
        panels.append(PanelAxes(main, strip))
    return figure, panels


def label_ends(panel: PanelAxes, ends: Sequence[End]) -> None:
    """Write each curve's name right of its end, apart from one another.

    To be called when the figure's layout is decided but for the room these names take.
    """
    bottom, top = panel.main.get_ylim()
    for ax in panel.both:
        here = [end for end in ends if (end.value > top) == (ax is panel.strip)]
        here.sort(key=lambda end: end.value)
        low, high = ax.get_ylim()
        points = ax.get_window_extent().height * 72 / ax.figure.dpi
        at = [(max(end.value, bottom) - low) / (high - low) * points for end in here]
        room = (0.5 * LINE, points - 0.5 * LINE)
        for end, y, place in zip(here, at, spread_out(at, LINE, *room), strict=True):
            ax.annotate(
                end.text,
                xy=(1, y / points),
                xycoords="axes fraction",
                xytext=(10, place - y),
                textcoords="offset points",
                va="center",
                fontsize=LABEL,
                fontweight="bold" if end.bold else "normal",
                color=end.colour,
                arrowprops={
                    "arrowstyle": "-",
                    "color": end.colour,
                    "lw": 0.6,
                    "shrinkA": 0,
                    "shrinkB": 0,
                    "relpos": (0, 0.5),
                },
                annotation_clip=False,
            )


def spread_out(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places at least `gap` apart, as near as may be to those wanted, which rise.

    They stay between `low` and `high` where there is room. Least squares by pooling of neighbours
    that are too close.
    """
    pools: list[tuple[float, int]] = []  # mean of what is wanted less the gaps before it, how many
    for i, place in enumerate(wanted):
        mean, n = place - i * gap, 1
        while pools and pools[-1][0] >= mean:
            before, m = pools.pop()
            mean, n = (before * m + mean * n) / (m + n), m + n
        pools.append((mean, n))
    last = high - gap * (len(wanted) - 1)
    means = [max(low, min(last, mean)) for mean, n in pools for _ in range(n)]
    return [mean + i * gap for i, mean in enumerate(means)]
