"""What networks cost: Table 1's multiply-adds as a picture."""

from __future__ import annotations

from matplotlib.figure import Figure

from resnet_repro.report.captions import counted_caption
from resnet_repro.report.load.view import View
from resnet_repro.report.plots.style import finish, new_figure, palette, style
from resnet_repro.report.tables import table

AS_COUNTED, EQUAL, DIFFERS = "counted", "printed, equal", "printed, differs"


def multiply_adds_bars(view: View) -> Figure:
    """A bar a network for its counted multiply-adds, a marker for the printed value."""
    rows = [row for row in table(view.artifact, view.frames).rows if row.metric == "flops"]
    blue, _, _, vermilion, *_ = palette()
    with style():
        figure, [ax] = new_figure(7.2, 0.36 * len(rows) + 1.5, 1)
        for y, row in enumerate(rows):
            words = []
            ends = []
            if row.ours.mean is not None:
                counted = row.ours.mean / 1e9
                ax.barh(y, counted, 0.62, color=blue, alpha=0.55, label=AS_COUNTED)
                words.append(f"{counted:.3f}")
                ends.append(counted)
            if row.published is not None:
                same = row.ours.verdict == "equal"
                ax.plot(
                    row.published.value,
                    y,
                    ls="",
                    marker="o" if same else "D",
                    mec="black" if same else vermilion,
                    mfc="white",
                    mew=1.3,
                    ms=6,
                    label=EQUAL if same else DIFFERS,
                )
                words.append(f"printed {row.published.text}")
                ends.append(row.published.value)
            if row.ours.verdict in ("differs", "missing"):
                words.append(row.ours.verdict)
            ax.annotate(
                ", ".join(words),
                (max(ends, default=0.0), y),
                xytext=(8, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )
        names = [row.published.row if row.published else row.network for row in rows]
        ax.set_yticks(range(len(rows)), names)
        ax.invert_yaxis()
        ax.grid(axis="y", visible=False)
        ax.margins(x=0.28)
        ax.set_xlim(left=0)
        ax.set_xlabel("multiply-adds, billions")
        named = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
        keys = [named[label] for label in (AS_COUNTED, EQUAL, DIFFERS) if label in named]
        text = counted_caption(view.artifact, view.frames.counts)
        finish(figure, view.artifact.title, keys, text)
    return figure
