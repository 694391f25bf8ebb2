"""Reading and writing records on disk."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from resnet_repro.errors import UserError
from resnet_repro.records.files import (
    convert,
    open_file,
    read_json,
    read_text,
    write_atomic,
    write_json,
)
from resnet_repro.records.recipe import RecordedRecipe, recorded_recipe
from resnet_repro.records.schema import (
    SCHEMA,
    Execution,
    Result,
    RunId,
    Spec,
    SpecFile,
    check_label,
    is_label,
)

Row = dict[str, float]
Columns = dict[str, list[Any]]
WHOLE = ("iteration", "layer")  # columns of whole numbers
T = TypeVar("T", Spec, SpecFile, Execution, Result)

_SEED = re.compile(r"seed(0|[1-9][0-9]{0,17})")


@dataclass(frozen=True)
class Record:
    """A finished run as it lies on disk."""

    run: RunId
    folder: Path
    spec: Spec
    recipe: RecordedRecipe
    execution: Execution
    result: Result


def run_of(folder: Path) -> RunId | None:
    """The run that a folder is named as; None unless it is <dataset>/<arm>/<protocol>/seed<k>."""
    dataset, arm, protocol, seed = ("", "", "", "", *folder.parts)[-4:]
    number = _SEED.fullmatch(seed)
    if not number or not all(is_label(part) for part in (dataset, arm, protocol)):
        return None
    return RunId(dataset, arm, protocol, int(number[1]))


def find_runs(results: Path) -> Iterator[tuple[RunId, Path]]:
    """Every run folder below `results` that has a spec, sorted. Raises UserError for a file."""
    for folder in _folders(results):
        run = run_of(folder)
        if run is not None:
            yield run, folder


def find_misnamed(results: Path) -> list[Path]:
    """Folders that lie where runs do and have a spec, but are named as no run: seed01, seed²."""
    return [folder for folder in _folders(results) if run_of(folder) is None]


def _folders(results: Path) -> list[Path]:
    try:
        if results.exists() and not results.is_dir():
            raise UserError(f"{results} is a file: give a folder as --results-dir")
    except OSError as error:  # a name that is too long
        raise UserError(f"cannot read {results}: {error.strerror}") from error
    return [path.parent for path in sorted(results.glob("*/*/*/seed*/spec.json"))]


def is_done(folder: Path) -> bool:
    """Whether the record is complete: `result.json` is written last."""
    return (folder / "result.json").exists()


def read_labelled(folder: Path) -> tuple[RunId, Spec, RecordedRecipe]:
    """The run that a record's spec.json says it holds, its spec, and the recipe of that.

    Raises UserError when it is unreadable, or its hash is wrong.
    """
    path = folder / "spec.json"
    file = _read(SpecFile, path)
    if file.spec.hash != file.hash:
        raise UserError(f"{path}: its hash does not fit its spec; the record was changed")
    for label in (file.spec.dataset, file.arm, file.protocol):
        check_label(label)
    return file.run, file.spec, recorded_recipe(file.spec, path)


def read_spec(folder: Path) -> Spec:
    """The spec of a record. Raises UserError when it is unreadable or its hash is wrong."""
    return read_labelled(folder)[1]


def read_execution(folder: Path) -> Execution | None:
    """How a run in this folder is computed, if one has begun."""
    path = folder / "execution.json"
    return _read(Execution, path) if path.exists() else None


def read_record(
    run: RunId, folder: Path, told: tuple[RunId, Spec, RecordedRecipe] | None = None
) -> Record:
    """A finished record without its tables; `told`: what `read_labelled` has said of it.

    Raises UserError when any part is unreadable or they contradict each other.
    """
    execution = _read(Execution, folder / "execution.json")
    path = folder / "result.json"
    result = _read(Result, path)
    labelled, spec, recipe = told or read_labelled(folder)
    if labelled != run:
        raise UserError(f"{folder} holds the run {labelled}: a record lies where its labels say")
    if result.spec_hash != spec.hash:
        raise UserError(f"{path}: made from another spec than spec.json")
    for name in result.files:
        if not is_label(name):  # else a report would link to where it leads
            raise UserError(f"{path}: {ascii(name)[:80]} is no plain name of a file beside it")
    if result.iterations > recipe.iterations:
        raise UserError(
            f"{path}: {result.iterations} iterations, more than the recipe's {recipe.iterations}"
        )
    for name in ("best_test_iteration", "warmup_ended"):
        if (getattr(result, name) or 0) > result.iterations:
            raise UserError(
                f"{path}: {name} is {getattr(result, name)}, after the last of "
                f"{result.iterations} iterations"
            )
    return Record(run, folder, spec, recipe, execution, result)


def read_records(results: Path) -> list[Record]:
    """Every finished record below `results`, in the order of their folders."""
    return [read_record(run, folder) for run, folder in find_runs(results) if is_done(folder)]


def _read(kind: type[T], path: Path) -> T:
    value = read_json(path)
    schema = value.pop("schema", None)
    if schema != SCHEMA:
        raise UserError(f"{path}: schema {schema!r}, this version reads {SCHEMA}")
    return convert(value, kind, path)


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
    head, rows = _parse_rows(read_text(path), path, (columns, *others))
    return [dict(zip(head, row, strict=True)) for row in rows]


def read_numbers(path: Path, columns: Sequence[str], *others: Sequence[str]) -> Columns:
    """The columns of a CSV file by name: whole numbers in WHOLE, texts in `name`, else floats.

    Raises UserError as `read_table`, and naming what is no number.
    """
    return parse_numbers(read_text(path), path, columns, *others)


def parse_numbers(text: str, path: Path, columns: Sequence[str], *others: Sequence[str]) -> Columns:
    """The same of the text that `path` holds."""
    found: Columns = {}
    for name, texts in _parse_columns(text, path, (columns, *others)).items():
        kind = str if name == "name" else int if name in WHOLE else float
        try:
            found[name] = list(map(kind, texts))  # `nan` is what a diverged run measured
        except ValueError:
            bad = next(text for text in texts if not _is_one(kind, text))
            raise UserError(
                f"{path}: {name} is {bad!r}, not a number: restore or rerun it"
            ) from None
    return found


def _parse_columns(
    text: str, path: Path, forms: Sequence[Sequence[str]]
) -> dict[str, Sequence[str]]:
    """The cells of a CSV file by column."""
    lines = text.split("\n")
    if '"' not in text and "\r" not in text and lines.pop() == "" and "" not in lines:
        # As this suite writes them: in half the time that a reader of all CSV takes.
        head, commas = lines[0].split(",") if lines else [], lines[0].count(",") if lines else 0
        if tuple(head) in {tuple(form) for form in forms} and all(
            line.count(",") == commas for line in lines
        ):
            cells = ",".join(lines).split(",")
            return {name: cells[at + len(head) :: len(head)] for at, name in enumerate(head)}
    head, rows = _parse_rows(text, path, forms)
    return {name: [row[at] for row in rows] for at, name in enumerate(head)}


def _is_one(kind: Callable[[str], object], text: str) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True


def _parse_rows(
    text: str, path: Path, forms: Sequence[Sequence[str]]
) -> tuple[list[str], list[list[str]]]:
    """The head of a CSV file, one of the forms, and its rows, each as long."""
    try:
        head, *rows = [row for row in csv.reader(io.StringIO(text), strict=True) if row]
    except csv.Error as error:
        raise UserError(f"{path} is damaged ({error}): restore or rerun it") from error
    except ValueError:
        head, rows = [], []
    if tuple(head) not in {tuple(form) for form in forms}:
        told = " or ".join(", ".join(form) for form in forms)
        raise UserError(f"{path} has other columns than {told}")
    if any(len(row) != len(head) for row in rows):
        raise UserError(f"{path} has a row cut short: restore or rerun it")
    return head, rows


def write_spec(folder: Path, run: RunId, spec: Spec) -> None:
    write_json(folder / "spec.json", spec.to_json(run))


def write_execution(folder: Path, execution: Execution) -> None:
    write_json(folder / "execution.json", execution.to_json())


def write_result(folder: Path, result: Result) -> None:
    """Write `result.json`: after it the record counts as done."""
    write_json(folder / "result.json", result.to_json())


def file_digest(path: Path) -> str:
    """SHA-256 of a regular file, in hexadecimal. Raises UserError for anything else."""
    with open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
