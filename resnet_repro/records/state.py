"""In what state a run's folder is, as the plan, `status` and `watch` all have it from here."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from resnet_repro.errors import UserError
from resnet_repro.records import schema, store
from resnet_repro.records.lease import is_held

QUIET = 60.0  # seconds without a sign of a run, below which nothing is made of it

# missing: no spec. under way: a process trains it. partial: begun, and no process has it.
# done, diverged: finished, as result.json says. broken: unreadable, or it contradicts itself.
State = Literal["missing", "under way", "partial", "done", "diverged", "broken"]


@dataclass(frozen=True)
class RunState:
    """What a run's folder says at one moment; errors in %.

    `iteration` is where it would go on: that of the newest checkpoint that is found, else of the
    last row; of a run under way the later of both. `iterations` are those of the schedule, None
    without a readable spec. `detail` says what is broken.
    """

    state: State
    iteration: int = 0
    iterations: int | None = None
    test_error: float | None = None
    detail: str = ""
    spec: schema.Spec | None = None


def run_state(run: schema.RunId, folder: Path, cache: Path | None = None) -> RunState:
    """The state of the run in a folder; never raises for what lies there.

    cache: where checkpoints lie that are not in the folder itself.
    """
    # Before the rest: a process writes the result first and lets go of the lease afterwards.
    trained = is_held(folder)
    if not (folder / "spec.json").exists():
        return RunState("missing")
    iterations, spec = None, None
    try:
        told = store.read_labelled(folder)
        labelled, spec, recipe = told
        iterations = recipe.iterations
        if labelled != run:
            raise UserError(
                f"{folder} holds the run {labelled}: a record lies where its labels say"
            )
        if store.is_done(folder):
            result = store.read_record(run, folder, told).result
            return RunState(
                result.status, result.iterations, iterations, result.test_error, spec=spec
            )
        iteration, error = _last_row(folder / "metrics.csv")
        if not 0 <= iteration <= iterations:
            raise UserError(
                f"{folder / 'metrics.csv'}: ends at {iteration}, the recipe at {iterations}"
            )
    except UserError as problem:
        return RunState("broken", iterations=iterations, detail=str(problem), spec=spec)
    state: State = "under way" if trained else "partial"
    saved = newest_checkpoint(checkpoint_folders(folder, cache, spec))
    if saved is not None and saved <= iterations:
        iteration = max(iteration, saved) if trained else saved
    return RunState(state, iteration, iterations, error, spec=spec)


def checkpoint_folders(folder: Path, cache: Path | None, spec: schema.Spec) -> tuple[Path, ...]:
    """Where a run's checkpoints may lie: beside its record, if it is shared, and in the cache."""
    inside = folder / "checkpoints"
    return (inside,) if cache is None else (inside, cache / "runs" / spec.hash[:32])


def newest_checkpoint(folders: Iterable[Path]) -> int | None:
    """The iteration of the newest checkpoint by its name; None where there is none."""
    names = (path.stem for folder in folders for path in folder.glob("*.checkpoint"))
    return max((int(name) for name in names if name.isdecimal()), default=None)


def _last_row(path: Path) -> tuple[int, float | None]:
    """Iteration and test error of a table's last row; 0 and None before the first."""
    rows = store.read_table(path, *schema.METRICS_FORMS) if path.exists() else []
    if not rows:
        return 0, None
    try:
        return int(rows[-1]["iteration"]), schema.finite(float(rows[-1]["test_error"]))
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}): restore or rerun it") from error


def heard(folder: Path) -> float:
    """When a run last gave a sign, in seconds since the epoch: it was taken up, or wrote a row."""
    signs = [0.0]
    for name in ("execution.json", "spec.json", "metrics.csv"):
        with contextlib.suppress(FileNotFoundError):
            signs.append((folder / name).stat().st_mtime)
    return max(signs)
