"""The command: `python -m benchmarks.cifar` measures, `--help` lists the options."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import files
from benchmarks.contestant import OURS
from benchmarks.floor import Rates, step_work
from benchmarks.measure import Account, Measurement, Plan, Tell, measure_all
from benchmarks.peer import peer_builder
from benchmarks.rates import measure_rates
from benchmarks.source import Source
from benchmarks.summary import Summary, summarise
from resnet_repro.display import print_rows
from resnet_repro.errors import UserError
from resnet_repro.models.names import parse_cifar
from resnet_repro.records.files import read_text, write_atomic
from resnet_repro.records.provenance import utc_now
from resnet_repro.train.device import Device, choose
from resnet_repro.train.recipe import PAPER

DEPTHS = (20, 56, 110)
GPU_DEPTHS = (1202,)  # in addition; on a CPU a step of it takes minutes
WORKERS = 4  # that public scripts use where there are cores for them
MARKER = "bench"
OUT = Path(__file__).parent / "results"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def cifar(
    depths: Annotated[
        str | None, typer.Option(metavar="20,56,110", help="20,56,110, and 1202 on a GPU.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="Of ours: auto, fp32, tf32 or bf16.")] = "auto",
    repeats: Annotated[int, typer.Option(min=1, help="Rounds of all contestants.")] = 5,
    seconds: Annotated[float, typer.Option(min=0.01, help="Of one measurement.")] = 10.0,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Of one measurement, instead of --seconds.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=0, help="Of the usual loop's DataLoader; 4, or as many as cores."),
    ] = None,
    data_root: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A copy of CIFAR-10; without it noise.")
    ] = None,
    peer: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="A checkout like akamaster/pytorch_resnet_cifar10; its resnet.py is run.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where results are written.")] = OUT,
    readme: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Renew the table between its bench markers; repeatable."),
    ] = None,
) -> None:
    """Measure CIFAR-10 training beside the usual loop, and write tables and a picture.

    Leave the machine alone meanwhile: contestants take turns, but other work disturbs each.
    """
    chosen = choose(device, precision)
    plan = Plan(
        depths=_depths(depths, chosen.kind),
        device=chosen,
        source=Source(data_root),
        out=out,
        repeats=repeats,
        seconds=seconds,
        steps=steps,
        workers=min(WORKERS, os.cpu_count() or 1) if workers is None else workers,
        peer=peer,
    )
    readmes = readme or []
    check(plan, readmes)
    console = Console(markup=False, emoji=False)
    console.print(plan_words(plan), highlight=False, soft_wrap=True)
    with telling(console, plan.parts) as tell:
        written = run(plan, tell)
    for path in (*written, *report(out, readmes, console)):
        console.print(f"wrote {path}", highlight=False, soft_wrap=True)


def report(out: Path, readmes: Sequence[Path], console: Console) -> list[Path]:
    """Print and write the table and the pictures of everything measured; returns the files."""
    # Here, because every contestant's process imports this module and needs no drawing.
    from benchmarks import table
    from benchmarks.figure import write_figure
    from resnet_repro.report.write import update_between_markers

    recorded = files.read(out)
    written = [path for found in recorded for path in write_figure(found, out)]
    text = table.markdown(recorded)
    write_atomic(out / "cifar.md", text.encode())
    written.append(out / "cifar.md")
    for readme in readmes:
        update_between_markers(readme, MARKER, text)
        written.append(readme)
    cells = table.grid(recorded)
    print_rows(console, "CIFAR-10 training", cells.columns, cells.rows)
    return written


def plan_words(plan: Plan) -> str:
    """What is about to be measured, in a line."""
    switches = ", ".join(f"{key} {value}" for key, value in dataclasses.asdict(plan.device).items())
    depths = ", ".join(str(depth) for depth in plan.depths)
    return (
        f"{plan.device.name} ({switches}); depths {depths}; {plan.source.words}; usual loop with "
        f"{plan.workers} DataLoader workers"
    )


def run(plan: Plan, tell: Tell) -> list[Path]:
    """Measure one kind of device and write its tables; returns the files."""
    started = utc_now()
    rates = measure_rates(plan.device)
    measurements, accounts = measure_all(plan, tell)
    summaries = summarise_all(plan.device, rates, measurements, accounts)
    described = files.machine(plan, rates, accounts, started)
    return files.write(plan.out, plan.device.kind, described, measurements, summaries)


def summarise_all(
    device: Device, rates: Rates, measurements: list[Measurement], accounts: list[Account]
) -> list[Summary]:
    """A row of the summary for each account, in their order."""
    summaries = []
    for account in accounts:
        here = [m for m in measurements if m.network == account.network]
        own = [m for m in here if m.contestant == account.contestant]
        ours = [m for m in here if m.contestant == OURS]
        work = step_work(account.network, PAPER.batch_size, device.precision, account.nodes)
        summaries.append(summarise(account, own, ours, work, rates))
    return summaries


def check(plan: Plan, readmes: Sequence[Path]) -> None:
    """Find what is wrong with the input before an hour is spent. Raises UserError."""
    for depth in plan.depths:
        if plan.peer is not None:
            peer_builder(plan.peer, f"resnet{depth}")
    if plan.source.root is not None:
        plan.source.load()
    for readme in readmes:
        text = read_text(readme)
        marks = [f"<!-- {MARKER}:{end} -->" for end in ("start", "end")]
        if any(text.count(mark) != 1 for mark in marks):
            raise UserError(
                f"{readme} needs one line {marks[0]} and, below it, one line {marks[1]}"
            )
    try:
        plan.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write in {plan.out}: {error.strerror}; give --out DIR") from error


def _depths(text: str | None, kind: str) -> tuple[int, ...]:
    """The depths asked for, or those that the device is measured at. Raises UserError."""
    if text is None:
        return DEPTHS + (GPU_DEPTHS if kind == "cuda" else ())
    try:
        found = tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        raise UserError(f"--depths '{text}': give whole numbers with commas between") from None
    for depth in found:
        parse_cifar(f"resnet{depth}")
        if depth in GPU_DEPTHS and kind == "cpu":
            raise UserError(f"--depths {depth} is measured on a GPU only: leave it out on a CPU")
    return found


@contextlib.contextmanager
def telling(console: Console, parts: int) -> Iterator[Tell]:
    """A progress bar on a terminal; elsewhere a line a part."""
    progress = Progress(
        TextColumn("{task.description:<36}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    begun = -1

    def tell(text: str) -> None:
        nonlocal begun
        begun += 1
        progress.update(bar, description=text, completed=begun)
        if not console.is_terminal:
            console.print(f"{begun + 1}/{parts} {text}", highlight=False, soft_wrap=True)

    with progress:
        bar = progress.add_task("rates of this machine", total=parts)
        yield tell


def main(command: typer.Typer = app, arguments: list[str] | None = None) -> int:
    """Run the command; bad input gives one line on standard error and status 2."""
    try:
        command(arguments, standalone_mode=False)
    except UserError as error:
        return _complain(str(error))
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        # Typer's usage errors; their class has moved between its releases.
        say = getattr(error, "format_message", None)
        if say is None:
            raise
        return _complain(str(say()))
    return 0


def _complain(text: str) -> int:
    sys.stderr.write("error: " + " ".join(text.split()) + "\n")
    return 2


if __name__ == "__main__":
    raise SystemExit(main())
