"""The mirror in Weights & Biases: what it is sent, that it goes on, and that it is optional."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from resnet_repro.cli import main
from resnet_repro.data.dataset import Dataset
from resnet_repro.train.loggers import mirrored, run_id
from resnet_repro.train.loop import Stopped, Watch, train
from tests.conftest import REPO, environment
from tests.helpers.training_jobs import read_rows, smoke_job


class FakeRun:
    """Notes what a wandb run is told."""

    def __init__(self, **arguments: Any) -> None:
        self.arguments = arguments
        self.logged: list[dict[str, float]] = []
        self.summary: dict[str, Any] = {}
        self.exit_code: int | None = None
        self.config = SimpleNamespace(update=self._configure)
        self.configured = dict(arguments["config"])

    def _configure(self, values: dict[str, Any], allow_val_change: bool = False) -> None:
        assert allow_val_change  # wandb refuses a changed value of a resumed run otherwise
        self.configured.update(values)

    def define_metric(self, name: str, step_metric: str) -> None:
        assert (name, step_metric) == ("*", "iteration")

    def log(self, values: dict[str, float]) -> None:
        self.logged.append(values)

    def finish(self, exit_code: int) -> None:
        self.exit_code = exit_code


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[FakeRun]:
    started: list[FakeRun] = []

    def init(**arguments: Any) -> FakeRun:
        started.append(FakeRun(**arguments))
        return started[-1]

    fake = SimpleNamespace(
        init=init,
        Settings=lambda **settings: settings,
        errors=SimpleNamespace(Error=RuntimeError),
    )
    monkeypatch.setitem(sys.modules, "wandb", fake)
    return started


def test_a_resumed_run_continues_the_same_wandb_run(
    runs: list[FakeRun], tmp_path: Path, digits: Dataset
) -> None:
    job = smoke_job(tmp_path, digits, "resnet8-w4")
    steps: list[int] = []
    first = Watch(step=steps.append, stop=lambda: steps[-1] >= 6)
    with pytest.raises(Stopped), mirrored(first, job, "offline") as watch:
        train(job, digits, watch)
    with mirrored(Watch(), job, "offline") as watch:
        result = train(job, digits, watch)

    one, two = runs
    assert one.arguments["id"] == two.arguments["id"] == run_id(job)
    assert two.arguments["resume"] == "allow"
    assert (one.exit_code, two.exit_code) == (1, 0)
    assert one.configured["spec"]["network"] == "resnet8-w4"
    assert two.configured["execution"]["resumed_at"] == (6,)
    recorded = [
        {name: float(value) for name, value in row.items()}
        for row in read_rows(job.folder / "metrics.csv")
    ]
    assert one.logged + two.logged == recorded
    assert one.summary == {}
    assert two.summary["final/test_error"] == result.test_error


def test_other_runs_get_other_ids(tmp_path: Path, digits: Dataset) -> None:
    jobs = [smoke_job(tmp_path, digits, "resnet8-w4", lr=lr) for lr in (0.1, 0.2)]
    assert len({run_id(job) for job in jobs}) == 2


def test_without_wandb_asking_for_it_gets_one_line_and_all_else_works(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    words = ["run", "demo", "--arms", "resnet20-w8", "--protocol", "smoke", "--device", "cpu"]
    words += ["--results-dir", str(tmp_path / "results"), "--cache-dir", str(tmp_path / "cache")]
    assert main([*words, "--wandb", "offline"]) == 2
    assert capsys.readouterr().err == "error: --wandb needs the package wandb: pip install wandb\n"
    assert not (tmp_path / "results").exists()
    assert main(words) == 0


def test_wandb_is_not_imported_unless_asked_for(tmp_path: Path) -> None:
    code = (
        "import sys; from resnet_repro.cli import main; "
        f"main(['run', 'demo', '--dry-run', '--results-dir', {str(tmp_path)!r}]); "
        "sys.exit('wandb' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], env=environment(), cwd=REPO, check=True)


@pytest.mark.slow
def test_a_real_offline_run_is_written_below_the_cache(tmp_path: Path) -> None:
    if importlib.util.find_spec("wandb") is None:
        pytest.skip("wandb is not installed")
    words = ["run", "demo", "--arms", "resnet20-w8", "--protocol", "smoke", "--device", "cpu"]
    words += ["--results-dir", str(tmp_path / "results"), "--cache-dir", str(tmp_path / "cache")]
    done = subprocess.run(
        [sys.executable, "-m", "resnet_repro", *words, "--wandb", "offline"],
        cwd=tmp_path,
        env=environment(WANDB_SILENT="true"),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    (written,) = (tmp_path / "cache" / "wandb" / "wandb").glob("offline-run-*/run-*.wandb")
    content = written.read_bytes()
    for word in (b"train_error", b"final/test_error", b"resnet20-w8"):
        assert word in content
    assert not (tmp_path / "wandb").exists()
