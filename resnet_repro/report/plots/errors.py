"""Errors of an ImageNet table as a picture: a line for each network, a panel for each error."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from resnet_repro.models.names import parse
from resnet_repro.records.metrics import METRICS
from resnet_repro.report.captions import ensemble_caption
from resnet_repro.report.load.seeds import outcomes
from resnet_repro.report.load.view import View
from resnet_repro.report.plots.style import (
    finish,
    new_figure,
    palette,
    style,
    view_caption,
)
from resnet_repro.report.tables import ResultRow, table

QUOTED, PUBLISHED = "quoted by the paper", "paper"
RECORDED, EACH = "ours, mean of the final iterates", "each seed"
ENSEMBLE = "ours, on the validation images: not comparable"


def errors_by_network(view: View, errors: Sequence[str]) -> Figure:
    """The rows of the artifact's table, quoted ones first, as the paper lists them.

    errors: `top1_error`, `top5_error`; a panel each. Lines of other work are grey.
    """
    rows = sorted(table(view.artifact, view.frames).rows, key=lambda row: not row.quoted)
    rows = [row for row in rows if row.metric.endswith(tuple(errors))]
    names = list(dict.fromkeys(name for row in rows for name in _names(row)))
    with style():
        # Wide enough for the row of keys below a single panel.
        width = max(8.4, 2.4 + 3.4 * len(errors))
        figure, axes = new_figure(width, 0.3 * len(names) + 1.7, len(errors))
        for ax, error in zip(axes, errors, strict=True):
            for row in rows:
                if row.metric.endswith(error):
                    _draw(ax, view, row, *(names.index(name) for name in _names(row)))
            ax.set_ylim(len(names) - 0.5, -0.5)
            ax.set_yticks(range(len(names)), names if ax is axes[0] else [""] * len(names))
            ax.margins(x=0.12)
            ax.set_xlabel(METRICS[error].title)
        named: dict[str, Artist] = {}
        for ax in axes:
            named |= dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
        order = (QUOTED, PUBLISHED, RECORDED, EACH, ENSEMBLE)
        keys = [named[label] for label in order if label in named]
        finish(figure, view.artifact.title, keys, _caption(view))
    return figure


def _names(row: ResultRow) -> tuple[str, str]:
    """The line of the published value and that of ours: one for a network, two for an ensemble."""
    if row.network:
        return (parse(row.network).label,) * 2
    published = row.published.row if row.published else row.arm
    return published, published if row.quoted or row.ours.mean is None else row.arm


def _caption(view: View) -> str:
    if view.artifact.ensemble:
        return ensemble_caption(view.artifact, view.frames)
    rows = table(view.artifact, view.frames).rows
    runs = {run.arm for run in view.frames.runs}
    bare = [r.arm for r in rows if r.ours.verdict == "missing" and r.arm in runs]
    extra = [f"Not evaluated yet: {', '.join(dict.fromkeys(bare))}."] if bare else []
    return view_caption(view, extra)


def _draw(ax: Axes, view: View, row: ResultRow, y_published: int, y: int) -> None:
    blue, _, _, vermilion, *_ = palette()
    if row.published is not None:
        ax.plot(
            row.published.value,
            y_published,
            ls="",
            marker="o",
            mec="0.65" if row.quoted else "black",
            mfc="white",
            mew=1.2,
            ms=6,
            label=QUOTED if row.quoted else PUBLISHED,
        )
    if row.ours.mean is None:
        return
    label = ENSEMBLE if view.artifact.ensemble else RECORDED
    ax.plot(row.ours.mean, y, ls="", marker="s", color=blue, ms=5, label=label, zorder=3)
    if row.ours.n > 1:
        found = outcomes(view.frames, row.dataset, row.arm, row.protocol, row.metric)
        values = [o.value for o in found if o.value is not None]
        # A little below, or the mean would hide them.
        heights = [y + 0.22] * len(values)
        ax.plot(values, heights, ls="", marker=".", color=vermilion, ms=4, label=EACH)
