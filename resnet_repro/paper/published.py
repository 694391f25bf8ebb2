"""The published numbers and curves, from the CSV files beside this module.

Errors are in %, parameters in the unit the paper prints (1e6). Unknown keys raise KeyError:
they are written in experiment scripts, so a wrong one is a defect and not the user's.
"""

from __future__ import annotations

import csv
import math
import re
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from statistics import fmean
from typing import TYPE_CHECKING, Literal

from resnet_repro.messages import _
from resnet_repro.paper.artifacts import Published
from resnet_repro.records.metrics import ERRORS

if TYPE_CHECKING:  # slow to import, and scripts that declare an artifact need only numbers
    import pandas as pd

# Whose curves stand for numbers that no table prints, and their data sets.
FIGURES = {"fig1": "cifar10", "fig4": "imagenet", "fig6": "cifar10"}

# The iterations, first and last, whose mean is the value of a curve: of its last stage, as one
# point of training error is a sample of a few thousand images. On CIFAR-10 from 2,000 iterations
# after the last drop (48,000) to the end; Fig. 4's curves still fall for long after theirs
# (300,000), so there from half-way to the end of the schedule to the last point drawn.
LAST_STAGE = {"cifar10": (50_000, 64_000), "imagenet": (450_000, 550_000)}

CIFAR_ITERATIONS = 64_000  # section 4.2: the length of every CIFAR-10 run of the paper
CIFAR_BATCH = 128  # section 4.2: images an iteration
IMAGENET_ITERATIONS = 600_000  # section 3.4: at most; Fig. 4 draws the first 550,000
IMAGENET_BATCH = 256  # section 3.4

# The paper's schedule by data set of ours; of no other data set has it one.
ITERATIONS = {"cifar10": CIFAR_ITERATIONS, "imagenet": IMAGENET_ITERATIONS}
BATCHES = {"cifar10": CIFAR_BATCH, "imagenet": IMAGENET_BATCH}

PAPER_PROTOCOL = "paper"  # of all its training, in the suite's words
# Object detection and localization, which the suite does not attempt.
DETECTION = tuple(f"table{n}" for n in range(7, 15))
TEST_SERVER = "test server"  # a split whose labels nobody but its server has

_DATASETS = {"CIFAR-10": "cifar10", "ImageNet": "imagenet"}  # the paper's name -> ours


@dataclass(frozen=True)
class PublishedValue:
    """One number of the paper, as printed and as a number."""

    source: str  # table6, sec4.2, fig6
    row: str  # the paper's name of the line: ResNet-20
    metric: str
    text: str  # as printed, with its bound: 8.75, >60
    value: float  # in `unit`
    bound: Literal["", ">", "<"]
    decimals: int  # printed
    unit: str  # %, 1e6, 1e9 multiply-adds
    dataset: str
    protocol: str  # how it was trained: always PAPER_PROTOCOL
    test_protocol: str  # how it was tested: single view, 10-crop
    statistic: str  # single, best, mean, std, exact
    n: int  # runs it stands for
    own: bool  # measured by the authors, not quoted from other work
    note: str
    split: str = ""  # of the data set: test, val, test server
    read_off: bool = False  # from a curve, not from print
    std: float | None = None  # seed standard deviation, where printed beside a mean

    @property
    def where(self) -> str:
        """The source in words: Table 6, section 4.2, read off Fig. 6 (and where on it)."""
        if self.read_off:
            return self.note
        number = self.source.removeprefix("table").removeprefix("sec")
        if self.source.startswith("sec"):
            return _("section {number}", number=number)
        return _("Table {number}", number=number)


def csv_rows(name: str) -> list[dict[str, str]]:
    """The rows of one of the CSV files beside this module."""
    text = resources.files("resnet_repro.paper").joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def _value(row: dict[str, str], std: float | None) -> PublishedValue:
    text = row["value"]
    bound: Literal["", ">", "<"] = ">" if text[0] == ">" else "<" if text[0] == "<" else ""
    digits = text.lstrip("<>")
    return PublishedValue(
        source=row["table"],
        row=row["row"],
        metric=row["metric"],
        text=text,
        value=float(digits),
        bound=bound,
        decimals=len(digits.partition(".")[2]),
        unit=row["unit"],
        dataset=_DATASETS.get(row["dataset"], row["dataset"]),
        protocol=PAPER_PROTOCOL,
        test_protocol=row["protocol"],
        statistic=row["statistic"],
        n=int(row["n_runs"] or 1),
        own=row["papers_own"] == "yes",
        note=row["note"],
        split=row["split"],
        std=std if row["statistic"] == "mean" else None,
    )


@lru_cache(maxsize=1)
def _tables() -> tuple[PublishedValue, ...]:
    rows = csv_rows("tables.csv")
    spread = {
        (r["table"], r["row"], r["metric"]): float(r["value"])
        for r in rows
        if r["statistic"] == "std"
    }
    return tuple(_value(r, spread.get((r["table"], r["row"], r["metric"]))) for r in rows)


def table_values(source: str, row: str | None = None) -> list[PublishedValue]:
    """Every number of a table, or of one of its rows, in the table's order."""
    found = [v for v in _tables() if v.source == source and row in (None, v.row)]
    if not found:
        raise KeyError(f"nothing published under {source!r}, row {row!r}")
    return found


def published_for(key: Published) -> list[PublishedValue]:
    """What the paper says of an arm's metric: the single value, or the mean and then the best.

    A standard deviation is not a value to compare; it is the mean's `std`. For Figs 1, 4 and 6
    it is the mean of the curve's last stage, marked as read off. A table prints `top1_error`;
    whether of ten crops or of the dense form its caption says, and our metric's name.
    """
    if key.source in FIGURES:
        return [_read_off(key)]
    metric = ERRORS[key.metric].value if key.metric in ERRORS else key.metric
    found = [
        v for v in table_values(key.source, key.row) if v.metric == metric and v.statistic != "std"
    ]
    if not found:
        raise KeyError(f"{key.source}, row {key.row!r} has no {metric}")
    return sorted(found, key=lambda v: v.statistic == "best")


def _read_off(key: Published) -> PublishedValue:
    dataset = FIGURES[key.source]
    first, last = LAST_STAGE[dataset]
    points = _points(key.source, key.row, key.metric.removesuffix("_error"), None)
    value = round(fmean(error for i, error in points if first <= i <= last), 2)
    return PublishedValue(
        source=key.source,
        row=key.row,
        metric=key.metric,
        text=f"{value:.2f}",
        value=value,
        bound="",
        decimals=2,
        unit="%",
        dataset=dataset,
        protocol=PAPER_PROTOCOL,
        test_protocol="centre crop" if key.source == "fig4" else "single view",
        statistic="single",
        n=1,
        own=True,
        note=_(
            "read off Fig. {figure}, mean of {first:,}-{last:,}",
            figure=key.source.removeprefix("fig"),
            first=first,
            last=last,
        ),
        read_off=True,
    )


@lru_cache(maxsize=1)
def _curves() -> dict[tuple[str, str, str, str], list[tuple[int, float]]]:
    curves: dict[tuple[str, str, str, str], list[tuple[int, float]]] = {}
    for r in csv_rows("curves.csv"):
        points = curves.setdefault((r["figure"], r["panel"], r["network"], r["split"]), [])
        points.append((int(r["iteration"]), float(r["error_pct"])))
    return curves


def curve(figure: str, network: str, split: str, panel: str | None = None) -> pd.DataFrame:
    """A published curve as the columns iteration and error_pct (%), in the order of training.

    `network` is the paper's name, `split` train or test; Fig. 4's test images are ImageNet's
    validation images. Without `panel` it is the first panel that shows the network: Fig. 6 draws
    ResNet-110 twice, the second time from half-way.
    """
    import pandas as pd

    points = _points(figure, network, split, panel)
    return pd.DataFrame(points, columns=["iteration", "error_pct"])


def first_drawn(figure: str, network: str, split: str) -> int:
    """The iteration of a published curve's first point; its error before exceeds the axis."""
    return _points(figure, network, split, None)[0][0]


def value_at(figure: str, network: str, split: str, iteration: int) -> float | None:
    """A published curve's error in % at an iteration; None where it is not drawn there."""
    return dict(_points(figure, network, split, None)).get(iteration)


def last_above(figure: str, deeper: str, shallower: str, split: str) -> int:
    """The last iteration at which a published curve is not below another one; 0 for none.

    Where only one of the two is drawn, nothing is compared.
    """
    other = dict(_points(figure, shallower, split, None))
    points = _points(figure, deeper, split, None)
    return max((i for i, error in points if i in other and error >= other[i]), default=0)


def _points(figure: str, network: str, split: str, panel: str | None) -> list[tuple[int, float]]:
    if figure == "fig4" and split == "test":
        split = "val"
    for (a_figure, a_panel, a_network, a_split), points in _curves().items():
        if (a_figure, a_network, a_split) == (figure, network, split) and panel in (None, a_panel):
            return sorted(points, key=lambda p: p[0])
    raise KeyError(f"{figure} draws no {split} curve of {network!r} (panel {panel or 'any'})")


def curve_name(network: str) -> str | None:
    """The paper's name of a network in its figures: plain20 -> plain-20, resnet20 -> ResNet-20.

    ResNet-18 and ResNet-34 are there those with option A. None for any other network, whose
    curve the paper does not draw.
    """
    match = re.fullmatch(r"(plain|resnet)(\d+)", network.removesuffix("-A"))
    return match and f"{'plain' if match[1] == 'plain' else 'ResNet'}-{match[2]}"


def seed_std_prior(dataset: str, metric: str) -> tuple[float, int] | None:
    """The standard deviation between seeds that the paper prints, and its degrees of freedom.

    In points of error; for CIFAR-10's test error that of the five ResNet-110 runs. None where
    the paper prints none.
    """
    found = [
        (v.value, v.n - 1)
        for v in _tables()
        if (v.statistic, v.dataset, v.metric, v.own) == ("std", dataset, metric, True)
    ]
    df = sum(d for _, d in found)
    if not df:
        return None
    return math.sqrt(sum(s * s * d for s, d in found) / df), df


def layer_std(network: str, order: Literal["original", "sorted"] = "original") -> pd.DataFrame:
    """Fig. 7's curve of a network as the columns layer_index (1 is the first) and std."""
    import pandas as pd

    points = [
        (int(r["layer_index"]), float(r["std"]))
        for r in csv_rows("fig7_layer_std.csv")
        if (r["network"], r["order"]) == (network, order)
    ]
    if not points:
        raise KeyError(f"Fig. 7 draws no {order} curve of {network!r}")
    return pd.DataFrame(points, columns=["layer_index", "std"])
