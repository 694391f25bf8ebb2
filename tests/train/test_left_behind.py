"""What killed processes leave: found, named, and cleared by whoever meets it next."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from resnet_repro.cli import main
from resnet_repro.data.dataset import Dataset
from resnet_repro.records import files
from resnet_repro.records.files import write_atomic
from resnet_repro.records.lease import Busy, held
from resnet_repro.train import checkpoint
from resnet_repro.train.loop import Stopped, Watch, clear_finished, train
from tests.helpers.training_jobs import smoke_job

ARM = "resnet20-w8"


def begun(folder: Path, digits: Dataset) -> list[Path]:
    """Begin a run and stop it; its checkpoints."""
    job = smoke_job(folder, digits, ARM)
    with pytest.raises(Stopped):
        train(job, digits, Watch(stop=lambda: True))
    return list(job.checkpoints.glob("*.checkpoint"))


def test_what_a_kill_after_the_last_file_left_is_cleared_when_the_run_is_kept(
    tmp_path: Path, digits: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    job = smoke_job(tmp_path, digits, ARM)
    begun(tmp_path, digits)
    kept = tmp_path / "kept"
    shutil.copytree(job.checkpoints, kept)
    train(job, digits, Watch())
    shutil.copytree(kept, job.checkpoints, dirs_exist_ok=True)
    for folder in (job.folder, job.checkpoints):
        (folder / ".lock").write_text("")
        os.utime(folder / ".lock", (1, 1))
        (folder / ".result.json.0.tmp").write_text("{")
    words = ["run", "demo", "--arms", ARM, "--protocol", "smoke", "--device", "cpu"]
    words += ["--results-dir", str(job.results), "--cache-dir", str(job.cache)]
    assert main(words) == 0
    assert "1 kept" in capsys.readouterr().out
    assert list(job.checkpoints.iterdir()) == []
    assert [path for path in job.folder.iterdir() if path.name.startswith(".")] == []


def test_what_another_process_holds_is_left_to_it(tmp_path: Path, digits: Dataset) -> None:
    job = smoke_job(tmp_path, digits, ARM)
    (path,) = begun(tmp_path, digits)
    with held(job.folder, print):
        clear_finished(job.folder, job.checkpoint_folders)
    assert path.exists()
    clear_finished(job.folder, job.checkpoint_folders)
    assert not path.exists()


def test_a_lease_names_host_process_and_file(tmp_path: Path, digits: Dataset) -> None:
    job = smoke_job(tmp_path, digits, ARM)
    with held(job.folder, print), pytest.raises(Busy) as caught:
        train(job, digits, Watch())
    told = str(caught.value)
    assert f"another process is training this run (process {os.getpid()} on " in told
    assert str(job.folder / ".lock") in told


def test_a_run_leaves_no_lease(tmp_path: Path, digits: Dataset) -> None:
    job = smoke_job(tmp_path, digits, ARM)
    seen = []
    train(
        job,
        digits,
        Watch(begin=lambda _: seen.append((job.folder / ".lock").exists())),
    )
    assert seen == [True]
    assert not (job.folder / ".lock").exists()


def test_old_unfinished_files_go_when_their_name_is_written_again(tmp_path: Path) -> None:
    """As of a report that was killed; a young one may be another process's."""
    old, young, other = (tmp_path / f".{name}.tmp" for name in ("a.md.1", "a.md.2", "b.md.3"))
    for path in (old, young, other):
        path.write_text("half")
    past = time.time() - files.LEFT_BEHIND - 60
    os.utime(old, (past, past))
    os.utime(other, (past, past))
    write_atomic(tmp_path / "a.md", b"whole")
    assert {path.name for path in tmp_path.iterdir()} == {"a.md", young.name, other.name}


def test_a_finished_run_leaves_no_checkpoint(tmp_path: Path, digits: Dataset) -> None:
    begun(tmp_path, digits)
    job = smoke_job(tmp_path, digits, ARM)
    train(job, digits, Watch())
    assert checkpoint.load_newest(lambda text: None, job.checkpoints) is None
    assert list(job.checkpoints.iterdir()) == []
