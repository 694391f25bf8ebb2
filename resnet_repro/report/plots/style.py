"""The look of the figures, and files that say which data they show.

A figure's SVG and PNG hold the digest of the plotted records, so that a stale one is found
without comparing pixels. The same records and versions give the same bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from resnet_repro.errors import UserError
from resnet_repro.models.names import IMAGENET_DEPTHS, parse
from resnet_repro.paper.artifacts import Arm
from resnet_repro.records.files import write_atomic
from resnet_repro.records.metrics import ERRORS
from resnet_repro.report.captions import caption, input_words
from resnet_repro.report.load.evaluations import settings_words, studies_wanted
from resnet_repro.report.load.frames import LABELS
from resnet_repro.report.load.view import View

RGB = tuple[float, float, float]

DPI = 150

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


def new_figure(width: float, height: float, columns: int) -> tuple[Figure, list[Axes]]:
    """A figure of `columns` panels beside each other; its size in inches."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False)
    return figure, list(axes[0])


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


def save(figure: Figure, folder: Path, stem: str, data_digest: str) -> list[Path]:
    """Write `<stem>.svg` and `<stem>.png`, each with the digest of its data in its metadata.

    Raises UserError when the folder cannot be written.
    """
    description = f"data-sha256: {data_digest}"
    # None leaves a key out: dates and versions would change the bytes of an unchanged figure.
    metadata: dict[str, dict[str, str | None]] = {
        "svg": {"Description": description, "Date": None, "Creator": None},
        "png": {"Description": description, "Software": None},
    }
    write: dict[str, Callable[..., Any]] = {
        "svg": FigureCanvasSVG(figure).print_svg,
        "png": FigureCanvasAgg(figure).print_png,
    }
    paths = []
    with style():
        engine = figure.get_layout_engine()
        if engine is not None:  # lay out once, not again for each format
            engine.execute(figure)
            figure.set_layout_engine("none")
        for kind, entries in metadata.items():
            content = io.BytesIO()
            # Not savefig, which draws every figure twice to find a layout that is known by now.
            write[kind](content, metadata=entries)
            figure.set_dpi(DPI)  # SVG has points for units, and leaves them behind
            path = folder / f"{stem}.{kind}"
            write_atomic(path, content.getvalue())
            paths.append(path)
    return paths


def stored_digest(path: Path) -> str:
    """The digest that `save` wrote into an SVG or PNG. Raises UserError when there is none."""
    try:
        # PNG text chunks and SVG metadata both hold it as plain bytes.
        match = re.search(rb"data-sha256: ([0-9a-f]{64})", path.read_bytes())
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    if match is None:
        raise UserError(f"{path} names no data: draw it anew with `report`")
    return match[1].decode()


def plotted_digest(view: View) -> str:
    """SHA-256 over the records that a figure of this view shows, timing apart.

    It depends on numbers and labels only: not on where the records lie, on the order in which
    they are read, or on pandas.
    """
    digest = hashlib.sha256(f"{view.artifact.name} {view.protocol}\n".encode())
    suite = view.suite and _plotted(replace(view, frames=view.suite, suite=None))
    for columns, rows in (*_plotted(view), *(suite or ())):
        digest.update(f"{' '.join(columns)}\n".encode())
        cells = [_canonical_column(column) for column in zip(*rows, strict=True)]
        lines = [" ".join(row) for row in zip(*cells, strict=True)]
        digest.update("\n".join([*sorted(lines), ""]).encode())
    return digest.hexdigest()


def _plotted(view: View) -> Iterator[tuple[Sequence[str], Iterable[tuple[object, ...]]]]:
    """Columns and rows of what a figure of this view may show.

    Where and when it was computed changes no picture; what an artifact has nothing of leaves its
    digest as it was.
    """
    frames = view.frames
    runs = frames.runs
    facts = ("network", "status", "schedule", "parameters")
    values = ["train_error", "test_error", "best_test_error"]
    machine = ("device_name", "precision")
    evaluated = [c for c in ERRORS if any(not math.isnan(run.values[c]) for run in runs)]
    yield (
        (*LABELS, *facts, *values, *machine, *evaluated),
        [
            (
                *run.labels,
                *(getattr(run, name) for name in facts),
                *(run.values[name] for name in values),
                *(getattr(run, name) for name in machine),
                *(run.values[name] for name in evaluated),
            )
            for run in runs
        ],
    )
    no_layer4 = frames.gradients["layer4"].isna().all()  # as in CIFAR networks
    gradients = frames.gradients.drop(columns="layer4") if no_layer4 else frames.gradients
    for frame in (frames.metrics, gradients, frames.layers):
        yield list(frame.columns), zip(*(frame[c].tolist() for c in frame.columns), strict=True)
    if frames.counts:
        yield (
            ("network", "input", "parameters", "multiply_adds"),
            [(c.name, input_words(c), c.parameters, c.multiply_adds) for c in frames.counts],
        )
    if frames.ensembles:
        errors = ("top1_error", "top5_error")
        yield (
            ("dataset", "name", "members", "settings", *errors),
            [
                (
                    *(e.dataset, e.name, ", ".join(e.made.members), settings_words(e.made)),
                    *(e.made.number(error) for error in errors),
                )
                for e in frames.ensembles
            ],
        )
    if studies := studies_wanted(view.artifact):
        made = [(run, run.evaluations[s]) for run in runs for s in studies if s in run.evaluations]
        yield (
            (*LABELS, "study"),
            [
                (*run.labels, json.dumps([e.name, e.settings, e.values], sort_keys=True))
                for run, e in made
            ],
        )


def _canonical_column(values: Sequence[object]) -> list[str]:
    """`_canonical` of each, most of which are labels that come again and again, or floats."""
    kinds = set(map(type, values))
    if kinds == {float}:
        return ["-" if text == "nan" else text for text in map(repr, values)]
    if kinds == {str}:
        known = {value: repr(value) for value in set(values)}
        return [known[value] for value in values]
    return [_canonical(value) for value in values]


def _canonical(value: object) -> str:
    if isinstance(value, str):
        return repr(value)
    if isinstance(value, (int, float)) and not math.isnan(value):
        return repr(float(value))
    return "-"
