"""Overviews as plain data: which artifacts there are, which runs, and whether records are sound.

What `list`, `status` and `verify` print, and what their --json writes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from resnet_repro.errors import UserError
from resnet_repro.models.parameters import parameters_problem
from resnet_repro.paper import artifacts
from resnet_repro.records import schema, store
from resnet_repro.records.counts import find_counts
from resnet_repro.records.datasets import DATASETS, Facts
from resnet_repro.records.evaluations import find_ensembles
from resnet_repro.records.state import run_state
from resnet_repro.records.verify import count_problems, ensemble_problems, record_problems
from resnet_repro.sweep.plan import Planned, total_seconds


def list_artifacts(results: list[Path]) -> dict[str, Any]:
    """Every artifact, its arms, and how many finished runs there are of it by protocol.

    Of an artifact that is counted, how many of its networks are, under the word `counted`.
    """
    done = [
        (run.dataset, run.arm, run.protocol)
        for run in dict.fromkeys(
            run
            for folder in results
            for run, path in store.find_runs(folder)
            if store.is_done(path)
        )
    ]
    counts = {path.stem for folder in results for path in find_counts(folder)}
    found = []
    for name in artifacts.names():
        artifact = artifacts.load(name).artifact
        arms = {(arm.dataset, arm.name) for arm in artifact.arms}
        recorded = Counter(protocol for dataset, arm, protocol in done if (dataset, arm) in arms)
        if artifact.counted:
            done_here = len(counts & {arm.network for arm in artifact.arms})
            recorded = Counter({"counted": done_here} if done_here else {})
        found.append(
            {
                "name": name,
                "title": artifact.title,
                "section": artifact.section,
                "says": artifact.says,
                "protocol": artifact.protocol,
                "arms": [
                    {"name": arm.name, "network": arm.network, "dataset": arm.dataset}
                    for arm in artifact.arms
                ],
                "recorded": dict(sorted(recorded.items())),
            }
        )
    return {"artifacts": found}


def status(results: Path) -> dict[str, Any]:
    """Every run in a results folder, in the states of `records.state`."""
    return {"runs": [_run_status(run, folder) for run, folder in store.find_runs(results)]}


def _run_status(run: schema.RunId, folder: Path) -> dict[str, Any]:
    found = run_state(run, folder)
    return {
        **asdict(run),
        "state": found.state,
        "iteration": found.iteration,
        "iterations": found.iterations,
        "test_error": found.test_error,
        "detail": found.detail,
    }


def _problems(run: schema.RunId, folder: Path) -> list[str]:
    """What is wrong with a record, also what contradicts the data sets and networks there are."""
    try:
        record = store.read_record(run, folder)
    except UserError as error:
        return [str(error)]
    found = record_problems(record)
    parameters = parameters_problem(record)
    found += [parameters] if parameters else []
    digest = record.spec.dataset_digest
    if DATASETS.get(run.dataset, Facts()).digest not in ("", digest):
        spec = folder / "spec.json"
        found.append(f"{spec}: trained on another copy of {run.dataset} ({digest[:12]}...)")
    return found


def _misnamed(folder: Path) -> str:
    return f"{folder}: named as no run, so nothing reads it: name it seed0, seed1, ..., or move it"


def verify(results: Path) -> dict[str, Any]:
    """Check every finished record below `results`; files of counts and of ensembles are some.

    Raises UserError when there is none.
    """
    checked, found = 0, []
    for run, folder in store.find_runs(results):
        if store.is_done(folder):
            checked += 1
            found += [{"run": str(run), "problem": text} for text in _problems(run, folder)]
    for folder in store.find_misnamed(results):
        name = "/".join(folder.parts[-4:])
        found.append({"run": name, "problem": _misnamed(folder)})
    for path in find_counts(results):
        checked += 1
        found += [{"run": f"counts/{path.stem}", "problem": text} for text in count_problems(path)]
    for path in find_ensembles(results):
        checked += 1
        name = f"{path.parts[-3]}/ensembles/{path.stem}"
        found += [{"run": name, "problem": text} for text in ensemble_problems(path)]
    if not checked and not found:
        raise UserError(
            f"{results} holds no finished record: give the folder of some as --results-dir"
        )
    return {"records": checked, "problems": found}


def plan_json(planned: list[Planned]) -> dict[str, Any]:
    """A plan as plain data; `seconds` is None where nothing is there to judge by."""
    runs = [
        {
            **asdict(p.run),
            "network": p.arm.network,
            "state": p.state,
            "iteration": p.iteration,
            "iterations": p.recipe.iterations,
            "seconds": None if p.seconds is None else round(p.seconds, 3),
            "detail": p.detail,
        }
        for p in planned
    ]
    seconds = total_seconds(planned)
    return {"runs": runs, "seconds": None if seconds is None else round(seconds, 3)}
