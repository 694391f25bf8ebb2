"""Records read into the tables of `frames`."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from msgspec.structs import asdict, replace

from resnet_repro.errors import UserError
from resnet_repro.models.parameters import parameters_problem
from resnet_repro.records import schema, store
from resnet_repro.records.counts import read_counts
from resnet_repro.records.evaluations import Evaluation
from resnet_repro.records.recipe import RecordedRecipe
from resnet_repro.records.verify import contradictions
from resnet_repro.report.load.evaluations import (
    ensembles_frame,
    errors_of,
    record_evaluations,
    settings_words,
)
from resnet_repro.report.load.frames import COUNTS, EVALUATIONS, LABELS, RESULTS, RUNS, Frames


def read_frames(results_dirs: Sequence[Path]) -> Frames:
    """Every finished run below the folders.

    A run that lies in several of them counts once; the first folder's is taken. Raises
    UserError for a damaged record, and for two records of one name but of different specs.
    """
    seen: dict[schema.RunId, store.Record] = {}
    for results in results_dirs:
        for record in store.read_records(results):
            first = seen.setdefault(record.run, record)
            if first.spec != record.spec:
                raise UserError(
                    f"{first.folder} and {record.folder} are of different specs: "
                    "report them separately"
                )
    records = list(seen.values())
    layers = _long(records, "layers.csv", schema.LAYERS)
    gradients = _gradients(records)
    evaluations = [record_evaluations(record) for record in records]
    runs = pd.DataFrame(
        [_run(r, e) for r, e in zip(records, evaluations, strict=True)], columns=list(RUNS)
    )
    if records:
        labels = list(zip(*(runs[x] for x in LABELS), strict=True))
        means = layers.groupby(list(LABELS))["std"].mean()
        runs["layer_std"] = means.reindex(labels).array
        norms = gradients.groupby(list(LABELS))[schema.STAGES[0]].median()
        runs["gradient_norm"] = norms.reindex(labels).array
    return Frames(
        runs,
        _long(records, "metrics.csv", *schema.METRICS_FORMS, check=_check_metrics),
        _long(records, "timing.csv", schema.TIMING),
        gradients,
        layers,
        _counts(results_dirs),
        pd.DataFrame(
            [
                {**_labels(record), "evaluation": e.name, "settings": settings_words(e), "made": e}
                for record, found in zip(records, evaluations, strict=True)
                for e in found
            ],
            columns=list(EVALUATIONS),
        ),
        ensembles_frame(results_dirs),
    )


def _gradients(records: Sequence[store.Record]) -> pd.DataFrame:
    """Each stage's gradient norm times the norm of its weights.

    A gradient falls as the weights before a batch normalisation grow, in inverse proportion, so
    that its norm alone tells little. Recipe version 1 recorded no weights; its runs are left out.
    """
    norms = _long(records, "gradients.csv", *schema.GRADIENT_FORMS)
    weights = [f"{stage}_weights" for stage in schema.STAGES]
    known = norms[norms[weights].notna().any(axis=1)].reset_index(drop=True)
    products = known[list(schema.STAGES)].to_numpy() * known[weights].to_numpy()
    return known.drop(columns=weights).assign(**dict(zip(schema.STAGES, products.T, strict=True)))


def _counts(results_dirs: Sequence[Path]) -> pd.DataFrame:
    rows = [
        (c.name, " x ".join(str(n) for n in c.input), c.parameters, c.multiply_adds)
        for c in read_counts(results_dirs)
    ]
    return pd.DataFrame(rows, columns=list(COUNTS))


def _labels(record: store.Record) -> dict[str, object]:
    run = record.run
    return {"dataset": run.dataset, "arm": run.arm, "protocol": run.protocol, "seed": run.seed}


def _run(record: store.Record, evaluations: Sequence[Evaluation]) -> dict[str, object]:
    result, execution, spec = record.result, record.execution, record.spec
    recipe = record.recipe
    question = json.dumps(asdict(replace(spec, seed=0)), sort_keys=True)
    return {
        **_labels(record),
        "network": spec.network,
        "status": result.status,
        "iterations": result.iterations,
        "schedule": recipe.iterations,
        "batch_size": float(recipe.batch_size),
        "crop": _or_nan(recipe.crop),
        "parameters": result.parameters,
        **{name: _or_nan(getattr(result, name)) for name in RESULTS},
        **errors_of(evaluations),
        "bn": _statistics(recipe),
        "device": execution.device,
        "device_name": execution.device_name,
        "precision": "+".join(execution.precisions),
        "threads": execution.threads,
        "commit": execution.commit,
        "dirty": execution.any_dirty,
        "skipped": len(execution.skipped_images),
        "question": hashlib.sha256(question.encode()).hexdigest(),
        "spec_hash": spec.hash,
        "folder": str(record.folder),
    }


def _statistics(recipe: RecordedRecipe) -> str:
    if recipe.bn_statistics != "averaged":
        return "moving averages"
    return f"averages over {recipe.bn_images:,} training images"


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _check_metrics(record: store.Record, rows: Sequence[Mapping[str, float]]) -> None:
    """Raise UserError for a record that contradicts its rows or its network: none is reported."""
    problem = next(contradictions(record, rows), None) or parameters_problem(record)
    if problem:
        raise UserError(problem)


def _long(
    records: Sequence[store.Record],
    name: str,
    columns: Sequence[str],
    *fewer: Sequence[str],
    check: Callable[[store.Record, list[dict[str, Any]]], None] = lambda record, rows: None,
) -> pd.DataFrame:
    """A table of every record.

    fewer: forms of it that lack some of the columns. check: raises for rows that are wrong.
    """
    rows: list[dict[str, object]] = []
    for record in records:
        path = record.folder / name
        labels = _labels(record)
        read = store.read_table(path, columns, *fewer)
        cells = [{c: _cell(row[c], c, path) for c in row} for row in read]
        check(record, cells)
        rows += [{**labels, **row} for row in cells]
    return pd.DataFrame(rows, columns=[*LABELS, *columns])


def _cell(text: str, column: str, path: Path) -> Any:
    if column == "name":
        return text
    try:
        value = float(text)  # `nan` and `inf` are what a diverged run measured
        return int(text) if column in ("iteration", "layer") else value
    except ValueError:
        raise UserError(
            f"{path}: {column} is {text!r}, not a number: restore or rerun it"
        ) from None
