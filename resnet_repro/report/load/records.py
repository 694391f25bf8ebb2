"""Records read into the rows and tables of `frames`."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from msgspec.structs import asdict, replace

from resnet_repro.errors import UserError
from resnet_repro.messages import _
from resnet_repro.models.parameters import parameters_problem
from resnet_repro.paper.artifacts import Artifact
from resnet_repro.records import schema, store
from resnet_repro.records.counts import read_counts
from resnet_repro.records.recipe import RecordedRecipe
from resnet_repro.records.verify import contradictions
from resnet_repro.report.load.evaluations import (
    ensembles_below,
    evaluated_values,
    record_evaluations,
)
from resnet_repro.report.load.frames import LABELS, Frames, Run

# Of result.json; what else it has is not measured.
MEASURED = (
    "train_loss",
    "train_error",
    "test_loss",
    "test_error",
    "best_test_error",
    "best_test_iteration",
    "warmup_ended",
    "half_precision_test_error",
    "test_error_moving",
)


def read_frames(results_dirs: Sequence[Path], artifact: Artifact | None = None) -> Frames:
    """Every finished run below the folders.

    artifact: whose table and claims alone are asked for; what they don't need is not read, and
    those long tables and values are empty.

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

    def asked(metric: str) -> list[store.Record]:
        return records if artifact is None or metric in artifact.metrics else []

    layers = _long(asked("layer_std"), "layers.csv", schema.LAYERS)
    gradients = _gradients(asked("gradient_norm"))
    summaries = {
        "layer_std": _by_run(layers, "std", "mean"),
        "gradient_norm": _by_run(gradients, schema.STAGES[0], "median"),
    }
    return Frames(
        tuple(_run(record, summaries) for record in records),
        _long(records, "metrics.csv", *schema.METRICS_FORMS, check=_check_metrics),
        _long(records if artifact is None else [], "timing.csv", schema.TIMING),
        gradients,
        layers,
        tuple(read_counts(results_dirs)),
        ensembles_below(results_dirs),
    )


def _by_run(frame: pd.DataFrame, column: str, how: str) -> dict[Any, float]:
    """The mean or the median of a column over each run's rows, by the run's labels."""
    return {} if frame.empty else frame.groupby(list(LABELS))[column].agg(how).to_dict()


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


def _run(record: store.Record, summaries: Mapping[str, dict[Any, float]]) -> Run:
    """summaries: of its long tables, by metric and then by the run's labels."""
    result, execution, spec, recipe = record.result, record.execution, record.spec, record.recipe
    labels = dataclasses.astuple(record.run)
    evaluations = record_evaluations(record)
    question = json.dumps(asdict(replace(spec, seed=0)), sort_keys=True)
    return Run(
        id=record.run,
        network=spec.network,
        status=result.status,
        schedule=recipe.iterations,
        batch_size=recipe.batch_size,
        crop=recipe.crop,
        parameters=result.parameters,
        values={
            **{name: _or_nan(getattr(result, name)) for name in MEASURED},
            **evaluated_values(evaluations),
            **{name: found.get(labels, math.nan) for name, found in summaries.items()},
        },
        evaluations=evaluations,
        bn=_statistics(recipe),
        device_name=execution.device_name,
        precision="+".join(execution.precisions),
        threads=execution.threads,
        dirty=execution.any_dirty,
        commits=tuple(execution.commits),
        skipped=len(execution.skipped_images),
        question=hashlib.sha256(question.encode()).hexdigest(),
        folder=record.folder,
    )


def _statistics(recipe: RecordedRecipe) -> str:
    if recipe.bn_statistics != "averaged":
        return _("moving averages")
    return _("averages over {n:,} training images", n=recipe.bn_images)


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _check_metrics(record: store.Record, table: store.Columns) -> None:
    """Raise UserError for a record that contradicts its rows or its network: none is reported."""
    problem = next(contradictions(record, table), None) or parameters_problem(record)
    if problem:
        raise UserError(problem)


def _long(
    records: Sequence[store.Record],
    name: str,
    columns: Sequence[str],
    *fewer: Sequence[str],
    check: Callable[[store.Record, store.Columns], None] = lambda record, table: None,
) -> pd.DataFrame:
    """A table of every record.

    fewer: forms of it that lack some of the columns. check: raises for rows that are wrong.
    """
    found: store.Columns = {column: [] for column in (*LABELS, *columns)}
    for record in records:
        table = store.read_numbers(record.folder / name, columns, *fewer)
        check(record, table)
        rows = len(table[columns[0]])
        for column in columns:
            found[column] += table.get(column, [math.nan] * rows)
        for label, value in dataclasses.asdict(record.run).items():
            found[label] += [value] * rows
    return pd.DataFrame(found, columns=[*LABELS, *columns])
