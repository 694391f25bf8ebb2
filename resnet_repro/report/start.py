"""Until it first lowers the rate, `short` is the paper's training: the errors there beside Fig. 6.

Its later stages are shorter than the paper's; up to there nothing differs, so that a network that
learns more slowly than the paper's shows itself without the paper's full schedule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from resnet_repro.paper.copies import CopyStart, load_starts
from resnet_repro.paper.published import (
    SHORT_DROP,
    curve_name,
    first_drawn,
    last_above,
    value_at,
)
from resnet_repro.report.frames import Frames
from resnet_repro.report.render import Grid
from resnet_repro.report.verdicts import Comparison, Outcome, summarise

SHORT = "short"
SPLITS = {"train": "training error", "test": "test error"}
SHALLOWEST = "ResNet-20"
DEEPER = ("ResNet-32", "ResNet-44", "ResNet-56", "ResNet-110")
DRAWN = tuple(f"plain{d}" for d in (20, 32, 44, 56)) + tuple(
    f"resnet{d}" for d in (20, 32, 44, 56, 110)
)


@dataclass(frozen=True)
class Start:
    """An arm's error in % after SHORT_DROP iterations.

    paper: None where the curve is still above Fig. 6's axis, which it enters at `drawn`. copies:
    what public copies had there, or close to it.
    """

    arm: str
    split: str  # a key of SPLITS
    paper: float | None
    drawn: int
    ours: Comparison
    copies: tuple[CopyStart, ...]


def starts(frames: Frames) -> list[Start]:
    """Every arm of Fig. 6 with runs under `short`, in its order; training error, then test."""
    metrics = frames.metrics
    rows = metrics[
        (metrics["dataset"] == "cifar10")
        & (metrics["protocol"] == SHORT)
        & (metrics["iteration"] == SHORT_DROP)
    ]
    copies = load_starts()
    found = []
    for arm in DRAWN:
        seeds = [int(run["seed"]) for run in frames.runs_of("cifar10", arm, SHORT)]
        here = rows[rows["arm"] == arm].set_index("seed")
        for split in SPLITS if seeds else ():
            # A run that diverged before has no such row, and its arm then no mean.
            values = here[f"{split}_error"].dropna()
            ours = [
                Outcome(s, float(values[s]), False) if s in values.index else Outcome(s, None, True)
                for s in seeds
            ]
            network = str(curve_name(arm))
            found.append(
                Start(
                    arm,
                    split,
                    value_at("fig6", network, split, SHORT_DROP),
                    first_drawn("fig6", network, split),
                    summarise(ours),
                    tuple(
                        copy
                        for copy in copies
                        if copy.arm == arm and (split == "test" or copy.train_error is not None)
                    ),
                )
            )
    return found


def start_grid(rows: Sequence[Start]) -> Grid:
    """As cells of text."""
    return Grid(
        ("arm", "error, %", "published", "recorded", "difference", "public copies"),
        tuple(
            (
                row.arm,
                SPLITS[row.split],
                f"over 20 (drawn from {row.drawn:,} on)"
                if row.paper is None
                else f"{row.paper:.2f}",
                row.ours.verdict
                if row.ours.mean is None
                else f"{row.ours.mean:.2f} (n = {row.ours.n})",
                ""
                if row.ours.mean is None or row.paper is None
                else f"{row.ours.mean - row.paper:+.2f}",
                "; ".join(_copy(copy, row.split) for copy in row.copies),
            )
            for row in rows
        ),
    )


def _copy(copy: CopyStart, split: str) -> str:
    error = copy.train_error if split == "train" else copy.test_error
    return f"{error:.2f} after {copy.iteration:,} ([{copy.source}]({copy.url}))"


def start_words(rows: Sequence[Start]) -> str:
    """What to know of these numbers, and what the paper's own curves say of the order there."""
    notes = dict.fromkeys(f"{c.source}: {c.note}." for row in rows for c in row.copies)
    later = [
        f"{network} up to iteration {last_above('fig6', network, SHALLOWEST, 'train'):,}"
        for network in DEEPER
        if (here := value_at("fig6", network, "train", SHORT_DROP)) is not None
        and (other := value_at("fig6", SHALLOWEST, "train", SHORT_DROP)) is not None
        and here >= other
    ]
    return (
        f"Up to iteration {SHORT_DROP:,}, where it first lowers the rate, `{SHORT}` is the "
        "paper's own training, so the errors there stand beside those read off Fig. 6 at the same "
        "iteration. Our training errors are over the iterations since the row before; the paper "
        "does not say over what its are. At this rate test errors rise and fall by several points "
        f"between two tests. {' '.join(notes)} In Fig. 6 the training error is at or above "
        f"{SHALLOWEST}'s for {' and '.join(later)}: `{SHORT}` lowers the rate before such nets "
        "have overtaken it."
    )
