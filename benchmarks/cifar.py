"""How fast CIFAR-10 training is here, beside the usual loop: `python -m benchmarks.cifar`."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import machine, tables
from benchmarks.contest import Plan, Tell, measure
from benchmarks.loops import Source, build_peer
from benchmarks.machine import OUT, Result
from resnet_repro.cli.console import print_rows
from resnet_repro.errors import UserError
from resnet_repro.models.names import parse_cifar
from resnet_repro.records.files import write_atomic
from resnet_repro.records.provenance import utc_now
from resnet_repro.report.write import update_between_markers
from resnet_repro.runtime.device import choose

WORKERS = 4  # that public scripts use where there are cores for them
MARKER = "bench"
SWITCHES = ("kernels", "compile", "graph")

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def cifar(
    depths: Annotated[str, typer.Option(help="1202, too, where there is time.")] = "20,56,110",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="Of ours: auto, fp32, tf32 or bf16.")] = "auto",
    repeats: Annotated[int, typer.Option(min=1, help="Rounds of all contestants.")] = 5,
    seconds: Annotated[float, typer.Option(min=0.01, help="Of one measurement.")] = 10.0,
    data_root: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A copy of CIFAR-10; without it noise.")
    ] = None,
    peer: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A copy whose resnet.py is run, too.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where results are written.")] = OUT,
    readme: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Renew the table between its bench markers; repeatable."),
    ] = None,
) -> None:
    """Measure CIFAR-10 training beside the usual loop, and write this machine's row.

    Leave the machine alone meanwhile: contestants take turns, but other work disturbs each.
    """
    plan = Plan(
        depths=_depths(depths),
        device=choose(device, precision),
        source=Source(data_root),
        repeats=repeats,
        seconds=seconds,
        workers=min(WORKERS, os.cpu_count() or 1),
        peer=peer,
    )
    check(plan)
    report(out, readme or [])  # so that a page that cannot be written is found before an hour
    console = Console(markup=False, emoji=False, highlight=False, soft_wrap=True)
    result = run(plan, console.print)
    written = [machine.write(out, "cifar", result), *report(out, readme or [])]
    print_rows(
        Console(markup=False, emoji=False), result.machine.words, tables.FULL, tables.cells(result)
    )
    for path in written:
        console.print(f"wrote {path}")


def run(plan: Plan, tell: Tell) -> Result:
    """Measure, and say what the numbers hold for; no path of this machine's is in it."""
    started = utc_now()
    rows = [dataclasses.asdict(row) for row in measure(plan, tell)]
    facts = machine.facts(started) | {
        "images": plan.source.words,
        "repeats": plan.repeats,
        "seconds": plan.seconds,
        "switches": {name: getattr(plan.device, name) for name in SWITCHES},
        "workers": plan.workers,
        "peer": plan.peer.expanduser().resolve().name if plan.peer else None,
    }
    return Result(machine.this_machine(plan.device), facts, rows)


def report(out: Path, readmes: Sequence[Path]) -> list[Path]:
    """Write the tables of every machine measured; returns the files."""
    results = machine.read(out, "cifar")
    for readme in readmes:
        update_between_markers(readme, MARKER, tables.short(results))
    write_atomic(out / "cifar.md", tables.full(results).encode())
    return [out / "cifar.md", *readmes]


def check(plan: Plan) -> None:
    """Find what is wrong with the input before an hour is spent. Raises UserError."""
    for depth in plan.depths:
        if plan.peer is not None:
            build_peer(plan.peer, f"resnet{depth}")
    if plan.source.root is not None:
        plan.source.load()


def _depths(text: str) -> tuple[int, ...]:
    """Raises UserError when they are no depths of CIFAR nets."""
    try:
        found = tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        raise UserError(f"--depths '{text}': give whole numbers with commas between") from None
    for depth in found:
        parse_cifar(f"resnet{depth}")
    return found


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
