"""What the figures of studies share: whose weights were studied, and how a network looks."""

from __future__ import annotations

from typing import Any

from matplotlib.artist import Artist
from matplotlib.lines import Line2D

from resnet_repro.models.names import parse
from resnet_repro.paper.artifacts import Arm
from resnet_repro.records.evaluations import Evaluation
from resnet_repro.report.load.view import View
from resnet_repro.report.plots.style import arm_label, colour, view_caption


def studied(view: View, name: str) -> list[tuple[Arm, Evaluation]]:
    """The artifact's arms that have the study of that name, in its order; the first seed's."""
    found = []
    for arm in view.artifact.arms:
        runs = view.frames.runs_of(arm.dataset, arm.name)
        made = [run.evaluations[name] for run in runs if name in run.evaluations]
        found += [(arm, evaluation) for evaluation in made[:1]]
    return found


def studied_caption(view: View, name: str, *extra: str) -> str:
    """A view's caption, `extra`, and the arms that lack the study of that name.

    Of these it is not said whether they were run: they may only not have been studied.
    """
    parts = [view_caption(view).partition(" Not run:")[0], *extra]
    having = [arm for arm, _ in studied(view, name)]
    absent = [arm_label(arm) for arm in view.artifact.arms if arm not in having]
    if absent:
        parts.append(f"Not studied: {', '.join(absent)}.")
    return " ".join(parts)


def marked_line(network: str) -> dict[str, Any]:
    """A network's line and markers: colour by depth, open and dashed for plain nets."""
    plain = parse(network).plain
    face = "white" if plain else colour(network)
    return {**line(network), "lw": 1.5, "marker": "o" if plain else "s", "ms": 5, "mfc": face}


def line(network: str) -> dict[str, Any]:
    """Its line alone."""
    return {"color": colour(network), "ls": "--" if parse(network).plain else "-"}


def key(network: str) -> Artist:
    """Its entry in a legend."""
    return Line2D([], [], label=parse(network).label, **marked_line(network))
