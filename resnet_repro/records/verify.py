"""Checks a record can fail: schema, hashes, completeness, order, agreement of its files.

What was evaluated later is a part of the record, and is checked with it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from resnet_repro import paths
from resnet_repro.errors import UserError
from resnet_repro.records import schema, store
from resnet_repro.records.counts import read_count
from resnet_repro.records.evaluations import find_evaluations, read_evaluation
from resnet_repro.records.files import is_file

TABLES = {  # the forms each table may have
    "metrics.csv": schema.METRICS_FORMS,
    "timing.csv": (schema.TIMING,),
    "gradients.csv": schema.GRADIENT_FORMS,
    "layers.csv": (schema.LAYERS,),
}
NOT_NUMBERS = ("name",)
_TESTS = ("test_loss", "test_error", "test_error_moving")


def problems(run: schema.RunId, folder: Path) -> list[str]:
    """What is wrong with a finished record, a line each; empty when nothing is."""
    try:
        record = store.read_record(run, folder)
    except UserError as error:
        return [str(error)]
    found = []
    tables: dict[str, list[dict[str, float]]] = {}
    for name, forms in TABLES.items():
        try:
            tables[name] = _numbers(folder / name, forms)
        except UserError as error:
            found.append(str(error))
    found += _files(record)
    found += _evaluations(record)
    if "metrics.csv" in tables:
        found += contradictions(record, tables["metrics.csv"])
        rows = _iterations(tables["metrics.csv"])
        first_step = [] if rows[:1] == [1.0] else [1.0]  # gradients.csv begins with it
        for name, expected in (
            ("timing.csv", [rows]),
            ("gradients.csv", [[*first_step, *rows], rows]),  # the second: recipe version 1
        ):
            if name in tables and _iterations(tables[name]) not in expected:
                found.append(f"{folder / name}: other iterations than metrics.csv")
    return found


def count_problems(path: Path) -> list[str]:
    """What is wrong with a file of counts; empty when nothing is."""
    try:
        read_count(path)
    except UserError as error:
        return [str(error)]
    return []


def ensemble_problems(path: Path) -> list[str]:
    """What is wrong with an ensemble's evaluation; empty when nothing is."""
    try:
        found = read_evaluation(path)
    except UserError as error:
        return [str(error)]
    if not found.members:
        return [f"{path}: names no members"]
    return []


def _evaluations(record: store.Record) -> Iterator[str]:
    """Every evaluation is readable and was made from this record's spec."""
    for path in find_evaluations(record.folder):
        try:
            if read_evaluation(path).spec_hash != record.spec.hash:
                yield f"{path}: made from another spec than spec.json"
        except UserError as error:
            yield str(error)


def _files(record: store.Record) -> Iterator[str]:
    """Every file the result names is there and unchanged, and it names every table."""
    for name, digest in record.result.files.items():
        path = record.folder / name
        if _stays_behind(path):
            continue
        if not is_file(path):
            yield f"{path}: named in result.json and not there"
            continue
        try:
            if store.file_digest(path) != digest:
                yield f"{path}: changed since result.json was written"
        except UserError as error:
            yield str(error)
    for name in TABLES:
        if name not in record.result.files:
            yield f"{record.folder / 'result.json'}: does not name {name}"


def _stays_behind(path: Path) -> bool:
    """Whether it is recorded weights, which do not travel in an installed package."""
    recorded = paths.INSTALLED and path.is_relative_to(paths.RECORDED)
    return recorded and path.name == "weights.safetensors" and not path.exists()


def contradictions(record: store.Record, rows: Sequence[Mapping[str, float]]) -> Iterator[str]:
    """Where a record's result, its recipe and the rows of its metrics.csv do not agree.

    What reports read is held to it as well, so that no table shows a number the rows do not have.
    """
    result, path = record.result, record.folder / "metrics.csv"
    if not rows:
        yield f"{path}: no rows"
        return
    iterations = _iterations(rows)
    if any(b <= a for a, b in itertools.pairwise((0, *iterations))):
        yield f"{path}: iterations do not increase"
    for name in sorted(set(rows[0]) - {"iteration", "lr"}):
        most = 100 if "error" in name else math.inf
        for row in rows:
            if math.isfinite(row[name]) and not 0 <= row[name] <= most:
                yield f"{path}: {name} is {row[name]:g} at iteration {row['iteration']:.0f}"
                break
    if iterations[-1] != result.iterations:
        yield f"{path}: ends at {iterations[-1]:.0f}, result.json at {result.iterations}"
    if result.status == "done" and iterations[-1] != record.recipe.iterations:
        yield f"{path}: ends at {iterations[-1]:.0f}, the recipe at {record.recipe.iterations}"
    last = rows[-1]
    for name in sorted(set(last) & {"train_loss", "train_error", *_TESTS}):
        if schema.finite(last[name]) != getattr(result, name):
            yield f"{path}: its last {name} is not the one in result.json"
    tested = [row for row in rows if math.isfinite(row["test_error"])]
    best = min((row["test_error"] for row in tested), default=None)
    if best != result.best_test_error:
        yield f"{path}: its lowest test_error is not the best_test_error of result.json"
    at = {row["iteration"] for row in tested if row["test_error"] == best}
    told = result.best_test_iteration
    if (told not in at) if at else (told is not None):
        yield f"{path}: no lowest test_error at best_test_iteration {told}"


def _iterations(rows: Sequence[Mapping[str, float]]) -> list[float]:
    return [row["iteration"] for row in rows]


def _numbers(path: Path, forms: tuple[tuple[str, ...], ...]) -> list[dict[str, float]]:
    try:
        return [
            {name: float(text) for name, text in row.items() if name not in NOT_NUMBERS}
            for row in store.read_table(path, *forms)
        ]
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error
