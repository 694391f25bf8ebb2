"""What networks lose with a block: each deleted, several deleted, two swapped."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from resnet_repro.records.evaluations import LESIONS, Evaluation
from resnet_repro.report.figures import (
    arm_label,
    colour,
    finish,
    network_label,
    new_figure,
    style,
    view_caption,
)
from resnet_repro.report.frames import View

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
    found, images = [], set()
    for arm in view.artifact.arms:
        made = [e for e in evaluations_of(view, LESIONS) if e[0] == arm.name]
        if made:
            evaluation = made[0][1]
            found.append(_lesioned(arm.network, evaluation))
            images.add(str(evaluation.settings.get("images")))
    absent = [a for a in view.artifact.arms if a.network not in [x.network for x in found]]
    extra = [f"Test images: {', '.join(sorted(images))}."]
    if absent:
        extra.append(f"Not studied: {', '.join(arm_label(a) for a in absent)}.")
    return draw_lesions(found, view.artifact.title, studied_caption(view, extra))


def evaluations_of(view: View, name: str) -> list[tuple[str, Evaluation]]:
    """The evaluations of one name that a view has: arm and evaluation, by arm and seed."""
    made = view.frames.evaluations
    here = made[made["evaluation"] == name].sort_values(["arm", "seed"])
    return list(zip(here["arm"], here["made"], strict=True))


def studied_caption(view: View, extra: Sequence[str]) -> str:
    """A view's caption without the arms that were not run, which may only not have been studied."""
    words = view_caption(view)
    return " ".join([words.partition(" Not run:")[0], *extra])


def draw_lesions(found: Sequence[Lesioned], title: str, text: str) -> Figure:
    """Errors without each block, without several, with two swapped; a panel each.

    Plain nets are dashed with open markers, residual nets solid with filled ones; a depth has one
    colour. text: the small print below.
    """
    with style():
        figure, axes = new_figure(11.4, 4.6, 3)
        titles = ("one block deleted", "several blocks deleted", "two blocks swapped")
        for ax, words in zip(axes, titles, strict=True):
            ax.set_title(words)
            ax.set_ylim(0, 100)
            if ax is not axes[0]:
                ax.sharey(axes[0])
        axes[0].set_ylabel("test error, %")
        for one in found:
            for ax in axes:
                ax.axhline(one.intact, lw=0.7, **_line(one.network))
            _draw_line(axes[0], one.network, range(1, len(one.deleted) + 1), one.deleted)
            _draw_several(axes[1], one)
            _draw_line(axes[2], one.network, range(1, len(one.swapped) + 1), one.swapped)
        same = len({one.blocks for one in found}) == 1
        _name(axes[0], found[0].blocks if same else (), "block")
        axes[1].set_xlabel("blocks deleted at once, drawn at random")
        axes[1].xaxis.set_major_locator(MaxNLocator(integer=True))
        pairs = tuple(f"{a} - {b.rpartition('.')[2]}" for a, b in found[0].pairs)
        _name(axes[2], pairs if same else (), "pair of blocks of one stage")
        keys: list[Artist] = [
            Line2D([], [], label=network_label(one.network), **look(one.network)) for one in found
        ]
        keys.append(Line2D([], [], color="0.3", lw=0.7, label=WHOLE))
        keys.append(Line2D([], [], color="0.3", ls="", marker=".", ms=4, label=EACH))
        finish(figure, title, keys, text)
    return figure


def look(network: str) -> dict[str, Any]:
    """A network's line and markers: colour by depth, open and dashed for plain nets."""
    plain = network.startswith("plain")
    face = "white" if plain else colour(network)
    return {**_line(network), "lw": 1.5, "marker": "o" if plain else "s", "ms": 5, "mfc": face}


def _line(network: str) -> dict[str, Any]:
    return {"color": colour(network), "ls": "--" if network.startswith("plain") else "-"}


def _draw_line(ax: Axes, network: str, x: Sequence[int], y: Sequence[float]) -> None:
    ax.plot(list(x), y, **look(network))


def _draw_several(ax: Axes, one: Lesioned) -> None:
    numbers = range(1, len(one.random) + 1)
    _draw_line(ax, one.network, numbers, [statistics.fmean(draws) for draws in one.random])
    aside = 0.12 if one.network.startswith("plain") else -0.12  # or the dots would hide each other
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
    told, values = evaluation.settings, evaluation.values
    return Lesioned(
        network=network,
        blocks=tuple(_list(told["blocks"])),
        pairs=tuple((a, b) for a, b in _list(told["pairs"])),
        intact=evaluation.number("intact_error"),
        deleted=tuple(_list(values["deleted_errors"])),
        random=tuple(tuple(draws) for draws in _list(values["random_errors"])),
        swapped=tuple(_list(values["swapped_errors"])),
    )


def _list(value: object) -> list[Any]:
    assert isinstance(value, list)
    return value
