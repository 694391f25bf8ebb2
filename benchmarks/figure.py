"""The picture of the benchmark: images a second and ratios by depth."""

from __future__ import annotations

import hashlib
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from benchmarks.contestant import OURS, PEER, USUAL
from benchmarks.files import Recorded
from benchmarks.summary import Summary
from benchmarks.table import DEVICE_WORDS
from resnet_repro.report.figures import finish, network_label, new_figure, palette, save, style

ORDER = (OURS, USUAL, PEER)
APART = 0.08  # between contestants at one depth, in steps of the axis


def draw(found: Recorded) -> Figure:
    """Left: images a second; right: ours over the others. Bars: least to most over repeats."""
    networks = list(dict.fromkeys(s.network for s in found.summaries))
    about = found.machine
    with style():
        figure, (rates, ratios) = new_figure(8.0, 3.8, 2)
        keys = []
        for index, name in enumerate(ORDER):
            rows = [s for s in found.summaries if s.contestant == name]
            at = {s.network: networks.index(s.network) + APART * (index - 1) for s in rows}
            drawn = _points(rates, rows, at, index, "images_per_second")
            if drawn is not None:
                keys.append(drawn)
            _points(ratios, rows, at, index, "ratio")
        for axes in (rates, ratios):
            axes.set_xticks(range(len(networks)), [network_label(n) for n in networks])
            axes.set_xlim(-0.5, len(networks) - 0.5)
        rates.set_yscale("log")
        rates.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        rates.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        rates.yaxis.set_minor_formatter(NullFormatter())
        rates.set_ylabel("images a second")
        ratios.axhline(1, color="0.55", lw=1)
        ratios.set_ylim(bottom=0)
        ratios.set_ylabel("ours over the other")
        switches = ", ".join(f"{key} {value}" for key, value in about["switches"].items())
        finish(
            figure,
            f"CIFAR-10 training on a {DEVICE_WORDS[found.device]}",
            keys,  # type: ignore[arg-type]
            f"{about['name']}, {about['cores']} processor cores, torch "
            f"{about['versions']['torch']}. Ours: {switches}. Images: {about['images']}. "
            "Median over the repeats; bars: least to most.",
        )
    return figure


def _points(
    axes: Axes, rows: list[Summary], at: dict[str, float], index: int, value: str
) -> ErrorbarContainer | None:
    """A contestant's medians and their spread; None when it has none."""
    shown = [
        (at[s.network], middle, getattr(s, f"{value}_min"), getattr(s, f"{value}_max"))
        for s in rows
        if (middle := getattr(s, value)) is not None
    ]
    if not shown:
        return None
    return axes.errorbar(
        [x for x, *_ in shown],
        [y for _, y, *_ in shown],
        yerr=[[y - low for _, y, low, _ in shown], [high - y for _, y, _, high in shown]],
        color=palette()[index],
        marker="so^"[index],
        ls="",
        capsize=3,
        label=ORDER[index],
    )


def write_figure(found: Recorded, out: Path) -> list[Path]:
    """Write `cifar_<device>.svg` and `.png`, each with the digest of what it shows."""
    digest = hashlib.sha256(repr((found.machine, found.summaries)).encode()).hexdigest()
    return save(draw(found), out, f"cifar_{found.device}", digest)
