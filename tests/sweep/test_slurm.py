"""Plans in Slurm's queue: a real one of one node where it is installed, requeued in mid-run."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from resnet_repro.cli import main
from tests.conftest import REPO, environment

ARMS = ("resnet20-w8", "plain20-w8")
SAME = ("metrics.csv", "gradients.csv", "layers.csv", "weights.safetensors")
CONFIG = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={daemon}
AuthType=auth/none
AuthInfo=cred_expire=5
CredType=cred/none
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=2,batch_sched_delay=0
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def words(folder: Path) -> list[str]:
    return [
        *("run", "demo", "--arms", ",".join(ARMS), "--protocol", "smoke", "--device", "cpu"),
        *("--precision", "fp32", "--kernels", "off", "--compile", "off"),
        *("--checkpoint-every", "0", "--results-dir", str(folder / "results")),
        *("--cache-dir", str(folder / "cache")),
    ]


def record(folder: Path, arm: str) -> Path:
    return folder / "results" / "digits" / arm / "smoke" / "seed0"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A Slurm of one node with two processors, its folder."""
    if not (shutil.which("slurmctld") and shutil.which("slurmd")):
        pytest.skip("Slurm is not installed (slurm-wlm)")
    if os.getuid() != 0:
        pytest.skip("Slurm's daemon starts jobs as root alone")
    if importlib.util.find_spec("submitit") is None:
        pytest.skip("submitit is not installed")
    folder = tmp_path / "slurm"
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    host = socket.gethostname().partition(".")[0]
    ports = {"controller": free_port(), "daemon": free_port()}
    (folder / "slurm.conf").write_text(CONFIG.format(host=host, folder=folder, **ports))
    monkeypatch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
    daemons = []
    with contextlib.ExitStack() as stack:
        for command in (["slurmctld", "-D"], ["slurmd", "-D", "-N", host]):
            log = stack.enter_context((folder / f"{command[0]}.out").open("w"))
            daemons.append(subprocess.Popen(command, stdout=log, stderr=log))
        try:
            _until_idle(folder)
            yield folder
        finally:
            subprocess.run(["scancel", "--me"], check=False, capture_output=True, timeout=60)
            for daemon in reversed(daemons):
                daemon.terminate()
                daemon.wait(timeout=60)


def _until_idle(folder: Path) -> None:
    for _ in range(150):
        found = subprocess.run(
            ["sinfo", "--noheader", "--format=%T"], capture_output=True, text=True, check=False
        )
        if found.stdout.strip() == "idle":
            return
        time.sleep(0.2)
    log = (folder / "slurmctld.log").read_text()[-500:]
    pytest.skip(f"Slurm does not start here: {found.stdout} {log}")


def reached(folder: Path, arm: str) -> int:
    names = (p.stem for p in (record(folder, arm) / "checkpoints").glob("*.checkpoint"))
    return max((int(name) for name in names), default=0)


@pytest.mark.slow
def test_a_plan_in_slurm_that_is_requeued_in_mid_run_ends_bit_identical(
    tmp_path: Path, slurm: Path
) -> None:
    def command(folder: Path, *more: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "resnet_repro", *words(folder), *more],
            cwd=REPO,
            env=environment(OMP_NUM_THREADS="1"),
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    shared = tmp_path / "shared"
    out = command(shared, "--submit", "slurm", "--jobs", "1", "--time", "10")
    jobs = json.loads((shared / "results" / "slurm" / "jobs.json").read_text())
    assert len(jobs) == 2
    assert all(job in out for job in jobs.values())
    while not any(reached(shared, arm) >= 3 for arm in ARMS):
        assert "resnet-repro" in queue("%j"), logs(shared)
        time.sleep(0.02)
    (first,) = [arm for arm in ARMS if reached(shared, arm)]  # --jobs 1: one at a time
    job = jobs[f"digits/{first}/smoke/seed0"]
    subprocess.run(["scontrol", "requeue", job], check=True, timeout=60)
    again = command(shared, "--submit", "slurm", "--jobs", "1", "--time", "10")
    assert json.loads((shared / "results" / "slurm" / "jobs.json").read_text()) == jobs
    assert "pending" in again

    command(tmp_path / "alone")
    while queue("%T"):
        time.sleep(0.5)
    for arm in ARMS:
        for name in SAME:
            ours, theirs = (record(f, arm) / name for f in (shared, tmp_path / "alone"))
            assert ours.exists(), logs(shared)
            assert ours.read_bytes() == theirs.read_bytes(), (arm, name)
    resumed = json.loads((record(shared, first) / "execution.json").read_text())["resumed_at"]
    assert len(resumed) == 1


def queue(form: str) -> str:
    done = subprocess.run(
        ["squeue", "--noheader", f"--format={form}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.strip()


def logs(folder: Path) -> str:
    return "\n".join(p.read_text()[-2000:] for p in (folder / "results/slurm").glob("*.out"))


def test_without_submitit_or_slurm_one_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    assert main([*words(tmp_path), "--submit", "slurm"]) == 2
    assert "pip install submitit" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "submitit", type(sys)("submitit"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main([*words(tmp_path), "--submit", "slurm"]) == 2
    assert "Slurm is not there" in capsys.readouterr().err


def test_a_cifar_net_takes_one_gpu(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words(tmp_path), "--submit", "slurm", "--gpus", "2"]) == 2
    assert "give --gpus 1" in capsys.readouterr().err
