"""Evaluations of runs, and of ensembles, which are no run's: read, named in words, wanted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from resnet_repro.commands import evaluate_command, study_command
from resnet_repro.errors import UserError
from resnet_repro.messages import _, joined
from resnet_repro.paper.artifacts import Artifact
from resnet_repro.records import store
from resnet_repro.records.evaluations import (
    CENTER,
    DENSE,
    TEN_CROP,
    Evaluation,
    read_ensembles,
    read_evaluations,
)
from resnet_repro.records.metrics import EVALUATED
from resnet_repro.records.probes import PROBES
from resnet_repro.records.schema import RunId
from resnet_repro.report.load.frames import Ensemble

CROPS = {CENTER: "center", TEN_CROP: "10", DENSE: "dense"}  # how the command names them


def record_evaluations(record: store.Record) -> dict[str, Evaluation]:
    """A record's evaluations by name. Raises UserError for one that was made from another spec."""
    found = read_evaluations(record.folder)
    for evaluation in found:
        if evaluation.spec_hash != record.spec.hash:
            raise UserError(
                f"{record.folder}: its evaluation '{evaluation.name}' was made from another spec: "
                "remove it and evaluate the run again"
            )
    return {evaluation.name: evaluation for evaluation in found}


def evaluated_values(found: Mapping[str, Evaluation]) -> dict[str, float]:
    """What one run's evaluations measured, errors in %; NaN for those nobody made."""
    return {
        name: found[m.evaluation].number(m.value) if m.evaluation in found else math.nan
        for name, m in EVALUATED.items()
    }


def ensembles_below(results_dirs: Sequence[Path]) -> tuple[Ensemble, ...]:
    """Every ensemble below the folders; of one name the first folder's."""
    found: dict[tuple[str, str], Ensemble] = {}
    for results in results_dirs:
        for dataset, path, made in read_ensembles(results):
            found.setdefault((dataset, made.name), Ensemble(dataset, made, path))
    return tuple(found.values())


def settings_words(evaluation: Evaluation) -> str:
    """An evaluation's settings in one line, those that a reader needs to compare it."""
    told = evaluation.settings
    sizes = told.get("sizes")
    images, circles = told.get("images", ""), told.get("circles", "")
    parts = {
        _("images"): images,
        _("circles"): circles,
        _("shorter side"): ", ".join(map(str, sizes)) if isinstance(sizes, list) else "",
        _("crop"): told.get("crop", ""),
        _("BN statistics"): told.get("bn", ""),
        _("images left out"): told.get("left_out", ""),
    }
    return joined(
        "; ",
        [_("{what} {value}", what=w, value=value) for w, value in parts.items() if value != ""],
    )


def below(run: RunId) -> str:
    """A run's folder as a command to a reader names it; RESULTS is the folder of all."""
    return f"RESULTS/{run}"


def wanted_command(runs: Sequence[str], evaluation: str) -> str:
    """What makes an evaluation of runs, given by their folders; several are an ensemble.

    Of a study each is one by itself.
    """
    if evaluation in CROPS:
        return evaluate_command(runs, CROPS[evaluation])
    return study_command(evaluation, runs)


def evaluations_wanted(artifact: Artifact) -> tuple[str, ...]:
    """The evaluations that an artifact's metrics come from, each once."""
    if artifact.ensemble:
        return (DENSE,)
    metrics = [p.metric for p in artifact.published] + [c.metric for c in artifact.claims]
    return tuple(dict.fromkeys(EVALUATED[m].evaluation for m in metrics if m in EVALUATED))


def studies_wanted(artifact: Artifact) -> tuple[str, ...]:
    """The studies among them: an artifact that wants some shows runs that have them all."""
    return tuple(name for name in evaluations_wanted(artifact) if name in PROBES)
