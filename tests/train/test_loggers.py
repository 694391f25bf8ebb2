"""The mirrors in trackers: what they are sent, that they go on, and that they are optional."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from resnet_repro.cli import main
from resnet_repro.data.dataset import Dataset
from resnet_repro.train.job import Job
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
        self.dir = str(Path(arguments["dir"]) / "offline-run-1" / "files")

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
    said: list[str] = []
    first = Watch(step=steps.append, stop=lambda: steps[-1] >= 6, say=said.append)
    with pytest.raises(Stopped), mirrored(first, job, ("wandb",)) as watch:
        train(job, digits, watch)
    with mirrored(Watch(say=said.append), job, ("wandb",)) as watch:
        result = train(job, digits, watch)

    folder = tmp_path / "cache" / "wandb" / "offline-run-1"
    assert [text for text in said if "upload" in text] == [
        f"{job.run}: wandb in {folder}; upload it with: wandb sync {more}{folder}"
        for more in ("", "--append ")
    ]
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


@pytest.mark.parametrize(
    ("name", "module"),
    [("wandb", "wandb"), ("trackio", "trackio"), ("tensorboard", "torch.utils.tensorboard")],
)
def test_without_a_tracker_asking_for_it_gets_one_line_and_all_else_works(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    name: str,
    module: str,
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    words = ["run", "demo", "--arms", "resnet20-w8", "--protocol", "smoke", "--device", "cpu"]
    words += ["--results-dir", str(tmp_path / "results"), "--cache-dir", str(tmp_path / "cache")]
    assert main([*words, "--track", name]) == 2
    assert capsys.readouterr().err == (
        f"error: the tracker {name} needs the package {name}: pip install {name}\n"
    )
    assert not (tmp_path / "results").exists()


def test_a_tracker_there_is_not_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "demo", "--track", "mlflow", "--device", "cpu"]) == 2
    assert "wandb, wandb-online, tensorboard, trackio" in capsys.readouterr().err


def in_two_sittings(tmp_path: Path, digits: Dataset, name: str) -> tuple[Job, list[str]]:
    """A run that was stopped and resumed, and what was said of where it is mirrored."""
    job = smoke_job(tmp_path, digits, "resnet8-w4", row_every=3)
    steps: list[int] = []
    said: list[str] = []
    first = Watch(step=steps.append, stop=lambda: steps[-1] >= 7, say=said.append)
    with pytest.raises(Stopped), mirrored(first, job, (name,)) as watch:
        train(job, digits, watch)
    with mirrored(Watch(say=said.append), job, (name,)) as watch:
        train(job, digits, watch)
    return job, [text for text in said if f": {name} " in text]


def test_a_resumed_run_goes_on_in_the_same_tensorboard_run(tmp_path: Path, digits: Dataset) -> None:
    if importlib.util.find_spec("tensorboard") is None:
        pytest.skip("tensorboard is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the packages that it imports
        job, said = in_two_sittings(tmp_path, digits, "tensorboard")
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        folder = tmp_path / "cache" / "tensorboard"
        assert [path.name for path in folder.iterdir()] == [run_id(job)]
        events = EventAccumulator(str(folder / run_id(job))).Reload()
    assert f"tensorboard --logdir {folder}" in said[0]
    rows = read_rows(job.folder / "metrics.csv")
    found = {point.step: point.value for point in events.Scalars("test_error")}
    assert found == pytest.approx({int(r["iteration"]): float(r["test_error"]) for r in rows})
    assert events.Scalars("final/test_error")


TRACKIO = """
import json, sys
from pathlib import Path
from resnet_repro.data import load
from tests.train.test_loggers import in_two_sittings
job, said = in_two_sittings(Path(sys.argv[1]), load("digits"), "trackio")
import trackio
run = trackio.Api().runs("resnet-repro")
print(json.dumps({"runs": [r.name for r in run], "said": said}))
"""


@pytest.mark.slow
def test_a_resumed_run_goes_on_in_the_same_trackio_run(tmp_path: Path, digits: Dataset) -> None:
    if importlib.util.find_spec("trackio") is None:
        pytest.skip("trackio is not installed: it wants another Pillow than is pinned")
    done = subprocess.run(
        [sys.executable, "-c", TRACKIO, str(tmp_path)],
        cwd=REPO,
        env=environment(TRACKIO_DIR=str(tmp_path / "trackio")),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["runs"] == [run_id(smoke_job(tmp_path, digits, "resnet8-w4", row_every=3))]
    assert all("trackio sync --project resnet-repro" in text for text in found["said"])


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
        [sys.executable, "-m", "resnet_repro", *words, "--track", "wandb"],
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
