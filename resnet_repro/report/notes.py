"""What stands under a table: how the runs were made, and what its words mean."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from resnet_repro.artifacts import Artifact
from resnet_repro.paper.published import ITERATIONS, curve
from resnet_repro.records.metrics import METRICS
from resnet_repro.report.evaluated import evaluations_wanted
from resnet_repro.report.frames import Frames, sort_protocols
from resnet_repro.report.lacking import lacking_evaluations
from resnet_repro.report.verdicts import WIDE, Spread
from resnet_repro.report.view import arms_shown

IMAGE_DATA = ("imagenet", "imagenette", "image-folder")  # tested on a crop of a larger image

_MEANING = {
    "reproduced": f"the interval holds 0 and is at most {WIDE} points to either side",
    "inconclusive": f"the interval holds 0 but is wider than {WIDE} points, or there is none",
    "better": "the error is lower than published, by more than the interval",
    "worse": "the error is higher than published, by more than the interval",
    "reduced": "not the published protocol, so the difference is shown but not judged",
    "diverged": "a run's loss became infinite; no run is dropped, so there is no mean",
    "not comparable": "measured on other images than the published value",
    "missing": "nothing recorded",
    "differs": "another number than the printed one, at the printed precision",
}


def protocol_words(runs: pd.DataFrame, protocol: str) -> str:
    """`short (8,000 of the paper's 64,000 iterations)`, from what the runs' specs say."""
    here = runs[runs["protocol"] == protocol]
    lengths = sorted({int(n) for n in here["schedule"]})
    words = " or ".join(f"{n:,}" for n in lengths)
    papers = {ITERATIONS.get(dataset) for dataset in here["dataset"]}
    full = papers.pop() if len(papers) == 1 else None
    if full is not None and lengths != [full]:
        words += f" of the paper's {full:,}"
    return f"{protocol} ({words} iterations)"


def caption(runs: pd.DataFrame) -> str:
    """One line naming the protocols, machines and precisions of the runs.

    Of photographs the data set, too: the name of an ImageNet network does not say on what.
    """
    if runs.empty:
        return "Nothing recorded yet."
    protocols = sort_protocols(runs["protocol"])
    images = sorted({d for d in runs["dataset"] if d in IMAGE_DATA})
    parts = [
        *([_named("Data set", images)] if images else []),
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


def ensemble_caption(artifact: Artifact, frames: Frames) -> str:
    """One line saying who the ensembles' members are."""
    found = frames.ensembles_of(artifact)
    if not found:
        return "Nothing recorded yet."
    return " ".join(
        f"{row['name']}: {row['members']} ({row['settings'] or 'settings not stated'})."
        for row in found
    )


def evaluation_notes(artifact: Artifact, frames: Frames) -> list[str]:
    """How the errors of an artifact's evaluations were tested, and which are wanting."""
    wanted = evaluations_wanted(artifact)
    made = frames.evaluations
    lines = []
    for name in wanted if not artifact.ensemble else ():
        here = [
            str(words)
            for dataset, arm, evaluation, words in zip(
                *(made[c] for c in ("dataset", "arm", "evaluation", "settings")), strict=True
            )
            if evaluation == name and (dataset, arm) in arms_shown(artifact)
        ]
        if here:
            lines.append(f"Evaluated as {name}: {'; others: '.join(sorted(set(here)))}.")
    lacking = [command for _, command in lacking_evaluations(artifact, frames)]
    if lacking:
        commands = "; ".join(f"`{command}`" for command in lacking)
        lines.append(f"Recorded, but not evaluated yet, and so missing here: {commands}.")
    return lines


def _named(word: str, names: Sequence[str]) -> str:
    return f"{word}{'s' if len(names) > 1 else ''}: {', '.join(names)}."


def notes(
    runs: pd.DataFrame,
    verdicts: Iterable[str],
    spreads: Iterable[tuple[str, str, Spread | None]],
    *,
    read_off: Sequence[str] = (),
    claims: bool = False,
) -> list[str]:
    """Warnings about the runs first, then the words of the table, only those that occur.

    spreads: (metric, protocol, spread between seeds) of the rows that show an interval.
    read_off: the figures that published values of the table were read off. claims: whether it
    makes any.
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
                f"Standard deviation between seeds, {METRICS[metric].words}, protocol {protocol}: "
                f"{spread[0]:.2f} points with {spread[1]} degrees of freedom, "
                "pooled over what has several seeds; an arm of one seed borrows it."
            )
    if {"fig1", "fig6"} & set(read_off):
        lines.append(
            "Values read off a figure are good to about 0.05 points, which the interval leaves out."
        )
    if "fig4" in read_off:
        drawn = int(curve("fig4", "plain-18", "test")["iteration"].max())
        lines.append(
            f"Values read off Fig. 4 are the last points it draws, at iteration {drawn:,} of "
            f"{ITERATIONS['imagenet']:,}; no table prints them, so how exact they are is not known."
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
    for column, words in (
        ("skipped", "Run without some images, which could not be read"),
        ("dirty", "Run from a source tree with uncommitted changes"),
    ):
        marked = runs[runs[column].astype(bool)]
        names = {f"{a} seed {s}" for a, s in zip(marked["arm"], marked["seed"], strict=True)}
        if names:
            lines.append(f"{words}: {', '.join(sorted(names))}.")
    return lines
