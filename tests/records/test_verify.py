"""Records that were changed by hand: whatever is nonsense in one is named."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resnet_repro.errors import UserError
from resnet_repro.paths import RECORDED
from resnet_repro.records import store
from resnet_repro.records.files import write_json
from resnet_repro.records.schema import RunId
from resnet_repro.records.store import find_misnamed, find_runs, run_of
from resnet_repro.report.load.records import read_frames
from resnet_repro.sweep import status
from tests.helpers.records import Fake, write

RUN = RunId("cifar10", "plain20", "short", 0)  # of recipe version 1


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A copy of a recorded run."""
    results = tmp_path / "results"
    shutil.copytree(RUN.folder(RECORDED), RUN.folder(results))
    return results


def problems(results: Path) -> str:
    return "\n".join(item["problem"] for item in status.verify(results)["problems"])


def change(results: Path, name: str, **fields: object) -> None:
    path = RUN.folder(results) / name
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def change_last_row(results: Path, **cells: object) -> None:
    """Put values into the last row of metrics.csv, and its digest into result.json."""
    path = RUN.folder(results) / "metrics.csv"
    columns, *rows = [line.split(",") for line in path.read_text().splitlines()]
    for name, value in cells.items():
        rows[-1][columns.index(name)] = str(value)
    path.write_text("".join(",".join(line) + "\n" for line in [columns, *rows]))
    files = json.loads((RUN.folder(results) / "result.json").read_text())["files"]
    change(results, "result.json", files=files | {"metrics.csv": store.file_digest(path)})


def test_the_recorded_run_is_sound(results: Path) -> None:
    assert problems(results) == ""


RESULT: list[tuple[dict[str, Any], str]] = [
    ({"test_error": -50}, "Expected `float` >= 0.0 - at `$.test_error`"),
    ({"train_error": 1e308}, "Expected `float` <= 100.0 - at `$.train_error`"),
    ({"best_test_error": 100.5}, "Expected `float` <= 100.0 - at `$.best_test_error`"),
    ({"half_precision_test_error": -1}, "at `$.half_precision_test_error`"),
    ({"test_error_float32": 101}, "at `$.test_error_float32`"),
    ({"train_loss": -0.5}, "Expected `float` >= 0.0 - at `$.train_loss`"),
    ({"train_loss": True}, "Expected `float | null`, got `bool`"),
    ({"parameters": 0}, "Expected `int` >= 1 - at `$.parameters`"),
    ({"parameters": 2.5}, "Expected `int`, got `float`"),
    ({"parameters": 3}, "3 parameters, plain20 has 269722 on cifar10"),
    ({"iterations": -1}, "Expected `int` >= 1 - at `$.iterations`"),
    ({"iterations": 8001}, "8001 iterations, more than the recipe's 8000"),
    ({"iterations": 7999, "best_test_iteration": 250}, "ends at 8000, result.json at 7999"),
    ({"best_test_iteration": 12345}, "best_test_iteration is 12345, after the last of 8000"),
    ({"best_test_iteration": 250}, "no lowest test_error at best_test_iteration 250"),
    ({"best_test_iteration": None}, "no lowest test_error at best_test_iteration None"),
    ({"best_test_error": 14.0}, "its lowest test_error is not the best_test_error"),
    ({"warmup_ended": 8001}, "warmup_ended is 8001, after the last of 8000"),
    ({"test_error": 14.0}, "its last test_error is not the one in result.json"),
    ({"train_loss": None}, "its last train_loss is not the one in result.json"),
    ({"status": "fine"}, "Invalid enum value 'fine' - at `$.status`"),
    ({"schema": 2}, "schema 2, this version reads 1"),
    ({"files": {"metrics.csv": 1}}, "Expected `str`, got `int`"),
    ({"files": {"a" * 300: ""}}, "named in result.json and not there"),
    ({"files": {"nul\0": ""}}, "is no plain name of a file"),
    ({"files": {"../execution.json": ""}}, "is no plain name of a file"),
    ({"files": {"//evil.example": ""}}, "is no plain name of a file"),
    ({"files": {"javascript:x": ""}}, "is no plain name of a file"),
    ({"note": 1}, "unknown field `note`"),
    ({"test_error": 10**400}, "more than 64 bits"),
]


@pytest.mark.parametrize(("fields", "says"), RESULT, ids=lambda value: str(value)[:60])
def test_a_forged_result_is_named(results: Path, fields: dict[str, Any], says: str) -> None:
    change(results, "result.json", **fields)
    assert says in problems(results)


EXECUTION: list[tuple[dict[str, Any], str]] = [
    ({"threads": -1}, "Expected `int` >= 0 - at `$.threads`"),
    ({"world_size": 0}, "Expected `int` >= 1 - at `$.world_size`"),
    ({"parts": 0}, "Expected `int` >= 1 - at `$.parts`"),
    ({"resumed_at": [-1]}, "at `$.resumed_at[0]`"),
    ({"versions": ["torch"]}, "Expected `object`, got `array`"),
    ({"device": "\ud800"}, "half of a surrogate pair"),
    ({"dirty": "no"}, "Expected `bool`, got `str`"),
]


@pytest.mark.parametrize(("fields", "says"), EXECUTION, ids=lambda value: str(value)[:60])
def test_a_forged_execution_is_named(results: Path, fields: dict[str, Any], says: str) -> None:
    change(results, "execution.json", **fields)
    assert says in problems(results)


def forge_spec(results: Path, **fields: object) -> None:
    """Change a spec and make every hash fit."""
    path = RUN.folder(results) / "spec.json"
    value = json.loads(path.read_text())
    recipe = value["spec"]["recipe"] | fields.pop("recipe", {})
    value["spec"] |= {"recipe": recipe, **fields}
    text = json.dumps(value["spec"], sort_keys=True, separators=(",", ":"))
    value["hash"] = hashlib.sha256(text.encode()).hexdigest()
    path.write_text(json.dumps(value))
    change(results, "result.json", spec_hash=value["hash"])


SPEC: list[tuple[dict[str, Any], str]] = [
    ({"seed": -1}, "Expected `int` >= 0 - at `$.spec.seed`"),
    ({"seed": 3}, "holds the run cifar10/plain20/short/seed3"),
    ({"recipe_version": 0}, "Expected `int` >= 1 - at `$.spec.recipe_version`"),
    ({"network": 20}, "Expected `str`, got `int` - at `$.spec.network`"),
    ({"more": 1}, "unknown field `more` - at `$.spec`"),
    ({"recipe": {"iterations": 0}}, "Expected `int` >= 1 - at `$.iterations`"),
    ({"recipe": {"iterations": 9_000}}, "ends at 8000, the recipe at 9000"),
    ({"recipe": {"batch_size": "many"}}, "Expected `int`, got `str` - at `$.batch_size`"),
    ({"recipe": {"mean": "median"}}, "Invalid enum value 'median' - at `$.mean`"),
    ({"recipe": {"bn_images": -1}}, "Expected `int` >= 0 - at `$.bn_images`"),
    ({"network": "plain32"}, "269722 parameters, plain32 has 464154 on cifar10"),
    ({"dataset_digest": "0" * 64}, "trained on another copy of cifar10"),
]


@pytest.mark.parametrize(("fields", "says"), SPEC, ids=lambda value: str(value)[:60])
def test_a_forged_spec_is_named(results: Path, fields: dict[str, Any], says: str) -> None:
    forge_spec(results, **fields)
    assert says in problems(results)


def test_a_whole_forgery_is_named_and_not_reported(results: Path) -> None:
    forged = {"test_error": -50.0, "train_error": 1e308}
    change_last_row(results, **forged)
    more = {"best_test_error": -50.0, "parameters": 3, "best_test_iteration": 12345}
    change(results, "result.json", **forged, **more)
    assert "result.json: Expected `float` >= 0.0" in problems(results)
    with pytest.raises(UserError, match=r"result\.json"):
        read_frames([results])


ROWS: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"test_error": 14.0}, {}, "its last test_error is not the one"),
    ({"train_loss": -1}, {"train_loss": 1}, "train_loss is -1 at iteration 8000"),
    ({"train_error": 101}, {"train_error": 1}, "train_error is 101 at iteration 8000"),
    (
        {"iteration": 7999},
        {"iterations": 7999, "best_test_iteration": 7999},
        "ends at 7999, the recipe at 8000",
    ),
]


@pytest.mark.parametrize(("cells", "fields", "says"), ROWS, ids=lambda value: str(value)[:60])
def test_forged_rows_are_named_and_not_reported(
    results: Path, cells: dict[str, Any], fields: dict[str, Any], says: str
) -> None:
    change_last_row(results, **cells)
    change(results, "result.json", **fields)
    assert says in problems(results)
    with pytest.raises(UserError, match=r"metrics\.csv"):
        read_frames([results])


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"parameters": 3}, "plain20 has 269722"),
        ({"best_test_iteration": 250}, "no lowest test_error"),
    ],
)
def test_what_contradicts_itself_is_not_reported(
    results: Path, fields: dict[str, Any], says: str
) -> None:
    change(results, "result.json", **fields)
    with pytest.raises(UserError, match=says):
        read_frames([results])


def test_a_key_that_stands_twice_is_named(results: Path) -> None:
    path = RUN.folder(results) / "result.json"
    path.write_text(path.read_text().replace("{", '{"test_error": 6.43, ', 1))
    assert "the key 'test_error' stands twice" in problems(results)


def test_committed_records_are_written_as_they_lie(tmp_path: Path) -> None:
    """Of either version of the recipe: fields that came later aside, nothing is changed."""
    for run, folder in find_runs(RECORDED):
        record = store.read_record(run, folder)
        store.write_spec(tmp_path, run, record.spec)
        assert (tmp_path / "spec.json").read_bytes() == (folder / "spec.json").read_bytes()
        for part in (record.execution, record.result):
            name = f"{type(part).__name__.lower()}.json"
            write_json(tmp_path / name, part.to_json())
            told, written = ((place / name).read_text() for place in (folder, tmp_path))
            lines = [line.rstrip(",") for line in written.splitlines()]
            assert [x for x in lines if x in {y.rstrip(",") for y in told.splitlines()}] == [
                line.rstrip(",") for line in told.splitlines()
            ]


# Names


NAMES: list[tuple[str, bool]] = [
    ("cifar10/plain20/short/seed0", True),
    ("cifar10/plain20/short/seed10", True),
    ("cifar10/plain20/paper+bn_batch=128/seed1", True),
    ("cifar10/plain20/short/seed²", False),
    ("cifar10/plain20/short/seed٣", False),
    ("cifar10/plain20/short/seed01", False),
    ("cifar10/plain20/short/seed-1", False),
    ("cifar10/plain20/short/seed0\n", False),
    ("cifar10/plain20/short/seed", False),
    ("cifar10/plain20/short/seed" + "9" * 200, False),
    ("cifar10/plain\x1b[31m/short/seed0", False),
    ("cifar10/plain 20/short/seed0", False),
]


@pytest.mark.parametrize(("name", "right"), NAMES, ids=ascii)
def test_a_folder_is_a_run_or_is_named(tmp_path: Path, name: str, right: bool) -> None:
    write(tmp_path, Fake("resnet20", protocol="short"))
    source = RunId("cifar10", "resnet20", "short", 0).folder(tmp_path)
    folder = tmp_path / name
    shutil.copytree(source, folder)
    assert (run_of(folder) is not None) == right
    assert (folder in [place for _, place in find_runs(tmp_path)]) == right
    assert find_misnamed(tmp_path) == ([] if right else [folder])
    if not right:
        assert f"{folder}: named as no run" in problems(tmp_path)
        assert len(status.status(tmp_path)["runs"]) == 1
        assert len(read_frames([tmp_path]).runs) == 1


FILES = ["spec.json", "execution.json", "result.json", "metrics.csv", "weights.safetensors"]
INSTEAD: dict[str, Callable[[Path], object]] = {
    "folder": lambda path: path.mkdir(),
    "fifo": lambda path: os.mkfifo(path),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", INSTEAD)
@pytest.mark.timeout(60)
def test_what_is_no_file_is_named(results: Path, name: str, kind: str) -> None:
    path = RUN.folder(results) / name
    path.unlink()
    INSTEAD[kind](path)
    assert name in problems(results)
