"""The look of the figures."""

from __future__ import annotations

import contextlib
import textwrap
from collections.abc import Iterator, Sequence
from functools import lru_cache

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from resnet_repro.models.names import IMAGENET_DEPTHS, parse
from resnet_repro.paper.artifacts import Arm
from resnet_repro.report.captions import caption
from resnet_repro.report.load.view import View

RGB = tuple[float, float, float]

DPI = 150

WIDTH = 8.6  # inches at most: as wide as a repository's page shows a figure without shrinking it

PALE = 0.45  # opacity of the paper's curves; five grey ones could not be told apart

STYLE: dict[str, object] = {
    "font.family": "DejaVu Sans",  # shipped with matplotlib, so the same everywhere
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "0.92",
    "legend.fontsize": 8,
    "legend.frameon": True,
    "legend.framealpha": 0.9,
    "legend.edgecolor": "0.85",
    "savefig.dpi": DPI,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "resnet_repro",  # else the ids in an SVG are random
}

COLOURS = (
    "#0173b2",
    "#de8f05",
    "#029e73",
    "#d55e00",
    "#cc78bc",
    "#ca9161",
    "#fbafe4",
    "#949494",
    "#ece133",
    "#56b4e9",
)

DEPTHS = (20, 32, 44, 56, 110, 1202)  # a depth has one colour in every figure
_FAINT = ("#ece133", "#fbafe4")  # too light for a line on white


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Draw within this: matplotlib's defaults and ours, whatever the user's own settings."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)  # type: ignore[arg-type]
        yield


def new_figure(
    width: float, height: float, panels: int, in_row: int | None = None
) -> tuple[Figure, list[Axes]]:
    """A figure of `panels`, beside each other or `in_row` of them at most.

    Inches: its width, at most WIDTH, and the height of a row.
    """
    columns = min(panels, in_row or panels)
    rows = -(-panels // columns)
    figure = Figure(figsize=(min(width, WIDTH), height * rows), dpi=DPI, layout="constrained")
    grid = figure.add_gridspec(rows, columns)
    return figure, [figure.add_subplot(grid[divmod(i, columns)]) for i in range(panels)]


@lru_cache(maxsize=1)
def palette() -> tuple[RGB, ...]:
    """Seaborn's colour-blind palette, without seaborn, whose import takes longer than a figure."""
    return tuple(to_rgb(colour) for colour in COLOURS)


def colour(network: str) -> RGB:
    """A network's colour, by its depth."""
    depth = parse(network).depth
    colours = palette()
    if depth in IMAGENET_DEPTHS:  # never drawn beside the others, so theirs are the same
        return colours[(0, 3, 2, 4, 5)[IMAGENET_DEPTHS.index(depth)]]
    return colours[DEPTHS.index(depth) if depth in DEPTHS else 6 + depth % (len(colours) - 6)]


def arm_label(arm: Arm) -> str:
    """Its network's name as the paper writes it, and what sets it apart from the network's own arm.

    The arm resnet110-nowarmup of resnet110: ResNet-110 (nowarmup).
    """
    label, rest = parse(arm.network).label, arm.name.removeprefix(arm.network).strip("-")
    return f"{label} ({rest})" if rest and arm.changes else label


def arm_colours(arms: Sequence[Arm]) -> dict[str, RGB]:
    """A colour for each arm by its name: its network's, or for a second arm of it a spare one."""
    found: dict[str, RGB] = {}
    for arm in arms:
        faint = {to_rgb(c) for c in _FAINT}
        spare = [c for c in reversed(palette()) if c not in {*found.values(), *faint}]
        own = colour(arm.network)
        found[arm.name] = spare[0] if own in found.values() else own
    return found


def view_caption(view: View, extra: Sequence[str] = ()) -> str:
    """Protocol, machine, precision, number of seeds, and what was not run."""
    runs = view.frames.runs
    parts = [caption(runs)]
    counts = {
        arm.name: sum((run.dataset, run.arm) == (arm.dataset, arm.name) for run in runs)
        for arm in view.artifact.arms
    }
    seeds: dict[int, list[str]] = {}
    for name, n in counts.items():
        if n:
            seeds.setdefault(n, []).append(name)
    if len(seeds) == 1:
        parts.append(f"Seeds: n = {next(iter(seeds))}.")
    elif seeds:
        words = [f"n = {n} ({', '.join(arms)})" for n, arms in sorted(seeds.items())]
        parts.append(f"Seeds: {', '.join(words)}.")
    absent = [name for name, n in counts.items() if not n]
    if absent:
        parts.append(f"Not run: {', '.join(absent)}.")
    diverged = sorted({run.arm for run in runs if run.status != "done"})
    if diverged:
        parts.append(f"Diverged: {', '.join(diverged)}.")
    return " ".join([*parts, *extra])


def finish(figure: Figure, title: str, keys: Sequence[Artist], text: str) -> None:
    """Title above; along the lower edge one row of legend and the small print below it.

    The panels make room: no line of theirs runs under words. keys: labelled artists.
    """
    width, height = figure.get_size_inches()
    lines = textwrap.wrap(text, int(width * 19))  # 19 characters of 7 points fill an inch
    small = (len(lines) * 0.135 + 0.1) / height
    figure.suptitle(title, fontsize=11)
    legend = figure.legend(
        handles=list(keys),
        loc="lower center",
        bbox_to_anchor=(0.5, small),
        ncols=len(keys),
        frameon=False,
    )
    legend.set_in_layout(False)
    figure.text(
        0.1 / width, 0.06 / height, "\n".join(lines), fontsize=7, color="0.35", va="bottom"
    ).set_in_layout(False)
    engine = figure.get_layout_engine()
    if engine is not None:
        room = small + 0.3 / height
        engine.set(rect=(0, room, 1, 1 - room))  # type: ignore[call-arg]
