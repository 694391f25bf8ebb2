"""What stands under a table: how the runs were made, and what its words mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from resnet_repro.paper.artifacts import Artifact
from resnet_repro.paper.published import ITERATIONS, LAST_STAGE
from resnet_repro.records.counts import Count
from resnet_repro.records.datasets import DATASETS, PHOTOGRAPHS
from resnet_repro.records.metrics import METRICS
from resnet_repro.report.claims import ClaimRow
from resnet_repro.report.load.evaluations import evaluations_wanted, settings_words
from resnet_repro.report.load.frames import Frames, Run, sort_protocols
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


def protocol_words(runs: Sequence[Run], protocol: str) -> str:
    """`short (8,000 of the paper's 64,000 iterations)`, from what the runs' specs say."""
    here = [run for run in runs if run.protocol == protocol]
    lengths = sorted({run.schedule for run in here})
    words = " or ".join(f"{n:,}" for n in lengths)
    papers = {ITERATIONS.get(run.dataset) for run in here}
    full = papers.pop() if len(papers) == 1 else None
    if full is not None and lengths != [full]:
        words += f" of the paper's {full:,}"
    return f"{protocol} ({words} iterations)"


def caption(runs: Sequence[Run]) -> str:
    """One line naming the protocols, machines and precisions of the runs.

    Of photographs the data set, too: the name of an ImageNet network does not say on what.
    """
    if not runs:
        return "Nothing recorded yet."
    protocols = sort_protocols(run.protocol for run in runs)
    images = sorted({run.dataset for run in runs if run.dataset in PHOTOGRAPHS})
    parts = [
        *([_named("Data set", images)] if images else []),
        _named("Protocol", [protocol_words(runs, p) for p in protocols]),
        _named("Machine", sorted({run.device_name for run in runs})),
        _named("Precision", sorted({run.precision for run in runs})),
    ]
    return " ".join(parts)


def counted_caption(artifact: Artifact, counts: Sequence[Count]) -> str:
    """One line saying what was counted, of the artifact's networks."""
    networks = {arm.network for arm in artifact.arms}
    inputs = sorted({input_words(count) for count in counts if count.name in networks})
    if not inputs:
        return "Nothing recorded yet."
    return (
        f"Counted, not trained. Multiply-adds of the convolutions and linear layers, "
        f"for one image of {' or '.join(inputs)}."
    )


def input_words(count: Count) -> str:
    """The image that was counted on: 3 x 32 x 32."""
    return " x ".join(str(n) for n in count.input)


def ensemble_caption(artifact: Artifact, frames: Frames) -> str:
    """One line saying who the ensembles' members are."""
    found = frames.ensembles_of(artifact)
    if not found:
        return "Nothing recorded yet."
    return " ".join(
        f"{e.name}: {', '.join(e.made.members)} "
        f"({settings_words(e.made) or 'settings not stated'})."
        for e in found
    )


def evaluation_notes(artifact: Artifact, frames: Frames) -> list[str]:
    """How the errors of an artifact's evaluations were tested, and which are wanting."""
    wanted = evaluations_wanted(artifact)
    runs = frames.select_runs(arms_shown(artifact))
    lines = []
    for name in wanted if not artifact.ensemble else ():
        here = {settings_words(r.evaluations[name]) for r in runs if name in r.evaluations}
        if here:
            lines.append(f"Evaluated as {name}: {'; others: '.join(sorted(here))}.")
    lacking = [command for _, command in lacking_evaluations(artifact, frames)]
    if lacking:
        commands = "; ".join(f"`{command}`" for command in lacking)
        lines.append(f"Recorded, but not evaluated yet, and so missing here: {commands}.")
    return lines


def _named(word: str, names: Sequence[str]) -> str:
    return f"{word}{'s' if len(names) > 1 else ''}: {', '.join(names)}."


def notes(
    runs: Sequence[Run],
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
    if runs:
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


def _statistics(runs: Sequence[Run]) -> str:
    """With which statistics of batch normalisation the runs were tested."""
    protocols: dict[str, list[str]] = {}
    for words in sorted({run.bn for run in runs}):
        protocols[words] = sort_protocols(run.protocol for run in runs if run.bn == words)
    if len(protocols) == 1:
        return f"Tested with batch normalisation's {next(iter(protocols))}."
    parts = [f"{words} ({', '.join(under)})" for words, under in protocols.items()]
    return f"Tested with batch normalisation's {'; others with its '.join(parts)}."


def warnings(runs: Sequence[Run]) -> list[str]:
    """What makes runs less comparable than a table's look suggests."""
    lines = []
    precisions = sorted({run.precision for run in runs})
    if len(precisions) > 1:
        mixed = [
            f"{p} ({', '.join(sorted({run.arm for run in runs if run.precision == p}))})"
            for p in precisions
        ]
        lines.append(f"These runs mix precisions: {', '.join(mixed)}.")
    specs: dict[str, set[str]] = {}
    for run in runs:
        specs.setdefault(f"{run.arm} ({run.dataset}, {run.protocol})", set()).add(run.question)
    lines += [
        f"The seeds of {name} were not run with one recipe, recipe version and data."
        for name, questions in sorted(specs.items())
        if len(questions) > 1
    ]
    for words, marked in (
        ("Run without some images, which could not be read", [r for r in runs if r.skipped]),
        ("Run from a source tree with uncommitted changes", [r for r in runs if r.dirty]),
    ):
        names = {f"{run.arm} seed {run.seed}" for run in marked}
        if names:
            lines.append(f"{words}: {', '.join(sorted(names))}.")
    return lines
