"""What stands under a table: how the runs were made, and what its words mean."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from resnet_repro.artifacts import Artifact
from resnet_repro.paper.published import CIFAR_ITERATIONS
from resnet_repro.report.frames import sort_protocols
from resnet_repro.report.verdicts import WIDE, Spread

_METRIC = {
    "test_error": "test error",
    "train_error": "training error",
    "layer_std": "mean std of layer responses",
    "gradient_norm": "norm of the first stage's gradient",
}

_MEANING = {
    "reproduced": f"the interval holds 0 and is at most {WIDE} points to either side",
    "inconclusive": f"the interval holds 0 but is wider than {WIDE} points, or there is none",
    "better": "the error is lower than published, by more than the interval",
    "worse": "the error is higher than published, by more than the interval",
    "reduced": "not the published protocol, so the difference is shown but not judged",
    "diverged": "a run's loss became infinite; no run is dropped, so there is no mean",
    "not comparable": "measured on other data than the published value",
    "missing": "nothing recorded",
    "differs": "another number than the printed one, at the printed precision",
}


def protocol_words(runs: pd.DataFrame, protocol: str) -> str:
    """`short (8,000 of the paper's 64,000 iterations)`, from what the runs' specs say."""
    here = runs[runs["protocol"] == protocol]
    lengths = sorted({int(n) for n in here["schedule"]})
    words = " or ".join(f"{n:,}" for n in lengths)
    if set(here["dataset"]) == {"cifar10"} and lengths != [CIFAR_ITERATIONS]:
        words += f" of the paper's {CIFAR_ITERATIONS:,}"
    return f"{protocol} ({words} iterations)"


def caption(runs: pd.DataFrame) -> str:
    """One line naming the protocols, machines and precisions of the runs."""
    if runs.empty:
        return "Nothing recorded yet."
    protocols = sort_protocols(runs["protocol"])
    parts = [
        _named("Protocol", [protocol_words(runs, p) for p in protocols]),
        _named("Machine", sorted(set(runs["device_name"]))),
        _named("Precision", sorted(set(runs["precision"]))),
    ]
    return " ".join(parts)


def counted_caption(artifact: Artifact, counts: pd.DataFrame) -> str:
    """One line saying what was counted, of the artifact's networks."""
    here = counts[counts["network"].isin([arm.network for arm in artifact.arms])]
    if here.empty:
        return "Nothing recorded yet."
    inputs = " or ".join(sorted(set(here["input"])))
    return (
        f"Counted, not trained. Multiply-adds of the convolutions and linear layers, "
        f"for one image of {inputs}."
    )


def _named(word: str, names: Sequence[str]) -> str:
    return f"{word}{'s' if len(names) > 1 else ''}: {', '.join(names)}."


def notes(
    runs: pd.DataFrame,
    verdicts: Iterable[str],
    spreads: Iterable[tuple[str, str, Spread | None]],
    *,
    read_off: bool = False,
    claims: bool = False,
) -> list[str]:
    """Warnings about the runs first, then the words of the table, only those that occur.

    spreads: (metric, protocol, spread between seeds) of the rows that show an interval.
    read_off, claims: whether the table has values read off a figure, and claims.
    """
    lines = warnings(runs)
    if not runs.empty:
        lines.append(
            "Recorded: the final iterate, mean over n runs (seeds) ± their standard deviation. "
            "Difference: recorded minus published ± half of its 95 % interval, "
            "where the spread between seeds is known."
        )
    for metric, protocol, spread in spreads:
        if spread is not None:
            lines.append(
                f"Standard deviation between seeds, {_METRIC[metric]}, protocol {protocol}: "
                f"{spread[0]:.2f} points with {spread[1]} degrees of freedom."
            )
    if read_off:
        lines.append(
            "Values read off a figure are good to about 0.05 points, which the interval leaves out."
        )
    if claims:
        lines.append(
            "Claims: higher minus lower, seed by seed, ± half of the 95 % interval of the mean; "
            "one about the whole of training compares every recorded row and shows their mean."
        )
    found = set(verdicts)
    used = [f"*{v}*: {meaning}" for v, meaning in _MEANING.items() if v in found]
    return [*lines, "; ".join(used) + "."] if used else lines


def warnings(runs: pd.DataFrame) -> list[str]:
    """What makes runs less comparable than a table's look suggests."""
    lines = []
    precisions = sorted(set(runs["precision"]))
    if len(precisions) > 1:
        mixed = [
            f"{p} ({', '.join(sorted(set(runs[runs['precision'] == p]['arm'])))})"
            for p in precisions
        ]
        lines.append(f"These runs mix precisions: {', '.join(mixed)}.")
    specs: dict[str, set[str]] = {}
    labels = zip(runs["dataset"], runs["arm"], runs["protocol"], runs["question"], strict=True)
    for dataset, arm, protocol, question in labels:
        specs.setdefault(f"{arm} ({dataset}, {protocol})", set()).add(question)
    lines += [
        f"The seeds of {name} were not run with one recipe, recipe version and data."
        for name, questions in sorted(specs.items())
        if len(questions) > 1
    ]
    dirty = runs[runs["dirty"].astype(bool)]
    if not dirty.empty:
        names = sorted({f"{a} seed {s}" for a, s in zip(dirty["arm"], dirty["seed"], strict=True)})
        lines.append(f"Run from a source tree with uncommitted changes: {', '.join(names)}.")
    return lines
