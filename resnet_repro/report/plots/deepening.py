"""Nets made deeper by identities, beside those that were trained at that depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from resnet_repro.models.names import parse
from resnet_repro.records.evaluations import Evaluation
from resnet_repro.report.load.view import View
from resnet_repro.report.plots.probes import marked_line, studied, studied_caption
from resnet_repro.report.plots.style import finish, new_figure, style

PLAIN, RESIDUAL = "plain net, as trained", "residual net, as trained"
DEEPENED, FOUND = "the same net, deepened", "what training found at each depth"


@dataclass(frozen=True)
class Deepened:
    """Training errors in % of one network by its depth in layers; the first is its own."""

    network: str
    depths: tuple[int, ...]
    errors: tuple[float, ...]


def identity_figure(view: View) -> Figure:
    """The artifact's arms that were studied; the first seed of each."""
    made = studied(view, "identity")
    images = sorted({str(e.settings.get("images")) for _, e in made})
    # What is filed is rounded to 6 digits after the point, so that 0 may stand for less than 1e-6.
    furthest = max([1e-6, *(e.number("logit_difference") for _, e in made)])
    text = studied_caption(
        view,
        "identity",
        f"Error on the first {' or '.join(images)} training images, not augmented.",
        f"The deepened nets' logits differ from the trained nets' by at most {furthest:.6f}.",
    )
    return draw_identity([_deepened(a.network, e) for a, e in made], view.artifact.title, text)


def draw_identity(found: Sequence[Deepened], title: str, text: str) -> Figure:
    """Training error against depth, a panel for plain nets and one for residual ones.

    From its own depth on each net is a line: its own error with its marker, then what it has when
    identities make it deeper. Grey: the trained nets, from depth to depth. text: the small print
    below.
    """
    plain = [one for one in found if parse(one.network).plain]
    families = {"plain nets": plain, "residual nets": [one for one in found if one not in plain]}
    shown = {name: nets for name, nets in families.items() if nets}
    depths = sorted({depth for one in found for depth in one.depths})
    with style():
        figure, axes = new_figure(1.4 + 3.8 * len(shown), 4.4, len(shown))
        axes[0].set_ylabel("training error, %")
        for ax, (name, nets) in zip(axes, shown.items(), strict=True):
            ax.set_title(name)
            ax.set_xlabel("layers")
            ax.set_xticks(depths)
            _draw(ax, nets)
            ax.set_ylim(0, 1.3 * max(max(one.errors) for one in nets) or 1)
        # A net is told by its own depth, where its line begins; the legend names the marks.
        keys: list[Artist] = [
            Line2D([], [], color="0.3", ls="--", marker="o", ms=8, mfc="w", label=PLAIN),
            Line2D([], [], color="0.3", marker="s", ms=8, label=RESIDUAL),
            Line2D([], [], color="0.3", ls="", marker=".", ms=7, label=DEEPENED),
        ]
        if any(len(nets) > 1 for nets in shown.values()):
            keys.append(Line2D([], [], color="0.6", lw=0.8, label=FOUND))
        finish(figure, title, keys, text)
    return figure


def _draw(ax: Axes, nets: Sequence[Deepened]) -> None:
    own = sorted((one.depths[0], one.errors[0]) for one in nets)
    if len(own) > 1:
        ax.plot(*zip(*own, strict=True), color="0.6", lw=0.8, zorder=1)
    for one in nets:
        shape = marked_line(one.network)
        ax.plot(one.depths, one.errors, **{**shape, "marker": ".", "ms": 7, "mfc": shape["color"]})
        ax.plot(one.depths[:1], one.errors[:1], **{**shape, "ms": 8})


def _deepened(network: str, evaluation: Evaluation) -> Deepened:
    return Deepened(
        network,
        depths=tuple(evaluation.listed("depths")),
        errors=tuple(evaluation.listed("deepened_errors")),
    )
