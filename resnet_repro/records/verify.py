"""Checks a record can fail: schema, hashes, completeness, order, agreement of its files.

What was evaluated later is a part of the record, and is checked with it.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from resnet_repro import paths
from resnet_repro.errors import UserError
from resnet_repro.records import schema, store
from resnet_repro.records.counts import read_count
from resnet_repro.records.evaluations import find_evaluations, read_evaluation
from resnet_repro.records.files import is_file, read_text

TABLES = {  # the forms each table may have
    "metrics.csv": schema.METRICS_FORMS,
    "timing.csv": (schema.TIMING,),
    "gradients.csv": schema.GRADIENT_FORMS,
    "layers.csv": (schema.LAYERS,),
}
_TESTS = ("test_loss", "test_error", "test_error_moving")


def problems(run: schema.RunId, folder: Path) -> list[str]:
    """What is wrong with a finished record, a line each; empty when nothing is."""
    try:
        return record_problems(store.read_record(run, folder))
    except UserError as error:
        return [str(error)]


def record_problems(record: store.Record) -> list[str]:
    """What is wrong with the tables, files and evaluations of a record that was read."""
    found, folder = [], record.folder
    tables: dict[str, store.Columns] = {}
    digests: dict[str, str] = {}
    for name, forms in TABLES.items():
        path = folder / name
        try:
            text = read_text(path)
            digests[name] = hashlib.sha256(text.encode()).hexdigest()
            tables[name] = store.parse_numbers(text, path, *forms)
        except UserError as error:
            found.append(str(error))
    found += _files(record, digests)
    found += _evaluations(record)
    if "metrics.csv" in tables:
        found += contradictions(record, tables["metrics.csv"])
        rows = tables["metrics.csv"]["iteration"]
        first_step = [] if rows[:1] == [1] else [1]  # gradients.csv begins with it
        for name, expected in (
            ("timing.csv", [rows]),
            ("gradients.csv", [[*first_step, *rows], rows]),  # the second: recipe version 1
        ):
            if name in tables and tables[name]["iteration"] not in expected:
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


def _files(record: store.Record, digests: Mapping[str, str]) -> Iterator[str]:
    """Every file the result names is there and unchanged, and it names every table.

    digests: of files that were read already.
    """
    for name, digest in record.result.files.items():
        path = record.folder / name
        if _stays_behind(path):
            continue
        if name not in digests and not is_file(path):
            yield f"{path}: named in result.json and not there"
            continue
        try:
            if (digests.get(name) or store.file_digest(path)) != digest:
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


def contradictions(record: store.Record, table: store.Columns) -> Iterator[str]:
    """Where a record's result, its recipe and the columns of its metrics.csv do not agree.

    What reports read is held to it as well, so that no table shows a number the rows do not have.
    """
    result, path = record.result, record.folder / "metrics.csv"
    iterations = table["iteration"]
    if not iterations:
        yield f"{path}: no rows"
        return
    if any(b <= a for a, b in itertools.pairwise((0, *iterations))):
        yield f"{path}: iterations do not increase"
    for name in sorted(set(table) - {"iteration", "lr"}):
        most = 100 if "error" in name else math.inf
        if math.isfinite(sum(table[name])) and min(table[name]) >= 0 and max(table[name]) <= most:
            continue
        for at, value in zip(iterations, table[name], strict=True):
            if not 0 <= value <= most and math.isfinite(value):
                yield f"{path}: {name} is {value:g} at iteration {at}"
                break
    if iterations[-1] != result.iterations:
        yield f"{path}: ends at {iterations[-1]}, result.json at {result.iterations}"
    if result.status == "done" and iterations[-1] != record.recipe.iterations:
        yield f"{path}: ends at {iterations[-1]}, the recipe at {record.recipe.iterations}"
    for name in sorted(set(table) & {"train_loss", "train_error", *_TESTS}):
        if schema.finite(table[name][-1]) != getattr(result, name):
            yield f"{path}: its last {name} is not the one in result.json"
    tested = [
        (at, error)
        for at, error in zip(iterations, table["test_error"], strict=True)
        if math.isfinite(error)
    ]
    best = min((error for _, error in tested), default=None)
    if best != result.best_test_error:
        yield f"{path}: its lowest test_error is not the best_test_error of result.json"
    lowest = {at for at, error in tested if error == best}
    told = result.best_test_iteration
    if (told not in lowest) if lowest else (told is not None):
        yield f"{path}: no lowest test_error at best_test_iteration {told}"
