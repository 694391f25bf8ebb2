"""Final test errors by shortcut option, each seed a dot, a panel a depth."""

from __future__ import annotations

from itertools import groupby

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from resnet_repro.models.names import parse
from resnet_repro.paper.artifacts import Arm
from resnet_repro.paper.published import PAPER_PROTOCOL, published_for
from resnet_repro.report.load.seeds import outcomes, spread
from resnet_repro.report.load.view import View
from resnet_repro.report.plots.style import finish, new_figure, palette, style, view_caption
from resnet_repro.report.statistics import mean_half_width
from resnet_repro.report.verdicts.rule import summarise

MEAN, SEED, PUBLISHED = "mean, final iterates", "each seed", "published (option A)"

BARS = "Bars: 95 % interval of our mean, where the spread between seeds is known."


def errors_by_option(view: View) -> Figure:
    """A panel for each depth: its options side by side, and Table 6's value beside option A.

    The bars are 95 % intervals of our means, with the spread between seeds pooled over the arms
    shown, and the paper's own runs under its protocol; none where no spread is known.
    """
    depths = [
        list(arms) for _, arms in groupby(view.artifact.arms, lambda a: parse(a.network).depth)
    ]
    with style():
        figure, axes = new_figure(1.0 + 3.2 * len(depths), 4.2, len(depths))
        axes[0].set_ylabel("test error, %")
        for ax, arms in zip(axes, depths, strict=True):
            drawn = [_draw(ax, view, arm, x) for x, arm in enumerate(arms)]
            if not any(drawn):
                ax.set_yticks([])  # nothing recorded, so no scale
            ax.set_xticks(range(len(arms)), [parse(arm.network).shortcut for arm in arms])
            ax.set_xlim(-0.6, len(arms) - 0.4)
            ax.set_xlabel("shortcut option")
            ax.set_title(f"{parse(arms[0].network).depth} layers")
            ax.margins(y=0.25)
        named: dict[str, Artist] = {}
        for ax in axes:
            named |= dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
        keys = [named[label] for label in (PUBLISHED, MEAN, SEED) if label in named]
        finish(figure, view.artifact.title, keys, view_caption(view, [BARS]))
    return figure


def _draw(ax: Axes, view: View, arm: Arm, x: int) -> bool:
    """Draw an option at `x`; returns whether there was anything to draw."""
    drawn = False
    for key in view.artifact.published:
        if (key.arm, key.metric) == (arm.name, "test_error") and view.protocol == PAPER_PROTOCOL:
            value = published_for(key)[0].value
            ax.plot(x - 0.22, value, "o", mec="0.55", mfc="white", label=PUBLISHED, zorder=2)
            drawn = True
    found = outcomes(view.frames, arm.dataset, arm.name, view.protocol, "test_error")
    ours = summarise(found)
    values = [o.value for o in found if o.value is not None and not o.diverged]
    if ours.mean is not None:
        s = spread(view.frames, arm, "test_error", view.protocol)
        half = None if s is None else mean_half_width(s, ours.n)
        ax.errorbar(
            [x],
            [ours.mean],
            yerr=half,
            color=palette()[0],
            marker="_",
            ms=22,
            capsize=4,
            label=MEAN,
        )
    if values:
        ax.plot([x + 0.16] * len(values), values, ".", color="0.25", ms=6, label=SEED, zorder=4)
    return drawn or bool(values)
