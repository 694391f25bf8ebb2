"""Which recorded runs nobody evaluated yet, though an artifact wants it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from resnet_repro.paper.artifacts import Artifact
from resnet_repro.records.metrics import EVALUATED
from resnet_repro.records.schema import RunId
from resnet_repro.report.load.evaluations import (
    CROPS,
    below,
    evaluate_command,
    evaluations_wanted,
    unevaluated,
)
from resnet_repro.report.load.frames import Frames


def lacking_evaluations(artifact: Artifact, frames: Frames) -> list[tuple[RunId, str]]:
    """Each finished run that an artifact wants evaluated and nobody has, with the command.

    An ensemble is none of a single run, so an artifact of ensembles lacks none here. A run that
    kept no weights cannot be studied any more, and lacks nothing either.
    """
    if artifact.ensemble:
        return []
    found = []
    for evaluation in evaluations_wanted(artifact):
        metric = next(name for name, m in EVALUATED.items() if m.evaluation == evaluation)
        for arm in artifact.arms:
            for row in frames.runs_of(arm.dataset, arm.name):
                if evaluation not in CROPS and not _keeps_weights(row):
                    continue
                if unevaluated(row, metric):
                    run = RunId(arm.dataset, arm.name, row["protocol"], row["seed"])
                    found.append((run, evaluate_command([below(run)], evaluation)))
    return found


def _keeps_weights(run: dict[str, Any]) -> bool:
    return (Path(run["folder"]) / "weights.safetensors").is_file()
