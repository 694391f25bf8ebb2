"""A plan as an array of Slurm's jobs, through submitit: each runs the command of one run again.

A job that is preempted or requeued runs the same command once more, which goes on from the
checkpoint beside the record. So does one whose time is nearly up: Slurm says so ahead by SIGUSR2,
the run saves, and the job puts itself into the queue again.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

from resnet_repro.errors import UserError
from resnet_repro.records.files import read_json, write_json
from resnet_repro.records.schema import RunId

AHEAD = 120  # seconds before the end of its time at which a job is told to save
STOPPED = 130  # how the command ends when it was told to stop


@dataclass(frozen=True)
class Wanted:
    """What each job asks Slurm for; anything else is set by Slurm's own SBATCH_... variables."""

    minutes: int = 60
    gpus: int = 0
    cpus: int = 1
    at_once: int = 1


@dataclass(frozen=True)
class Submitted:
    """A run's job: Slurm's number, its state, `gone` where Slurm has it no more, and its log."""

    run: RunId
    job: str
    state: str
    log: Path


def require_submitit() -> ModuleType:
    """The submitit package. Raises UserError when it is not installed."""
    try:
        return import_module("submitit")
    except ImportError:
        raise UserError("--submit slurm needs the package submitit: pip install submitit") from None


def submit(commands: dict[RunId, list[str]], results: Path, wanted: Wanted) -> list[Submitted]:
    """Queue the command of each run that has no job yet; all their jobs, in the order given.

    commands: the words that train a run, the program first; they may be run again at any time.
    Raises UserError where Slurm cannot be reached or refuses.
    """
    submitit = require_submitit()
    folder, known = results / "slurm", results / "slurm" / "jobs.json"
    jobs = {run: str(job) for run, job in read_json(known).items()} if known.exists() else {}
    states = _states()
    new = [run for run in commands if jobs.get(str(run)) not in states]
    if new:
        try:
            executor = submitit.SlurmExecutor(folder=folder.absolute())
            executor.update_parameters(
                job_name="resnet-repro",
                time=wanted.minutes,
                cpus_per_task=wanted.cpus,
                array_parallelism=wanted.at_once,
                signal_delay_s=min(AHEAD, 30 * wanted.minutes),
                stderr_to_stdout=True,
                additional_parameters={"requeue": True},
                **({"gpus_per_node": wanted.gpus} if wanted.gpus else {}),
            )
            queued = executor.map_array(work, [commands[run] for run in new])
        except (RuntimeError, OSError, submitit.core.utils.FailedJobError) as error:
            raise UserError(f"Slurm refuses: {' '.join(str(error).split())}") from error
        jobs |= {str(run): job.job_id for run, job in zip(new, queued, strict=True)}
        write_json(known, jobs)
        states = _states()
    return [
        Submitted(
            run,
            jobs[str(run)],
            states.get(jobs[str(run)], "gone").lower(),
            folder / f"{jobs[str(run)]}_0_log.out",
        )
        for run in commands
    ]


def _states() -> dict[str, str]:
    """The jobs that wait or run, by number, as squeue has them: it needs no accounting."""
    try:
        done = subprocess.run(
            ["squeue", "--noheader", "--array", "--me", "--format=%i %T"],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"Slurm is not there ({error}): give --submit slurm where it is") from error
    if done.returncode:
        raise UserError(f"squeue: {' '.join(done.stderr.split())}")
    return dict(line.split()[:2] for line in done.stdout.splitlines())


def work(command: Sequence[str]) -> None:
    """What a job does: the command, told what the job is told; queued again if time was up."""
    heard: list[int] = []
    process = subprocess.Popen(command)

    def tell(number: int, frame: object) -> None:
        heard.append(number)
        process.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGUSR2):
        signal.signal(number, tell)
    code = process.wait()
    if code == STOPPED and signal.SIGUSR2 in heard:
        job = os.environ["SLURM_JOB_ID"]
        if "SLURM_ARRAY_JOB_ID" in os.environ:
            job = "{SLURM_ARRAY_JOB_ID}_{SLURM_ARRAY_TASK_ID}".format(**os.environ)
        subprocess.run(["scontrol", "requeue", job], check=True, timeout=60)
    if code:
        sys.exit(code)
