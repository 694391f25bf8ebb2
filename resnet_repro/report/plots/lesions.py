"""What networks lose with a block: each deleted, several deleted, two swapped."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from resnet_repro.models.names import parse
from resnet_repro.records.evaluations import Evaluation
from resnet_repro.report.load.view import View
from resnet_repro.report.plots.probes import key, line, marked_line, studied, studied_caption
from resnet_repro.report.plots.style import WIDTH, colour, finish, new_figure, style

WHOLE = "thin: the whole network"
EACH = "dots: single draws"


@dataclass(frozen=True)
class Lesioned:
    """Test errors in % of one network: whole, and after each lesion.

    `deleted` by block from input to output, `random` by the number of blocks deleted at once (a
    list of draws each), `swapped` by pair.
    """

    network: str
    blocks: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    intact: float
    deleted: tuple[float, ...]
    random: tuple[tuple[float, ...], ...]
    swapped: tuple[float, ...]


def lesion_figure(view: View) -> Figure:
    """The artifact's arms whose weights were studied; the first seed of each."""
    made = studied(view, "lesions")
    images = sorted({str(e.settings.get("images")) for _, e in made})
    text = studied_caption(view, "lesions", f"Test images: {', '.join(images)}.")
    return draw_lesions([_lesioned(arm.network, e) for arm, e in made], view.artifact.title, text)


def draw_lesions(found: Sequence[Lesioned], title: str, text: str) -> Figure:
    """Errors without each block, without several, with two swapped; a panel each.

    Plain nets are dashed with open markers, residual nets solid with filled ones; a depth has one
    colour. text: the small print below.
    """
    with style():
        figure, axes = new_figure(WIDTH, 4.2, 3)
        titles = ("one block deleted", "several blocks deleted", "two blocks swapped")
        for ax, words in zip(axes, titles, strict=True):
            ax.set_title(words)
            ax.set_ylim(0, 100)
            if ax is not axes[0]:
                ax.sharey(axes[0])
        axes[0].set_ylabel("test error, %")
        for one in found:
            for ax in axes:
                ax.axhline(one.intact, lw=0.7, **line(one.network))
            _draw_line(axes[0], one.network, range(1, len(one.deleted) + 1), one.deleted)
            _draw_several(axes[1], one)
            # Points: which pair stands beside which means nothing.
            pairs = range(1, len(one.swapped) + 1)
            axes[2].plot(pairs, one.swapped, **{**marked_line(one.network), "ls": "", "ms": 3})
        same = len({one.blocks for one in found}) == 1
        _name(axes[0], found[0].blocks if same else (), "block")
        axes[1].set_xlabel("blocks deleted at once, at random")
        axes[1].xaxis.set_major_locator(MaxNLocator(integer=True))
        names = tuple(f"{a} - {b.rpartition('.')[2]}" for a, b in found[0].pairs)
        _name(axes[2], names if same else (), "pair of blocks of one stage")
        keys: list[Artist] = [key(one.network) for one in found]
        keys.append(Line2D([], [], color="0.3", lw=0.7, label=WHOLE))
        keys.append(Line2D([], [], color="0.3", ls="", marker=".", ms=4, label=EACH))
        finish(figure, title, keys, text)
    return figure


def _draw_line(ax: Axes, network: str, x: Sequence[int], y: Sequence[float]) -> None:
    ax.plot(list(x), y, **marked_line(network))


def _draw_several(ax: Axes, one: Lesioned) -> None:
    numbers = range(1, len(one.random) + 1)
    _draw_line(ax, one.network, numbers, [statistics.fmean(draws) for draws in one.random])
    aside = 0.12 if parse(one.network).plain else -0.12  # or the dots would hide each other
    for number, draws in zip(numbers, one.random, strict=True):
        dots = [number + aside] * len(draws)
        ax.plot(dots, draws, ls="", marker=".", ms=3, color=colour(one.network))


def _name(ax: Axes, names: Sequence[str], what: str) -> None:
    ax.set_xlabel(what)
    if names:
        ax.set_xticks(range(1, len(names) + 1), list(names), rotation=60)
    else:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def _lesioned(network: str, evaluation: Evaluation) -> Lesioned:
    return Lesioned(
        network=network,
        blocks=tuple(evaluation.listed("blocks")),
        pairs=tuple((a, b) for a, b in evaluation.listed("pairs")),
        intact=evaluation.number("intact_error"),
        deleted=tuple(evaluation.listed("deleted_errors")),
        random=tuple(tuple(draws) for draws in evaluation.listed("random_errors")),
        swapped=tuple(evaluation.listed("swapped_errors")),
    )
