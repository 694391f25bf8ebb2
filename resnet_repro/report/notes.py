"""What stands under a table: how the runs were made, and what its words mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from resnet_repro.paper.artifacts import Artifact
from resnet_repro.paper.published import ITERATIONS, LAST_STAGE
from resnet_repro.records.datasets import DATASETS, PHOTOGRAPHS
from resnet_repro.records.metrics import METRICS
from resnet_repro.report.claims import ClaimRow
from resnet_repro.report.load.evaluations import evaluations_wanted
from resnet_repro.report.load.frames import Frames, sort_protocols
from resnet_repro.report.load.view import arms_shown
from resnet_repro.report.statistics import Spread
from resnet_repro.report.todo import lacking_evaluations
from resnet_repro.report.verdicts.curves import CHANCE_NOISE, at_chance
from resnet_repro.report.verdicts.joint import LEVEL
from resnet_repro.report.verdicts.rule import MARGIN

_MEANING = {
    "reproduced": f"the difference is shown to be under {MARGIN} points (two one-sided tests, 5 %)",
    "consistent": (
        "the difference is within the 95 % prediction interval; too few seeds to show more"
    ),
    "better": "the error is lower than published, by more than the interval",
    "worse": "the error is higher than published, by more than the interval",
    "undetermined": "no spread between seeds is known, so the difference is shown but not judged",
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
    images = sorted({d for d in runs["dataset"] if d in PHOTOGRAPHS})
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
    spreads: Mapping[tuple[str, str, str], Spread | None],
    *,
    read_off: Sequence[str] = (),
    claims: Sequence[ClaimRow] = (),
    joint: bool = False,
) -> list[str]:
    """Warnings about the runs first, then the words of the table, only those that occur.

    spreads: between seeds, by metric, family and protocol, of the rows that show an interval; of
    a metric that is not pooled, None. read_off: the figures that published values of the table
    were read off. claims: those it makes. joint: whether it has a joint test.
    """
    lines = warnings(runs)
    if not runs.empty:
        lines.append(
            "Recorded: the final iterate, mean over n runs (seeds) ± their standard deviation. "
            "Difference: recorded minus published ± half of its 95 % interval, "
            "where the spread between seeds is known."
        )
        lines.append(_statistics(runs))
    for (metric, kind, protocol), spread in spreads.items():
        if spread is not None:
            lines.append(
                f"Standard deviation between seeds, {METRICS[metric].words}, {kind} nets, protocol "
                f"{protocol}: {spread[0]:.2f} points with {degrees_text(spread[1])}, "
                "pooled over what has several seeds; an arm of one seed borrows it."
            )
    lines += [
        f"Seeds scatter differently from net to net in the {METRICS[metric].words}, so that an "
        "interval there is from the arm's own seeds."
        for metric in dict.fromkeys(m for (m, _, _), s in spreads.items() if s is None)
    ]
    lines += _read_off(read_off)
    if claims:
        lines += _claims(claims)
    if joint:
        lines.append(
            "Joint test: p is how often chance alone would set results that are all true as far "
            "from the published values, taken together, or further. Of many true results some are "
            "better or worse by themselves; together they are consistent unless p is below "
            f"{LEVEL}."
        )
    found = set(verdicts)
    used = [f"*{v}*: {meaning}" for v, meaning in _MEANING.items() if v in found]
    return [*lines, "; ".join(used) + "."] if used else lines


def degrees_text(df: int) -> str:
    """`1 degree of freedom`, `4 degrees of freedom`."""
    return f"{df} degree{'' if df == 1 else 's'} of freedom"


def _read_off(figures: Sequence[str]) -> list[str]:
    """What is to be known of values read off these figures."""
    lines = []
    if {"fig1", "fig6"} & set(figures):
        lines.append(
            "Values read off a figure are means of the curve's last stage, as one point of "
            "training error is a sample of a few thousand images. The residual nets' test errors "
            "so read are within 0.1 points of those in print; the interval leaves that out."
        )
    if "fig4" in figures:
        first, last = LAST_STAGE["imagenet"]
        lines.append(
            f"Values read off Fig. 4 are means from iteration {first:,} to the last drawn, "
            f"{last:,} of {ITERATIONS['imagenet']:,}; its curves still fall a little there. No "
            "table prints them, so how exact they are is not known."
        )
    return lines


def _claims(claims: Sequence[ClaimRow]) -> list[str]:
    """How the claims were judged."""
    lines = []
    if not all(row.result.exact for row in claims):
        lines.append(
            "Claims: higher minus lower, means over every seed of either, ± half of the 95 % "
            "interval, by the same spread as the verdicts; by the two arms' own seeds where seeds "
            "scatter differently from net to net."
        )
    if any(row.claim.scope == "throughout" for row in claims):
        lines.append(
            "A claim about the whole of training compares the recorded rows and shows their mean; "
            "a row is beyond noise if it exceeds half of its own 95 % interval."
        )
    chance = {
        DATASETS[row.dataset].classes: at_chance(row.dataset)
        for row in claims
        if row.claim.scope == "throughout"
        and row.claim.metric == "train_error"
        and row.dataset in DATASETS
        and DATASETS[row.dataset].classes
    }
    lines += [
        f"Left out are its rows before either net has left chance: a training error above "
        f"{error:.1f} %, which guessing among {classes} classes has, less {CHANCE_NOISE} points."
        for classes, error in chance.items()
    ]
    return lines


def _statistics(runs: pd.DataFrame) -> str:
    """With which statistics of batch normalisation the runs were tested."""
    protocols: dict[str, list[str]] = {}
    for words, here in runs.groupby("bn", sort=True):
        protocols[str(words)] = sort_protocols(here["protocol"])
    if len(protocols) == 1:
        return f"Tested with batch normalisation's {next(iter(protocols))}."
    parts = [f"{words} ({', '.join(under)})" for words, under in protocols.items()]
    return f"Tested with batch normalisation's {'; others with its '.join(parts)}."


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
