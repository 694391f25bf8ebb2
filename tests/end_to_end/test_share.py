"""Several processes on one folder: one is killed, one is stopped, the plan is done all the same."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REPO, environment

SAME = ("metrics.csv", "gradients.csv", "layers.csv", "weights.safetensors")
ARMS = ("resnet20-w8", "plain20-w8")
SILENT = 3.0  # seconds
WORK = f"""
import sys
from resnet_repro.records import lease
lease.SILENT = {SILENT}
from resnet_repro.cli import main
sys.exit(main(sys.argv[1:]))
"""


class Workers:
    """Processes that are ended with the test."""

    def __init__(self) -> None:
        self.started: list[subprocess.Popen[str]] = []

    def start(self, results: Path, cache: Path, *more: str) -> subprocess.Popen[str]:
        words = ["run", "demo", "--protocol", "smoke", "--device", "cpu", "--precision", "fp32"]
        words += ["--kernels", "off", "--compile", "off", "--checkpoint-every", "0"]
        words += ["--results-dir", str(results), "--cache-dir", str(cache), *more]
        process = subprocess.Popen(
            [sys.executable, "-c", WORK, *words],
            cwd=REPO,
            env=environment(OMP_NUM_THREADS="1"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.started.append(process)
        return process


@pytest.fixture
def workers() -> Iterator[Workers]:
    workers = Workers()
    yield workers
    for process in workers.started:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=60)


def record(results: Path, arm: str) -> Path:
    return results / "digits" / arm / "smoke" / "seed0"


def reaches(process: subprocess.Popen[str], folder: Path, iteration: int) -> None:
    """Wait until a run's checkpoint is so far."""
    while process.poll() is None:
        if any(int(p.stem) >= iteration for p in folder.glob("checkpoints/*.checkpoint")):
            return
        time.sleep(0.005)
    raise AssertionError(process.communicate()[0])


def content(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.iterdir()}


@pytest.mark.slow
def test_a_worker_that_is_killed_and_one_that_is_stopped_leave_the_plan_to_the_others(
    tmp_path: Path, workers: Workers
) -> None:
    whole = workers.start(tmp_path / "whole", tmp_path / "cache", "--arms", ",".join(ARMS))
    out, _ = whole.communicate(timeout=300)
    assert whole.returncode == 0, out

    results = tmp_path / "results"
    share = ("--share",)
    killed = workers.start(results, tmp_path / "a", *share, "--arms", ARMS[0])
    stopped = workers.start(results, tmp_path / "b", *share, "--arms", ARMS[1])
    reaches(killed, record(results, ARMS[0]), 3)
    killed.kill()
    reaches(stopped, record(results, ARMS[1]), 3)
    stopped.send_signal(signal.SIGSTOP)

    both = [
        workers.start(results, tmp_path / name, *share, "--arms", ",".join(ARMS))
        for name in ("c", "d")
    ]
    for worker in both:
        out, _ = worker.communicate(timeout=300)
        assert worker.returncode == 0, out
        assert "Traceback" not in out
    before = content(record(results, ARMS[1]))
    stopped.send_signal(signal.SIGCONT)
    out, _ = stopped.communicate(timeout=300)
    assert stopped.returncode == 0, out
    assert "another process has taken this run over" in out
    assert content(record(results, ARMS[1])) == before
    for arm in ARMS:
        for name in SAME:
            ours, theirs = (record(place, arm) / name for place in (results, tmp_path / "whole"))
            assert ours.read_bytes() == theirs.read_bytes(), (arm, name)
        assert not (record(results, arm) / "checkpoints").exists()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2])
def test_a_schedulers_signal_saves_and_gives_the_run_up(
    tmp_path: Path, workers: Workers, number: signal.Signals
) -> None:
    folder = record(tmp_path / "results", ARMS[0])
    worker = workers.start(tmp_path / "results", tmp_path / "a", "--share", "--arms", ARMS[0])
    reaches(worker, folder, 1)
    worker.send_signal(number)
    out, _ = worker.communicate(timeout=120)
    assert worker.returncode == 130, out
    assert "stopped and saved at iteration" in out
    assert not (folder / ".lock").exists()
