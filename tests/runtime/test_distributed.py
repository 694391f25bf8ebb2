"""Several processes, accumulation and one process compute the same; a lost process is no loss."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from resnet_repro.cli import main
from resnet_repro.errors import UserError
from resnet_repro.runtime import distributed
from resnet_repro.runtime.device import choose
from resnet_repro.runtime.distributed import SINGLE_PROCESS, World
from resnet_repro.train.recipe import IMAGE_PROTOCOLS
from resnet_repro.train.trainer import check_grad_accum
from tests.conftest import REPO, environment
from tests.helpers.distributed_jobs import after_training
from tests.helpers.photographs import make_imagenette
from tests.helpers.training_jobs import read_rows

pytestmark = pytest.mark.slow

STARTED: list[subprocess.Popen[str]] = []


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 images to train on and 19 to test on, of which two processes have unequal shares."""
    root = make_imagenette(tmp_path_factory.mktemp("imagenette"))
    sorted((root / "val").glob("*/*"))[0].unlink()
    return root


@pytest.fixture(autouse=True)
def _leave_nothing_running() -> Iterator[None]:
    yield
    while STARTED:
        process = STARTED.pop()
        if process.poll() is None:
            process.terminate()  # torchrun ends its processes, which are in sessions of their own
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=60)
            process.kill()
            process.wait(timeout=60)
        if process.stdout is not None:
            process.stdout.close()


def torchrun(*words: str | Path, **extra: str) -> subprocess.Popen[str]:
    """Two processes, as a user starts them."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"),
            *map(str, words),
        ],
        cwd=REPO,
        env=environment(**extra),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    STARTED.append(process)
    return process


def run_words(folder: Path, photographs: Path, *more: str) -> list[str]:
    return [
        *("-m", "resnet_repro", "run", "imagenette", "--arms", "resnet18-A"),
        *("--data-root", str(photographs), "--device", "cpu", "--kernels", "off"),
        *("--results-dir", str(folder / "results"), "--cache-dir", str(folder / "cache")),
        *more,
    ]


def record(folder: Path, protocol: str) -> Path:
    return folder / "results" / "imagenette" / "resnet18-A" / protocol / "seed0"


@pytest.fixture(scope="module")
def alone(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """After some steps of one process that normalises the same chunks, warm-up included."""
    return after_training(photographs, tmp_path_factory.mktemp("cache"), 1, SINGLE_PROCESS)


def test_the_warm_up_counts_the_whole_batch(alone: dict[str, torch.Tensor]) -> None:
    """Else the tests below would show nothing of it: more are wrong than one process has."""
    assert alone["warmup.window"].max() > 8
    assert (int(alone["warmup.cold"]), int(alone["warmup.ended"])) == (0, 2)


def assert_alike(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> None:
    """The loss and error of training and test, which are means over images, far more closely."""
    assert set(ours) == set(theirs)
    for name, value in theirs.items():
        scale = float(value.abs().max()) or 1.0
        part = 1e-5 if value.ndim == 0 else 5e-3
        torch.testing.assert_close(ours[name], value, rtol=0, atol=part * scale, msg=name)


def test_accumulation_gives_the_same_gradients_and_averages(
    photographs: Path, tmp_path: Path, alone: dict[str, torch.Tensor]
) -> None:
    assert_alike(after_training(photographs, tmp_path, 2, SINGLE_PROCESS), alone)


@pytest.mark.parametrize("parts", [1, 2])
def test_two_processes_give_the_same_gradients_and_averages(
    parts: int, photographs: Path, tmp_path: Path, alone: dict[str, torch.Tensor]
) -> None:
    """And so does each of them when it computes its half in two parts."""
    process = torchrun(
        "-m", "tests.helpers.distributed_jobs", photographs, tmp_path, "--parts", str(parts)
    )
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    assert_alike(load_file(tmp_path / "state.safetensors"), alone)


def test_chunks_do_matter(
    photographs: Path, tmp_path: Path, alone: dict[str, torch.Tensor]
) -> None:
    """Else the tests above would show nothing: the first gradient depends on the chunks."""
    found = after_training(photographs, tmp_path, 1, SINGLE_PROCESS, bn_batch=8)
    with pytest.raises(AssertionError):
        assert_alike(found, alone)


def test_the_command_under_torchrun(photographs: Path, tmp_path: Path) -> None:
    # As in distributed_jobs: at a rate that matters, rounding would come to matter, too.
    words = ("--protocol", "smoke", "--set", "lr=1e-6", "--workers", "0")
    process = torchrun(*run_words(tmp_path / "two", photographs, *words))
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    assert out.count("1 done") == 1  # the first process alone speaks
    two = record(tmp_path / "two", "smoke+lr=1e-6")
    execution = json.loads((two / "execution.json").read_text())
    assert (execution["world_size"], execution["parts"]) == (2, 1)
    assert main([*run_words(tmp_path / "one", photographs, *words)[2:], "--accumulate", "2"]) == 0
    one = record(tmp_path / "one", "smoke+lr=1e-6")
    assert json.loads((one / "execution.json").read_text())["parts"] == 2
    for ours, theirs in zip(
        read_rows(two / "metrics.csv"), read_rows(one / "metrics.csv"), strict=True
    ):
        for name in ("train_loss", "test_loss"):
            assert float(ours[name]) == pytest.approx(float(theirs[name]), rel=1e-2)
    ten = [json.loads((r / "evaluations" / "ten_crop.json").read_text()) for r in (one, two)]
    assert ten[0]["values"]["images"] == ten[1]["values"]["images"] == 19
    assert main(["verify", "--results-dir", str(tmp_path / "two" / "results")]) == 0


def test_a_run_whose_process_dies_and_that_is_stopped_ends_as_if_it_had_not_been(
    photographs: Path, tmp_path: Path
) -> None:
    more = [*("--iterations", "40", "--set", "crop=32", "--set", "batch_size=8")]
    more += [*("--set", "bn_batch=4", "--workers", "0")]
    words = run_words(tmp_path / "disturbed", photographs, *more, "--checkpoint-every", "0")
    process = torchrun(*words)
    wait_for(
        lambda: bool(list((tmp_path / "disturbed").glob("cache/runs/*/*.checkpoint"))), process
    )
    os.kill(process_of(process.pid, 1), signal.SIGKILL)
    out, _ = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "another process of this run is gone; start the same command again" in out
    assert "resnet_repro/" not in out.split("another process")[0].rpartition("error:")[2]

    process = torchrun(*words)
    wait_for(lambda: resumed(tmp_path / "disturbed"), process)
    process.terminate()
    out, _ = process.communicate(timeout=120)
    assert "resumed at iteration" in out
    assert out.count("stopped and saved at iteration") == 1, out

    for place in ("disturbed", "undisturbed"):
        process = torchrun(*run_words(tmp_path / place, photographs, *more))
        out, _ = process.communicate(timeout=300)
        assert process.returncode == 0, out
        assert ("resumed at iteration" in out) == (place == "disturbed")
    label = "custom-40+batch_size=8+bn_batch=4+crop=32"
    ours, theirs = (record(tmp_path / place, label) for place in ("disturbed", "undisturbed"))
    assert len(json.loads((ours / "execution.json").read_text())["resumed_at"]) == 2
    for name in ("metrics.csv", "gradients.csv", "weights.safetensors"):
        assert (ours / name).read_bytes() == (theirs / name).read_bytes(), name


SMALL = [
    *("--iterations", "2000", "--set", "crop=32", "--set", "batch_size=8"),
    *("--set", "bn_batch=4", "--workers", "0", "--checkpoint-every", "0"),
]


def begun(folder: Path, photographs: Path, **extra: str) -> subprocess.Popen[str]:
    """Two processes that have saved for the first time."""
    process = torchrun(*run_words(folder, photographs, *SMALL), **extra)
    wait_for(lambda: bool(list(folder.glob("cache/runs/*/*.checkpoint"))), process)
    return process


def gone(pids: list[int], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_processes_whose_torchrun_is_killed_save_and_leave(
    photographs: Path, tmp_path: Path
) -> None:
    process = begun(tmp_path, photographs)
    pids = [process_of(process.pid, rank) for rank in (0, 1)]
    process.kill()
    process.wait(timeout=60)
    assert gone(pids, 60)
    assert process.stdout is not None
    # Who computes when torchrun dies saves; who talks to it then says that it is gone.
    said = process.stdout.read()
    assert "stopped and saved at iteration" in said or "goes on from the last checkpoint" in said
    assert not list(tmp_path.rglob(".lock"))


def test_a_process_that_is_stopped_does_not_keep_the_others_waiting(
    photographs: Path, tmp_path: Path
) -> None:
    process = begun(tmp_path, photographs, RESNET_REPRO_STEP_SECONDS="4")
    pids = [process_of(process.pid, rank) for rank in (0, 1)]
    os.kill(pids[1], signal.SIGSTOP)
    out, _ = process.communicate(timeout=240)  # torchrun gives the stopped one 30 seconds
    assert process.returncode != 0
    assert "process 0 of 2: another process of this run is gone; start the same command" in out
    assert gone(pids, 10)


def test_processes_that_see_other_images_are_refused(photographs: Path, tmp_path: Path) -> None:
    for rank in ("0", "1"):
        shutil.copytree(photographs, tmp_path / rank)
    path = sorted((tmp_path / "1" / "train").glob("*/*"))[3]
    path.write_bytes(path.read_bytes()[:-1])
    words = ["run", "imagenette", "--arms", "resnet18-A", "--protocol", "smoke", "--device", "cpu"]
    words += ["--workers", "0", "--kernels", "off"]
    words += ["--results-dir", str(tmp_path / "results"), "--cache-dir", str(tmp_path / "cache")]
    process = torchrun("-m", "tests.helpers.own_roots", tmp_path, *words)
    out, _ = process.communicate(timeout=300)
    assert process.returncode != 0
    says = f"error: process 1 of 2 has other images in {tmp_path / '1'} than the first process"
    assert out.count("error: ") == out.count(says) == 1, out
    assert not list(tmp_path.glob("results/*/*/*/*/metrics.csv"))


def wait_for(happened: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 300
    while not happened():
        if process.poll() is not None or time.monotonic() > deadline:
            process.terminate()
            raise AssertionError(process.communicate(timeout=120)[0])
        time.sleep(0.1)


def resumed(folder: Path) -> bool:
    path = next((folder / "results").glob("imagenette/*/*/seed0/execution.json"), None)
    return path is not None and bool(json.loads(path.read_text())["resumed_at"])


def process_of(parent: int, rank: int) -> int:
    """The process of that rank among the children of torchrun's."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            ppid = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            environ = (path / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if ppid == parent and f"RANK={rank}".encode() in environ:
            return int(path.name)
    raise AssertionError(f"no process of rank {rank}")


@pytest.mark.parametrize("rank", ["0", "1"])
def test_a_process_that_cannot_reach_the_others_says_so(
    rank: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    photographs: Path,
    tmp_path: Path,
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name, value in {
        "RANK": rank,
        "LOCAL_RANK": rank,
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(distributed, "MEETING", datetime.timedelta(seconds=2))
    assert main(run_words(tmp_path, photographs)[2:]) == 2
    said = capfd.readouterr().err.strip().splitlines()
    assert said[-1].startswith(f"error: process {rank} of 2 cannot reach the others")


def test_several_processes_need_devices_that_can_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with (
        pytest.raises(UserError, match="--device cuda or cpu"),
        distributed.init_distributed("mps"),
    ):
        raise AssertionError("nobody is met")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(distributed, "MEETING", datetime.timedelta(seconds=1))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MASTER_PORT", str(free.getsockname()[1]))
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    with (
        pytest.raises(UserError, match="cannot reach the others"),
        distributed.init_distributed("auto"),
    ):
        raise AssertionError("nobody is met")


def test_what_is_amiss_is_said_once(photographs: Path, tmp_path: Path) -> None:
    words = run_words(tmp_path, photographs, "--protocol", "smoke", "--workers", "0")
    for amiss, says in (
        (("--accumulate", "64"), "divides"),
        (("--precision", "tf32"), "tf32 exists on CUDA only"),
    ):
        process = torchrun(*words, *amiss)
        out, _ = process.communicate(timeout=300)
        assert process.returncode != 0
        assert out.count("error: ") == out.count(says) == 1, out


def test_shares_must_hold_whole_chunks() -> None:
    recipe = IMAGE_PROTOCOLS["paper"]
    cpu = choose("cpu", "fp32")
    check_grad_accum(recipe, cpu, World(0, 8))
    check_grad_accum(recipe, choose("cpu", "fp32", grad_accum_steps=4), World(1, 2))
    with pytest.raises(UserError, match="parts that divides 8"):
        check_grad_accum(recipe, cpu, World(0, 3))
    with pytest.raises(UserError, match="parts that divides 8"):
        check_grad_accum(recipe, choose("cpu", "fp32", grad_accum_steps=16), SINGLE_PROCESS)
