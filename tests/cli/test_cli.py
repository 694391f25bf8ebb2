"""The command as a user meets it: plans, JSON, and bad input in one line with status 2."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from resnet_repro import __version__
from resnet_repro.cli import main
from resnet_repro.errors import UserError
from resnet_repro.paper import artifacts
from resnet_repro.records import store
from resnet_repro.sweep import plan as runner
from resnet_repro.train.recipe import RECIPE_VERSION
from tests.conftest import REPO, environment


def fails(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line the command prints for bad input."""
    capsys.readouterr()
    assert main(list(words)) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert "Traceback" not in error
    return error


@pytest.fixture
def here(tmp_path: Path) -> list[str]:
    return ["--results-dir", str(tmp_path / "results")]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["run", "table99"], "unknown artifact 'table99': did you mean table6? give one of"),
        (["run", "fig1", "--arms", "resnet20"], "fig1 has no arm 'resnet20': give one of plain20"),
        (
            ["run", "fig1", "--protocol", "fast"],
            "unknown protocol 'fast' for plain20: give one of paper",
        ),
        (["run", "fig1", "--seeds=-1"], "--seeds '-1': give whole numbers"),
        (["run", "fig1", "--seeds", "one"], "give whole numbers"),
        (["run", "fig1", "--iterations", "0"], "give at least 1"),
        (["run", "fig1", "--iterations", "many"], "--iterations"),
        (["run", "fig1", "--device", "tpu"], "'auto', 'cpu', 'cuda', 'mps'"),
        (["run", "fig1", "--device", "cpu", "--precision", "tf32"], "tf32 exists on CUDA only"),
        (["run", "fig1", "--set", "flip"], "give KEY=VALUE"),
        (["run", "fig1", "--set", "colour=blue"], "unknown switch 'colour': give one of"),
        (["run", "fig1", "--set", "lr=-1"], "give a positive number"),
        (["run", "fig1", "--jobs", "0"], "--jobs"),
        (["run", "fig1", "--json"], "--dry-run"),
        (["run"], "Missing argument"),
        (["describe", "resnet21"], "6n+2 layers; near 21 there are resnet20 and resnet26"),
        (["describe", "resnet18"], "resnet18-A"),
        (["describe", "alexnet"], "unknown network 'alexnet'"),
        (["describe", "plain20-B"], "a plain net has no shortcut"),
        (["compare", "table99"], "unknown artifact"),
        (["report", "table99"], "unknown artifact"),
        (["data", "mnist"], "unknown data set 'mnist'"),
        (["data", "digits", "--download"], "needs no download"),
        (["frobnicate"], "No such command"),
    ],
)
def test_bad_input_gets_one_line_that_says_what_would_be_right(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert says in fails(capsys, *words)


def test_no_cuda_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is CUDA here")
    error = fails(capsys, "run", "fig1", "--device", "cuda")
    assert "no CUDA device here: give --device cpu or auto" in error


def test_missing_data_names_the_three_ways_to_get_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, here: list[str]
) -> None:
    words = ["run", "fig1", "--data-root", str(tmp_path), "--protocol", "smoke", *here]
    error = fails(capsys, *words, "--cache-dir", str(tmp_path / "cache"))
    assert "--download" in error
    assert "Parquet" in error
    assert "images per class" in error


def test_a_results_folder_that_is_a_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "results").write_text("mine")
    for words in (["run", "demo"], ["status"], ["verify"], ["compare", "demo"]):
        error = fails(capsys, *words, "--results-dir", str(tmp_path / "results"))
        assert "is a file: give a folder" in error
    assert (tmp_path / "results").read_text() == "mine"


def read_json(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def kinds(value: Any) -> Any:
    """The shape of a JSON value: names and types, lists by their first item."""
    if isinstance(value, dict):
        return {name: kinds(item) for name, item in value.items()}
    if isinstance(value, list):
        return [kinds(value[0])] if value else []
    return type(value).__name__


def test_schema_of_list(capsys: pytest.CaptureFixture[str], here: list[str]) -> None:
    found = read_json(capsys, "list", *here)
    assert [item["name"] for item in found["artifacts"]] == artifacts.names()
    for item in found["artifacts"]:
        assert isinstance(item.pop("recorded"), dict)
        assert kinds(item) == {
            "name": "str",
            "title": "str",
            "section": "str",
            "says": "str",
            "protocol": "str",
            "arms": [{"name": "str", "network": "str", "dataset": "str"}],
        }


def test_schema_of_the_dry_run_and_nothing_is_written(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, here: list[str]
) -> None:
    found = read_json(capsys, "run", "table6", "--seeds", "0,1", "--dry-run", *here)
    assert set(found) == {"runs", "seconds"}
    assert len(found["runs"]) == 2 * len(artifacts.load("table6").artifact.arms)
    # One seed of everything before the second of anything.
    assert [run["seed"] for run in found["runs"][:6]] == [0] * 6
    run = found["runs"][0]
    assert (run["iterations"], run["protocol"], run["state"]) == (64_000, "paper", "missing")
    assert set(run) == {
        *("dataset", "arm", "protocol", "seed", "network", "state"),
        *("iteration", "iterations", "seconds", "detail"),
    }
    assert not (tmp_path / "results").exists()


def test_schema_of_describe(capsys: pytest.CaptureFixture[str]) -> None:
    found = read_json(capsys, "describe", "resnet20")
    assert found["parameters"] == 269_722
    assert found["depth"] == 20
    assert set(found) == {"name", "input", "depth", "parameters", "multiply_adds", "stages"}
    assert sum(stage["parameters"] for stage in found["stages"]) == 269_722
    assert sum(stage["multiply_adds"] for stage in found["stages"]) == found["multiply_adds"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with one arm of the demo run under `smoke`."""
    folder = tmp_path_factory.mktemp("finished")
    words = ["run", "demo", "--arms", "resnet20-w8", "--protocol", "smoke", "--device", "cpu"]
    words += ["--results-dir", str(folder / "results"), "--cache-dir", str(folder / "cache")]
    assert main(words) == 0
    return folder / "results"


def test_schema_of_status(capsys: pytest.CaptureFixture[str], finished: Path) -> None:
    (run,) = read_json(capsys, "status", "--results-dir", str(finished))["runs"]
    assert kinds(run) == {
        "dataset": "str",
        "arm": "str",
        "protocol": "str",
        "seed": "int",
        "state": "str",
        "iteration": "int",
        "iterations": "int",
        "test_error": "float",
        "detail": "str",
    }
    assert (run["state"], run["iteration"]) == ("done", 12)


def test_schema_of_verify(capsys: pytest.CaptureFixture[str], finished: Path) -> None:
    found = read_json(capsys, "verify", "--results-dir", str(finished))
    assert found == {"records": 1, "problems": []}


def test_schema_of_compare(capsys: pytest.CaptureFixture[str], finished: Path) -> None:
    found = read_json(capsys, "compare", "demo", "--results-dir", str(finished))
    assert set(found) == {"artifact", "rows", "joint", "agreement"}
    assert found["joint"] == {"suite": None, "yours": None}  # nothing published is judged
    assert found["artifact"] == "demo"
    mine = [row for row in found["rows"] if row["arm"] == "resnet20-w8"]
    assert len({tuple(row) for row in found["rows"]}) == 1  # every row has the same fields
    assert any(row["yours"] is not None for row in mine)


def test_a_finished_run_is_skipped_and_the_plan_knows_its_pace(
    capsys: pytest.CaptureFixture[str], finished: Path, tmp_path: Path
) -> None:
    words = ["run", "demo", "--protocol", "smoke", "--results-dir", str(finished)]
    plan = read_json(capsys, *words, "--device", "cpu", "--dry-run")
    states = {run["arm"]: run["state"] for run in plan["runs"]}
    assert states["resnet20-w8"] == "done"
    assert states["plain56-w8"] == "missing"
    seconds = {run["arm"]: run["seconds"] for run in plan["runs"]}
    assert seconds["resnet20-w8"] == 0
    assert 2 < seconds["plain56-w8"] / seconds["plain20-w8"] < 4  # by depth
    # Tests count: 12 steps of 32 images, and at each of 3 rows 360 test images seen twice and 64
    # that BN's statistics are averaged over; a forward pass is a third of a step.
    moving = read_json(
        capsys, *words, "--device", "cpu", "--dry-run", "--set", "bn_statistics=moving"
    )
    [less] = [run["seconds"] for run in moving["runs"] if run["arm"] == "plain20-w8"]
    expected = (12 * 32 + 3 * (2 * 360 + 64) / 3) / (12 * 32 + 3 * 360 / 3)
    assert seconds["plain20-w8"] / less == pytest.approx(expected, rel=0.05)
    record = finished / "digits" / "resnet20-w8" / "smoke" / "seed0" / "result.json"
    before = record.stat().st_mtime_ns
    words += ["--arms", "resnet20-w8", "--cache-dir", str(tmp_path)]
    assert main(words) == 0
    assert "1 kept" in capsys.readouterr().out
    assert record.stat().st_mtime_ns == before


def test_another_recipe_under_the_same_name_is_refused(
    capsys: pytest.CaptureFixture[str], finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "RECIPE_VERSION", RECIPE_VERSION + 1)
    words = ["run", "demo", "--protocol", "smoke", "--arms", "resnet20-w8"]
    error = fails(capsys, *words, "--results-dir", str(finished))
    assert "holds a run of another spec" in error
    assert "give another --results-dir" in error


def test_changed_switches_are_filed_under_their_own_name(finished: Path) -> None:
    artifact = artifacts.load("demo").artifact
    request = runner.Request(
        artifact, protocol="smoke", changes=(("bn_batch", "16"),), results=finished
    )
    (first, *_) = runner.plan(request, "cpu")
    assert first.run.protocol == "smoke+bn_batch=16"
    assert first.recipe.bn_batch == 16
    assert "--set bn_batch=16" in runner.rerun_command(request, first)


def test_the_rerun_command_names_the_run_and_no_folder(finished: Path) -> None:
    record = store.read_records(finished)[0]
    assert record.execution.command == (
        "python -m resnet_repro run demo --arms resnet20-w8 --seeds 0 --protocol smoke"
    )


@pytest.mark.parametrize("script", artifacts.names())
def test_scripts_do_what_the_command_does(
    script: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--dry-run", "--json", "--device", "cpu", "--results-dir", str(tmp_path)]
    path = str(REPO / "experiments" / f"{script}.py")
    monkeypatch.setattr(sys, "argv", [path, *words])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(path, run_name="__main__")
    as_script = capsys.readouterr()
    counted = artifacts.load(script).artifact.counted
    assert ended.value.code == main(["run", script, *words]) == (2 if counted else 0)
    assert capsys.readouterr() == as_script


def test_a_script_runs_from_a_shell(tmp_path: Path) -> None:
    words = ["--dry-run", "--json", "--device", "cpu", "--results-dir", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "experiments/fig1.py", *words],
        cwd=REPO,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert [run["network"] for run in json.loads(done.stdout)["runs"]] == ["plain20", "plain56"]


def test_an_experiment_script_imports_no_torch(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('no torch here')")
    code = (
        "from resnet_repro.paper import artifacts; [artifacts.load(n) for n in artifacts.names()]"
    )
    path = os.pathsep.join([str(tmp_path), str(REPO)])
    subprocess.run(
        [sys.executable, "-c", code], env=environment(PYTHONPATH=path), check=True, cwd=tmp_path
    )


@pytest.mark.slow
def test_jobs_side_by_side_give_the_records_of_jobs_in_turn(tmp_path: Path) -> None:
    """Two processes with a thread each equal one process with one thread."""
    words = ["run", "demo", "--arms", "plain20-w8,resnet20-w8", "--protocol", "smoke"]
    # What `auto` takes is found by a trial in each process.
    words += ["--device", "cpu", "--precision", "fp32", "--cache-dir", str(tmp_path / "cache")]
    for jobs in ("2", "1"):
        threads = jobs  # one each
        out = subprocess.run(
            [sys.executable, "-m", "resnet_repro", *words]
            + ["--jobs", jobs, "--results-dir", str(tmp_path / jobs)],
            cwd=REPO,
            env=environment(OMP_NUM_THREADS=threads),
            capture_output=True,
            text=True,
            check=False,
        )
        assert out.returncode == 0, out.stderr
    for arm in ("plain20-w8", "resnet20-w8"):
        for name in ("metrics.csv", "weights.safetensors"):
            one, two = (
                (tmp_path / jobs / "digits" / arm / "smoke" / "seed0" / name).read_bytes()
                for jobs in ("1", "2")
            )
            assert one == two


def test_labels_that_would_leave_the_results_folder_are_refused(tmp_path: Path) -> None:
    artifact = artifacts.load("demo").artifact
    for value in ("../..", "a/b", " "):
        request = runner.Request(artifact, changes=(("mean", value),), results=tmp_path)
        with pytest.raises(UserError):
            runner.plan(request, "cpu")


def test_verify_of_nothing_is_an_error(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "holds no finished record" in fails(capsys, "verify", "--results-dir", str(tmp_path))


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"resnet-repro {__version__}\n"
