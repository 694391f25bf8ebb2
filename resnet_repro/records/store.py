"""Reading and writing records on disk."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from resnet_repro.errors import UserError
from resnet_repro.records.files import read_json, read_text, write_atomic, write_json
from resnet_repro.records.schema import (
    SCHEMA,
    Execution,
    Result,
    RunId,
    Spec,
    spec_from_json,
)

Row = dict[str, float]
T = TypeVar("T")


@dataclass(frozen=True)
class Record:
    """A finished run as it lies on disk."""

    run: RunId
    folder: Path
    spec: Spec
    execution: Execution
    result: Result


def find_runs(results: Path) -> Iterator[tuple[RunId, Path]]:
    """Every run folder below `results` that has a spec, sorted. Raises UserError for a file."""
    if results.exists() and not results.is_dir():
        raise UserError(f"{results} is a file: give a folder as --results-dir")
    for path in sorted(results.glob("*/*/*/seed*/spec.json")):
        folder = path.parent
        dataset, arm, protocol, seed = folder.parts[-4:]
        if seed[4:].isdigit():
            yield RunId(dataset, arm, protocol, int(seed[4:])), folder


def is_done(folder: Path) -> bool:
    """Whether the record is complete: `result.json` is written last."""
    return (folder / "result.json").exists()


def read_spec(folder: Path) -> Spec:
    """The spec of a record. Raises UserError when it is unreadable or its hash is wrong."""
    path = folder / "spec.json"
    return spec_from_json(read_json(path), path)


def read_execution(folder: Path) -> Execution | None:
    """How a run in this folder is computed, if one has begun."""
    path = folder / "execution.json"
    return _fields(Execution, path) if path.exists() else None


def read_record(run: RunId, folder: Path) -> Record:
    """A finished record without its tables. Raises UserError when any part is unreadable."""
    execution = _fields(Execution, folder / "execution.json")
    result = _fields(Result, folder / "result.json")
    spec = read_spec(folder)
    labels = read_json(folder / "spec.json")
    told = RunId(spec.dataset, str(labels.get("arm")), str(labels.get("protocol")), spec.seed)
    if told != run:
        raise UserError(f"{folder} holds the run {told}: a record lies where its labels say")
    if result.spec_hash != spec.hash:
        raise UserError(f"{folder / 'result.json'}: made from another spec than spec.json")
    return Record(run, folder, spec, execution, result)


def read_records(results: Path) -> list[Record]:
    """Every finished record below `results`, in the order of their folders."""
    return [read_record(run, folder) for run, folder in find_runs(results) if is_done(folder)]


def _fields(kind: type[T], path: Path) -> T:
    value = read_json(path)
    if value.pop("schema", None) != SCHEMA:
        raise UserError(f"{path}: another schema than {SCHEMA}")
    value = {k: tuple(v) if isinstance(v, list) else v for k, v in value.items()}
    hints = get_type_hints(kind)
    for name, item in value.items():
        if name in hints and not _fits(item, hints[name]):
            raise UserError(f"{path}: {name} is {item!r}, not {_words(hints[name])}")
    try:
        return kind(**value)
    except TypeError as error:
        raise UserError(f"{path} lacks a field or has one too many: {error}") from error


def _words(hint: Any) -> str:
    """A field's type as a message names it."""
    if get_origin(hint) is UnionType:
        return " or ".join(_words(part) for part in get_args(hint) if part is not type(None))
    words = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
    return words.get(hint, "a list" if get_origin(hint) is tuple else "an object")


def _fits(value: object, hint: Any) -> bool:
    """Whether a JSON value is of a field's type; lists are tuples by now."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is UnionType:
        return any(_fits(value, part) for part in parts)
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(item, parts[0]) for item in value)
    if origin is dict:
        return isinstance(value, dict) and all(_fits(item, parts[1]) for item in value.values())
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)


def write_table(
    path: Path, columns: Sequence[str], rows: Sequence[Row | dict[str, object]]
) -> None:
    """Write rows as CSV; numbers in the shortest form that reads back the same."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomic(path, text.getvalue().encode())


def read_table(path: Path, columns: Sequence[str], *others: Sequence[str]) -> list[dict[str, str]]:
    """Rows of a CSV file as text, its columns these or another of the forms it may have.

    Raises UserError for other columns or a row cut short.
    """
    reader = csv.DictReader(io.StringIO(read_text(path)), strict=True)
    try:
        rows = list(reader)
    except csv.Error as error:
        raise UserError(f"{path} is damaged ({error}): restore or rerun it") from error
    if tuple(reader.fieldnames or ()) not in {tuple(form) for form in (columns, *others)}:
        forms = " or ".join(", ".join(form) for form in (columns, *others))
        raise UserError(f"{path} has other columns than {forms}")
    if any(None in row or None in row.values() for row in rows):
        raise UserError(f"{path} has a row cut short: restore or rerun it")
    return rows


def write_spec(folder: Path, run: RunId, spec: Spec) -> None:
    write_json(folder / "spec.json", spec.to_json(run))


def write_execution(folder: Path, execution: Execution) -> None:
    write_json(folder / "execution.json", execution.to_json())


def write_result(folder: Path, result: Result) -> None:
    """Write `result.json`: after it the record counts as done."""
    write_json(folder / "result.json", result.to_json())


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
