"""Plans as tables, and plans that are queued elsewhere."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from resnet_repro.cli.console import Rows, console, print_rows
from resnet_repro.errors import UserError
from resnet_repro.monitor.snapshot import duration
from resnet_repro.sweep import plan, slurm

if TYPE_CHECKING:
    from resnet_repro.data.imagefolder.statistics import Corrupt


def plan_rows(planned: Sequence[plan.Planned]) -> Rows:
    """Columns and rows of a plan; the last is the total, of one device."""
    rows = [
        (
            str(p.run),
            p.state if p.state != "partial" else f"at {p.iteration}",
            p.recipe.iterations,
            duration(p.seconds),
            p.detail,
        )
        for p in planned
    ]
    total = ("total", "", "", duration(plan.total_seconds(planned)), "one run after another")
    return ("run", "state", "iterations", "time left", ""), [*rows, total]


def queue(
    request: plan.Request,
    own: Mapping[str, object],
    corrupt: Corrupt,
    wanted: slurm.Wanted,
    dry_run: bool,
) -> None:
    """Queue what is missing as an array of Slurm's jobs, the longest run first, and show it.

    own: the user's own options, which are given to each job; None is left out.
    """
    planned = plan.plan(request, "cuda" if wanted.gpus else "cpu")
    plan.refuse_unusable(planned)
    todo = plan.longest_first([p for p in planned if p.state != "done"])
    out = console()
    print_rows(out, "Plan", *plan_rows(planned))
    if dry_run or not todo:
        return
    program = [sys.executable, "-m"]
    if wanted.gpus > 1:
        if not plan.of_photographs(request.artifact):
            raise UserError("a CIFAR net trains on one GPU: give --gpus 1, and --jobs for more")
        each = ("--standalone", "--nproc-per-node", str(wanted.gpus), "-m")
        program += ["torch.distributed.run", *each]
    options = [f"--{name}={value}" for name, value in own.items() if value is not None]
    commands = {
        p.run: [
            *program,
            *shlex.split(plan.rerun_command(request, p, corrupt))[2:],
            *options,
            "--share",
        ]
        for p in todo
    }
    jobs = slurm.submit(commands, request.results, wanted)
    rows = [(str(job.run), job.job, job.state, str(job.log)) for job in jobs]
    print_rows(out, "Jobs", ("run", "job", "state", "log"), rows)
