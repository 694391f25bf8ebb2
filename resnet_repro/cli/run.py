"""The command that trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from resnet_repro import paths
from resnet_repro.cli.compare import print_comparison
from resnet_repro.cli.console import console, print_json, print_rows
from resnet_repro.cli.options import (
    CACHE,
    Arms,
    Artifact,
    Cache,
    Corrupt,
    DataRoot,
    Device,
    Precision,
    Results,
    Workers,
    as_path,
    names,
    numbers,
)
from resnet_repro.cli.progress import CurveDisplay, RunDisplay
from resnet_repro.cli.submit import plan_rows, queue
from resnet_repro.errors import UserError
from resnet_repro.paper import artifacts
from resnet_repro.records.datasets import DATASETS
from resnet_repro.sweep import plan, slurm, status
from resnet_repro.train.recipe import IMAGE_PROTOCOLS, PROTOCOLS, CifarRecipe, ImageRecipe

SWITCHES = tuple(dict.fromkeys(f.name for r in (CifarRecipe, ImageRecipe) for f in fields(r)))
PROTOCOL_NAMES = tuple(PROTOCOLS | IMAGE_PROTOCOLS)
Switch = Literal["auto", "on", "off"]


def run(
    artifact: Artifact,
    arms: Arms = "",
    seeds: Annotated[str, typer.Option(metavar="0,1", help="One run each.")] = "0",
    protocol: Annotated[
        str | None,
        typer.Option(
            metavar="P", help=f"One of {', '.join(PROTOCOL_NAMES)}; the artifact's own if not."
        ),
    ] = None,
    iterations: Annotated[
        int | None,
        typer.Option(metavar="N", help="Scale the schedule to N; recorded as custom-N."),
    ] = None,
    switches: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change a switch of the recipe; recorded as P+KEY=VALUE. May be repeated. "
            f"Keys: {', '.join(SWITCHES)}.",
        ),
    ] = None,
    data_root: DataRoot = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=f"Another data set, one of {', '.join(DATASETS)}; image-folder is any folder.",
        ),
    ] = None,
    corrupt: Corrupt = "fail",
    workers: Workers = None,
    accumulate: Annotated[
        int, typer.Option(metavar="K", min=1, help="Compute each batch in K parts, to save memory.")
    ] = 1,
    device: Device = "auto",
    precision: Precision = "auto",
    kernels: Annotated[Switch, typer.Option(help="Own CPU kernels.")] = "auto",
    compile: Annotated[Switch, typer.Option(help="Compile the networks' blocks.")] = "auto",
    graph: Annotated[Switch, typer.Option(help="A step as one CUDA graph.")] = "auto",
    results_dir: Results = paths.LOCAL,
    figures_dir: Annotated[
        Path | None,
        typer.Option(parser=as_path, metavar="DIR", help="Default: figures in the results folder."),
    ] = None,
    cache_dir: Cache = CACHE,
    checkpoint_every: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="Least time between two checkpoints.")
    ] = 30.0,
    jobs: Annotated[int, typer.Option(metavar="K", min=1, help="Runs at once.")] = 1,
    share: Annotated[
        bool,
        typer.Option("--share", help="Work through it with all that see DIR, on any machines."),
    ] = False,
    submit: Annotated[
        Literal["slurm"] | None,
        typer.Option(help="Queue the plan there, --jobs of it at once; repeated: how it stands."),
    ] = None,
    gpus: Annotated[int, typer.Option(metavar="N", min=0, help="Of each job.")] = 0,
    cpus: Annotated[int, typer.Option(metavar="N", min=1, help="Of each job.")] = 1,
    minutes: Annotated[
        int, typer.Option("--time", metavar="MINUTES", min=1, help="Of each job, then requeued.")
    ] = 60,
    track: Annotated[
        str,
        typer.Option(
            metavar="A,B",
            help="Mirror the curves: wandb, wandb-online, tensorboard, trackio.",
        ),
    ] = "",
    watch: Annotated[
        bool, typer.Option("--watch", help="Show each run's curves beside the paper's.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan only.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="With --dry-run: print the plan as JSON.")
    ] = False,
) -> None:
    """Train what is missing of an artifact, then compare it with the paper."""
    if as_json and not dry_run:
        raise UserError("--json goes with --dry-run here; `compare --json` prints results")
    experiment = artifacts.load(artifact)
    request = plan.Request(
        experiment.artifact,
        names(arms),
        numbers(seeds, "--seeds"),
        protocol,
        iterations,
        tuple(_switch(text) for text in switches or ()),
        dataset,
        results_dir,
        cache_dir,
    )
    from resnet_repro.runtime.device import choose
    from resnet_repro.runtime.distributed import init_distributed
    from resnet_repro.train.loggers import require

    trackers = names(track)
    require(trackers)
    if submit:
        own = {
            "data-root": data_root and data_root.absolute(),
            "workers": workers,
            "accumulate": accumulate,
            "device": device,
            "precision": precision,
            "kernels": kernels,
            "compile": compile,
            "graph": graph,
            "results-dir": results_dir.absolute(),
            "cache-dir": cache_dir.absolute(),
            "checkpoint-every": checkpoint_every,
            "track": track or None,
        }
        queue(request, own, corrupt, slurm.Wanted(minutes, gpus, cpus, jobs), dry_run)
        return
    with init_distributed(device) as world:

        def chosen() -> plan.Settings:
            return plan.Settings(
                device=choose(
                    device,
                    precision,
                    kernels=kernels,
                    compile=compile,
                    graph=graph,
                    grad_accum_steps=accumulate,
                    workers=workers,
                    photographs=plan.of_photographs(experiment.artifact),
                ),
                data_root=data_root,
                cache=cache_dir,
                results=results_dir,
                jobs=jobs,
                share=share,
                checkpoint_seconds=checkpoint_every,
                trackers=trackers if world.first else (),
                corrupt=corrupt,
            )

        # What is amiss with it is said once, and all compute as the first found to be fastest.
        first, settings = world.on_main_process(chosen).device, chosen()
        agreed = replace(settings.device, precision=first.precision, kernels=first.kernels)
        settings = replace(settings, device=agreed)
        out = console() if world.first else console(quiet=True)
        planned = world.on_main_process(lambda: plan.plan(request, settings.device.kind))
        if as_json:
            if world.first:
                print_json(status.plan_json(planned))
            return
        print_rows(out, "Plan", *plan_rows(planned))
        if dry_run:
            _hint(out, planned, settings.device.kind)
            return
        with (
            CurveDisplay(planned, results_dir, out) if watch else RunDisplay(planned, out)
        ) as display:
            ends = plan.execute(request, settings, display, display.say, world)
    if world.first:
        figures = figures_dir or results_dir / "figures"
        _summary(out, ends, artifact, planned, results_dir, figures)
    bad = [end for end in ends.values() if end in ("busy", "failed", "stopped")]
    if bad:
        raise typer.Exit(130 if "stopped" in bad else 1)


def _hint(out: Console, planned: Sequence[plan.Planned], device: str) -> None:
    """Where a time is unknown: how to make it known."""
    if any(p.seconds is None and p.state in ("missing", "partial", "under way") for p in planned):
        out.print(
            f"no such network has finished a run on a {device} here yet: a short one tells the "
            "time, such as with --iterations 50 and one of --arms",
            highlight=False,
            soft_wrap=True,
        )


def _switch(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"--set {text}: give KEY=VALUE, such as bn_batch=64")
    return name, value


def _summary(
    out: Console,
    ends: dict[Any, str],
    artifact: str,
    planned: Sequence[plan.Planned],
    results: Path,
    figures: Path,
) -> None:
    """What was asked for, beside the paper and the suite; figures and tables are written, too."""
    from resnet_repro.report.comparison import compare_records
    from resnet_repro.report.write import write_report

    counted = {end: list(ends.values()).count(end) for end in dict.fromkeys(ends.values())}
    out.print(", ".join(f"{n} {end}" for end, n in counted.items()), highlight=False)
    written = write_report([results], figures, results / "tables", [artifact], suite=paths.RECORDED)
    if written:
        arms = list(dict.fromkeys(run.arm for run in planned))
        asked = artifacts.load(artifact).artifact.only(arms)
        protocol = planned[0].run.protocol
        print_comparison(out, compare_records(asked, paths.RECORDED, results, protocol))
    for path in written:
        out.print(f"wrote {path}", highlight=False, soft_wrap=True)
