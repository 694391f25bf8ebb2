"""A run whose every file operation, one after another, fails or is the last before a kill.

Training is a stand-in that counts; what writes, reads, resumes and clears is the real thing. How
many operations there are is counted first, so that a new one is tried without anybody adding it.
"""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from resnet_repro.data.dataset import Dataset
from resnet_repro.errors import UserError
from resnet_repro.records import files, provenance
from resnet_repro.runtime.distributed import SINGLE_PROCESS
from resnet_repro.train import checkpoint, loop, recorder, trainer
from resnet_repro.train.job import Job
from resnet_repro.train.loop import Watch, train
from tests.helpers.file_operations import FAULTS, Fault, Killed, Operations, watched
from tests.helpers.training_jobs import smoke_job

SAME = ("spec.json", "metrics.csv", "gradients.csv", "layers.csv", "weights.safetensors")


class Counting:
    """In the place of a trainer: its weights and its figures tell every step that was made."""

    def __init__(self, *_: object) -> None:
        self.model = nn.Linear(3, 2)
        with torch.no_grad():
            for parameter in self.model.parameters():
                parameter.zero_()
        self.loss = torch.zeros((), dtype=torch.float64)
        self.source = SimpleNamespace(close=lambda: None)
        self.world = SINGLE_PROCESS
        self.warmup_ended = None

    @torch.no_grad()
    def step(self, iteration: int) -> None:
        for parameter in self.model.parameters():
            parameter.mul_(0.5).add_(iteration + 1)
        self.loss += self.model.bias.sum()

    def pop_train_metrics(self, steps: int) -> tuple[float, float]:
        loss = self.loss.item() / steps
        self.loss.zero_()
        return loss, loss % 100

    def test(self) -> trainer.Tested:
        error = self.model.weight.detach().sum().item() % 100
        return trainer.Tested(error, error, error)

    def test_in_float32(self) -> float:
        return self.test().error

    def state(self) -> tuple[dict[str, Tensor], dict[str, object]]:
        return {**self.model.state_dict(), "loss": self.loss}, {}

    @torch.no_grad()
    def load(self, tensors: dict[str, Tensor], _: object) -> None:
        for name, tensor in self.state()[0].items():
            tensor.copy_(tensors[name])

    def weight_norms(self) -> dict[str, float]:
        return {"fc": self.model.weight.detach().norm().item()}

    gradient_norms = weight_norms

    def rate(self, _: int) -> float:
        return 0.1

    def wait(self) -> None:
        pass

    adopt_averages = wait


@pytest.fixture(autouse=True)
def _counted_not_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESNET_REPRO_COMMIT", "0" * 40)
    monkeypatch.setattr(loop, "Trainer", Counting)
    monkeypatch.setattr(recorder, "layer_responses", lambda *_: [("conv1", 1.5)])
    monkeypatch.setattr(provenance, "versions", lambda: {"torch": "0"})


def run(job: Job, data: Dataset) -> list[str]:
    """Train to the end; what was said."""
    said: list[str] = []
    train(job, data, Watch(say=said.append))
    return said


def small(folder: Path, data: Dataset) -> Job:
    job = smoke_job(folder, data, "resnet20-w8", iterations=3, drops=(), row_every=3)
    object.__setattr__(job, "checkpoint_seconds", 0.0)  # after every step
    return job


@pytest.fixture
def undisturbed(tmp_path: Path, digits: Dataset) -> tuple[Path, Operations]:
    """The record of a run that nothing happened to, and its operations."""
    root = tmp_path / "undisturbed"
    root.mkdir()
    job = small(root, digits)
    with watched(Operations(root)) as operations:
        run(job, digits)
    return job.folder, operations


def bury(root: Path) -> None:
    """Make the leases those of a process that is gone; this one only acted its death."""
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        pass
    for path in root.rglob(".lock"):
        text = re.sub(r"^pid=\d+$", f"pid={gone.pid}", path.read_text(), flags=re.MULTILINE)
        path.write_text(text)
        os.utime(path, (1, 1))


def assert_old_or_new(job: Job) -> None:
    """What lies there under a final name is whole."""
    said: list[str] = []
    checkpoint.load_newest(said.append, *job.checkpoint_folders)
    assert said == []
    for path in job.folder.glob("*.json"):
        json.loads(path.read_text())
    for path in job.folder.glob("*.csv"):
        assert path.read_text().endswith("\n")


def assert_as_undisturbed(job: Job, record: Path) -> None:
    """The record is the other's, and nothing else lies there."""
    for name in SAME:
        assert (job.folder / name).read_bytes() == (record / name).read_bytes(), name
    ours, theirs = (json.loads((f / "result.json").read_text()) for f in (job.folder, record))
    assert {**ours, "files": 0} == {**theirs, "files": 0}
    assert sorted(p.name for p in job.folder.iterdir()) == sorted(p.name for p in record.iterdir())
    assert list(job.checkpoints.iterdir()) == []


@pytest.mark.parametrize(
    "fault",
    [pytest.param(f, marks=pytest.mark.slow if f.startswith("E") else ()) for f in FAULTS],
)
def test_after_a_fault_at_any_operation_the_run_goes_on_and_ends_bit_identical(
    tmp_path: Path, digits: Dataset, undisturbed: tuple[Path, Operations], fault: Fault
) -> None:
    record, counted = undisturbed
    kinds = {operation for operation, _ in counted.done}
    assert kinds >= {"mkdir", "open", "write", "fsync", "replace", "unlink"}
    tried = [at for at, (kind, _) in enumerate(counted.done) if fault != "half" or kind == "write"]
    failed = 0
    for at in tried:
        root = tmp_path / str(at)
        root.mkdir()
        job = small(root, digits)
        operations = Operations(root, fault, at)
        with watched(operations):
            try:
                run(job, digits)
            except Killed:
                pass
            except UserError as error:
                failed += 1
                assert "\n" not in str(error)  # noqa: PT017
                assert fault not in ("kill", "half")
                if fault != "EROFS":
                    assert list(root.rglob("*.tmp")) == [], counted.done[at]
        if fault in ("kill", "half", "EROFS"):  # on such a disk a lease cannot be given up
            bury(root)
        assert operations.halved == (fault == "half")
        assert_old_or_new(job)
        run(job, digits)
        assert_as_undisturbed(job, record)
    assert failed > 0 or fault in ("kill", "half")


def test_what_is_renamed_is_synced_before_and_its_folder_after(
    undisturbed: tuple[Path, Operations],
) -> None:
    """Else a power cut could leave an empty file, or undo what was done."""
    done = undisturbed[1].done
    renamed = [at for at, (operation, _) in enumerate(done) if operation in ("rename", "replace")]
    assert len(renamed) > 10
    for at in renamed:
        folder, name = str(Path(done[at][1]).parent), Path(done[at][1]).name
        synced, where = done[at - 1]
        assert (synced, str(Path(where).parent)) == ("fsync", folder)
        assert Path(where).name.startswith(f".{name}.")
        assert done[at + 1] == ("fsync", folder)


@pytest.mark.parametrize("error", ["EINVAL", "ENOSYS", "ENOTSUP"])
def test_a_file_system_that_syncs_nothing_can_be_recorded_on(
    tmp_path: Path, digits: Dataset, monkeypatch: pytest.MonkeyPatch, error: str
) -> None:
    def fsync(handle: int) -> None:
        raise OSError(getattr(errno, error), error)

    monkeypatch.setattr(os, "fsync", fsync)
    job = small(tmp_path, digits)
    run(job, digits)
    assert (job.folder / "result.json").exists()


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_modes_are_the_umasks_business(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, umask: int
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    for name in ("chmod", "fchmod"):
        monkeypatch.setattr(os, name, refuse)
    before = os.umask(umask)
    try:
        files.write_atomic(tmp_path / "a", b"content")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o666 & ~umask
