"""What stands under a table: how the runs were made, and what its words mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from resnet_repro.messages import _, joined
from resnet_repro.paper.artifacts import Artifact
from resnet_repro.paper.published import ITERATIONS, LAST_STAGE
from resnet_repro.records.datasets import DATASETS
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
    "reproduced": _(
        "the difference is shown to be under {margin} points (two one-sided tests, 5 %)",
        margin=MARGIN,
    ),
    "consistent": _(
        "the difference is within the 95 % prediction interval; too few seeds to show more"
    ),
    "better": _("the error is lower than published, by more than the interval"),
    "worse": _("the error is higher than published, by more than the interval"),
    "undetermined": _(
        "no spread between seeds is known, so the difference is shown but not judged"
    ),
    "reduced": _("not the published protocol, so the difference is shown but not judged"),
    "diverged": _("a run's loss became infinite; no run is dropped, so there is no mean"),
    "not comparable": _("measured on other images than the published value"),
    "missing": _("nothing recorded"),
    "differs": _("another number than the printed one, at the printed precision"),
}


def evaluation_notes(artifact: Artifact, frames: Frames) -> list[str]:
    """How the errors of an artifact's evaluations were tested, and which are wanting."""
    wanted = evaluations_wanted(artifact)
    runs = frames.select_runs(arms_shown(artifact))
    lines: list[str] = []
    for name in wanted if not artifact.ensemble else ():
        here = {settings_words(r.evaluations[name]) for r in runs if name in r.evaluations}
        if here:
            first, *others = sorted(here)
            settings = joined("; ", [first, *(_("others: {settings}", settings=o) for o in others)])
            lines.append(_("Evaluated as {name}: {settings}.", name=name, settings=settings))
    lacking = [command for __, command in lacking_evaluations(artifact, frames)]
    if lacking:
        commands = "; ".join(f"`{command}`" for command in lacking)
        lines.append(
            _(
                "Recorded, but not evaluated yet, and so missing here: {commands}.",
                commands=commands,
            )
        )
    return lines


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
            _(
                "Suite, yours: the final iterate, mean over n runs (seeds) ± their standard "
                "deviation. Difference: from the paper's value, ± half of its 95 % interval, "
                "where the spread between seeds is known."
            )
        )
        lines.append(_statistics(runs))
    for (metric, kind, protocol), spread in spreads.items():
        if spread is not None:
            lines.append(
                _(
                    "Standard deviation between seeds, {metric}, {family} nets, protocol "
                    "{protocol}: {s:.2f} points with {degrees}, pooled over what has several "
                    "seeds; an arm of one seed borrows it.",
                    metric=METRICS[metric].words,
                    family=kind,
                    protocol=protocol,
                    s=spread[0],
                    degrees=degrees_text(spread[1]),
                )
            )
    lines += [
        _(
            "Seeds scatter differently from net to net in the {metric}, so that an interval there "
            "is from the arm's own seeds.",
            metric=METRICS[metric].words,
        )
        for metric in dict.fromkeys(m for (m, _, _), s in spreads.items() if s is None)
    ]
    lines += _read_off(read_off)
    if claims:
        lines += _claims(claims)
    if joint:
        lines.append(
            _(
                "Joint test: p is how often chance alone would set results that are all true as "
                "far from the published values, taken together, or further. Of many true results "
                "some are better or worse by themselves; together they are consistent unless p is "
                "below {level}.",
                level=LEVEL,
            )
        )
    found = set(verdicts)
    used = [
        _("*{verdict}*: {meaning}", verdict=verdict, meaning=meaning)
        for verdict, meaning in _MEANING.items()
        if verdict in found
    ]
    return [*lines, _("{sentence}.", sentence=joined("; ", used))] if used else lines


def degrees_text(df: int) -> str:
    """`1 degree of freedom`, `4 degrees of freedom`."""
    return _("{n} degree of freedom", n=df) if df == 1 else _("{n} degrees of freedom", n=df)


def _read_off(figures: Sequence[str]) -> list[str]:
    """What is to be known of values read off these figures."""
    lines: list[str] = []
    if {"fig1", "fig6"} & set(figures):
        lines.append(
            _(
                "Values read off a figure are means of the curve's last stage, as one point of "
                "training error is a sample of a few thousand images. The residual nets' test "
                "errors so read are within 0.1 points of those in print; the interval leaves that "
                "out."
            )
        )
    if "fig4" in figures:
        first, last = LAST_STAGE["imagenet"]
        lines.append(
            _(
                "Values read off Fig. 4 are means from iteration {first:,} to the last drawn, "
                "{last:,} of {total:,}; its curves still fall a little there. No table prints "
                "them, so how exact they are is not known.",
                first=first,
                last=last,
                total=ITERATIONS["imagenet"],
            )
        )
    return lines


def _claims(claims: Sequence[ClaimRow]) -> list[str]:
    """How the claims were judged."""
    lines: list[str] = []
    if not all(row.result.exact for row in claims):
        lines.append(
            _(
                "Claims: higher minus lower, means over every seed of either, ± half of the 95 % "
                "interval, by the same spread as the verdicts; by the two arms' own seeds where "
                "seeds scatter differently from net to net."
            )
        )
    if any(row.claim.scope == "throughout" for row in claims):
        lines.append(
            _(
                "A claim about the whole of training compares the recorded rows and shows their "
                "mean; a row is beyond noise if it exceeds half of its own 95 % interval."
            )
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
        _(
            "Left out are its rows before either net has left chance: a training error above "
            "{error:.1f} %, which guessing among {classes} classes has, less {noise} points.",
            error=error,
            classes=classes,
            noise=CHANCE_NOISE,
        )
        for classes, error in chance.items()
    ]
    return lines


def _statistics(runs: Sequence[Run]) -> str:
    """With which statistics of batch normalisation the runs were tested."""
    protocols: dict[str, list[str]] = {}
    for words in sorted({run.bn for run in runs}):
        protocols[words] = sort_protocols(run.protocol for run in runs if run.bn == words)
    if len(protocols) == 1:
        return _(
            "Tested with batch normalisation's {statistics}.", statistics=next(iter(protocols))
        )
    first, *others = (
        _("{statistics} ({protocols})", statistics=words, protocols=joined(", ", under))
        for words, under in protocols.items()
    )
    parts = [first, *(_("others with its {statistics}", statistics=other) for other in others)]
    return _("Tested with batch normalisation's {statistics}.", statistics=joined("; ", parts))


def warnings(runs: Sequence[Run]) -> list[str]:
    """What makes runs less comparable than a table's look suggests."""
    lines: list[str] = []
    precisions = sorted({run.precision for run in runs})
    if len(precisions) > 1:
        mixed = [
            _(
                "{precision} ({arms})",
                precision=p,
                arms=joined(", ", sorted({run.arm for run in runs if run.precision == p})),
            )
            for p in precisions
        ]
        lines.append(_("These runs mix precisions: {precisions}.", precisions=joined(", ", mixed)))
    specs: dict[str, set[str]] = {}
    for run in runs:
        specs.setdefault(f"{run.arm} ({run.dataset}, {run.protocol})", set()).add(run.question)
    lines += [
        _("The seeds of {arm} were not run with one recipe, recipe version and data.", arm=name)
        for name, questions in sorted(specs.items())
        if len(questions) > 1
    ]
    skipped = _named([run for run in runs if run.skipped])
    if skipped:
        lines.append(_("Run without some images, which could not be read: {runs}.", runs=skipped))
    dirty = _named([run for run in runs if run.dirty])
    if dirty:
        lines.append(_("Run from a source tree with uncommitted changes: {runs}.", runs=dirty))
    return lines


def _named(runs: Sequence[Run]) -> str:
    """Arms and seeds, each once."""
    names = {_("{arm} seed {seed}", arm=run.arm, seed=run.seed) for run in runs}
    return joined(", ", sorted(names))
