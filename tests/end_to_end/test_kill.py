"""The command, killed at any moment and repeated, ends as if it had not been."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REPO, environment

SAME = ("metrics.csv", "gradients.csv", "layers.csv", "weights.safetensors")
ARM = "resnet20-w8"
STARTED: list[subprocess.Popen[str]] = []


def command(folder: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "resnet_repro", "run", "demo", "--arms", ARM),
        *("--iterations", "100", "--device", "cpu", "--precision", "fp32"),
        *("--checkpoint-every", "0"),
        *("--results-dir", str(folder / "results"), "--cache-dir", str(folder / "cache")),
    ]


def start(folder: Path, *more: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [*command(folder), *more],
        cwd=REPO,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    STARTED.append(process)
    return process


@pytest.fixture(autouse=True)
def _leave_nothing_running() -> Iterator[None]:
    """A test that fails must not leave its processes to the tests after it."""
    yield
    while STARTED:
        process = STARTED.pop()
        if process.poll() is None:
            process.kill()
            process.wait(timeout=60)
        if process.stdout is not None:
            process.stdout.close()


def record(folder: Path) -> Path:
    return folder / "results" / "digits" / ARM / "custom-100" / "seed0"


def reached(folder: Path) -> int:
    """The iteration of the newest checkpoint."""
    names = (p.stem for p in (folder / "cache" / "runs").glob("*/*.checkpoint"))
    return max((int(name) for name in names), default=0)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    process = start(folder)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    return record(folder)


def assert_same(ours: Path, theirs: Path) -> None:
    for name in SAME:
        assert (ours / name).read_bytes() == (theirs / name).read_bytes(), name


@pytest.mark.slow
def test_killed_at_five_random_moments_it_ends_bit_identical(
    undisturbed: Path, tmp_path: Path
) -> None:
    chance = random.Random(0)
    moments = sorted(chance.sample(range(1, 80), 5))
    for moment in moments:
        process = start(tmp_path)
        while reached(tmp_path) < moment and process.poll() is None:
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.05))  # while a file is written, or a step computed
        process.kill()
        out, _ = process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL, out
        assert not (record(tmp_path) / "result.json").exists()
    process = start(tmp_path)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    assert "resumed at iteration" in out
    assert_same(record(tmp_path), undisturbed)
    resumed = json.loads((record(tmp_path) / "execution.json").read_text())["resumed_at"]
    assert len(resumed) >= 1
    assert resumed == sorted(resumed)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_saves_and_leaves_cleanly(
    undisturbed: Path, tmp_path: Path, number: signal.Signals
) -> None:
    process = start(tmp_path)
    while reached(tmp_path) < 10 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped and saved at iteration" in out
    assert "Traceback" not in out
    process = start(tmp_path)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    assert_same(record(tmp_path), undisturbed)


@pytest.mark.slow
def test_of_two_processes_one_trains_and_the_other_says_so(
    undisturbed: Path, tmp_path: Path
) -> None:
    first = start(tmp_path)
    while reached(tmp_path) < 1 and first.poll() is None:
        time.sleep(0.01)
    first.send_signal(signal.SIGSTOP)  # holds the lock while the second comes and goes
    second = start(tmp_path)
    told, _ = second.communicate(timeout=120)
    first.send_signal(signal.SIGCONT)
    out, _ = first.communicate(timeout=300)
    assert first.returncode == 0, out
    assert second.returncode == 1
    assert "another process is training this run" in told
    assert "Traceback" not in told
    assert_same(record(tmp_path), undisturbed)


def children(process: subprocess.Popen[str]) -> list[int]:
    """The processes of the runs (not the resource tracker) that `--jobs` started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # a process may end while we look
            parent = (folder / "stat").read_text().rsplit(")", 1)[1].split()[1]
            if int(parent) == process.pid and b"spawn_main" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and was not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


linux_only = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")


@linux_only
@pytest.mark.slow
def test_a_child_that_is_killed_is_named_and_its_run_resumes(
    undisturbed: Path, tmp_path: Path
) -> None:
    process = start(tmp_path, "--jobs", "2")
    while reached(tmp_path) < 5 and process.poll() is None:
        time.sleep(0.01)
    (child,) = children(process)
    os.kill(child, signal.SIGKILL)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "1 failed" in out
    process = start(tmp_path)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    assert "resumed at iteration" in out


@linux_only
@pytest.mark.slow
def test_children_whose_parent_is_killed_save_and_leave(tmp_path: Path) -> None:
    process = start(tmp_path, "--jobs", "2")
    while reached(tmp_path) < 5 and process.poll() is None:
        time.sleep(0.01)
    (child,) = children(process)
    process.kill()
    process.communicate(timeout=60)  # the child holds the other end of standard output, too
    for _ in range(100):
        if not alive(child):
            break
        time.sleep(0.1)
    assert not alive(child)
    assert not (record(tmp_path) / "result.json").exists()
    assert reached(tmp_path) >= 5


@linux_only
@pytest.mark.slow
def test_a_stopped_child_saves_and_leaves_with_the_others(tmp_path: Path) -> None:
    process = start(tmp_path, "--jobs", "2")
    while reached(tmp_path) < 5 and process.poll() is None:
        time.sleep(0.01)
    (child,) = children(process)
    os.kill(child, signal.SIGSTOP)
    process.terminate()
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "stopped and saved at iteration" in out
    assert not alive(child)
