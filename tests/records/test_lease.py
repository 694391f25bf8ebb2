"""A run's lease: one process at a time, whoever dies loses it, whoever is silent may."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from resnet_repro.errors import UserError
from resnet_repro.records import lease
from resnet_repro.records.lease import LOCK, Busy, TakenOver, held, is_held
from tests.conftest import REPO, environment, silent
from tests.helpers.records import lease_elsewhere

HOLDS = """
import sys, time
from pathlib import Path
from resnet_repro.records import lease
lease.SILENT = float(sys.argv[2])
with lease.held(Path(sys.argv[1]), print) as check:
    print("held", flush=True)
    sys.stdin.readline()
    try:
        check()
        print("mine", flush=True)
    except lease.TakenOver as error:
        print(error, flush=True)
"""


@pytest.fixture
def other(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the folder's lease, and says on a line whether it still does."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(tmp_path), str(getattr(request, "param", 60.0))],
        cwd=REPO,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate(timeout=60)


def test_the_file_names_host_and_process_and_goes_with_the_lease(tmp_path: Path) -> None:
    with held(tmp_path, silent) as check:
        lines = (tmp_path / LOCK).read_text().splitlines()
        assert f"pid={os.getpid()}" in lines
        assert any(line.startswith("host=") for line in lines)
        assert is_held(tmp_path)
        check()
        with (
            pytest.raises(Busy, match="another process is training this run"),
            held(tmp_path, silent),
        ):
            pass
        check()
    assert not (tmp_path / LOCK).exists()
    assert not is_held(tmp_path)


def test_whose_process_is_killed_on_this_machine_loses_it_at_once(
    tmp_path: Path, other: subprocess.Popen[str]
) -> None:
    assert is_held(tmp_path)
    other.kill()
    other.wait(timeout=60)
    assert (tmp_path / LOCK).exists()
    assert not is_held(tmp_path)
    said: list[str] = []
    with held(tmp_path, said.append) as check:
        check()
    assert not said  # it was not waited for


@pytest.mark.parametrize("other", [1.5], indirect=True)
def test_who_is_stopped_loses_it_and_knows_when_it_comes_back(
    tmp_path: Path, other: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "SILENT", 1.5)
    other.send_signal(signal.SIGSTOP)
    deadline = time.monotonic() + 60
    while is_held(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    said: list[str] = []
    with held(tmp_path, said.append) as check:
        other.send_signal(signal.SIGCONT)
        out, _ = other.communicate("\n", timeout=60)
        assert "another process has taken this run over" in out
        check()  # and the other, as it ended, left ours alone
        assert is_held(tmp_path)


def test_who_is_silent_elsewhere_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "SILENT", 1.2)
    path = lease_elsewhere(tmp_path)
    path.write_text(path.read_text().replace("60.0", "1.2"))
    os.utime(path, (1, 1))
    said: list[str] = []
    with held(tmp_path, said.append):
        pass
    (told,) = said
    assert "silent" in told


def test_a_lease_that_is_gone_is_not_written_under(tmp_path: Path) -> None:
    with held(tmp_path, silent) as check:
        (tmp_path / LOCK).unlink()
        with pytest.raises(TakenOver, match="nothing more is written"):
            check()


def test_a_folder_that_cannot_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(UserError, match="give another folder"),
        held(tmp_path / "file" / "run", silent),
    ):
        pass
