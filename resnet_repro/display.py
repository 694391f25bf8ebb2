"""What the terminal shows: progress of runs, and tables of plain rows."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from resnet_repro.monitor.snapshot import duration, look
from resnet_repro.monitor.terminal import WatchDisplay
from resnet_repro.records.schema import RunId
from resnet_repro.sweep.launcher import Event
from resnet_repro.sweep.plan import Planned, total_seconds


class RunDisplay:
    """A progress bar a run on a terminal; elsewhere a plain line a row of the record."""

    def __init__(self, planned: Sequence[Planned], console: Console) -> None:
        self.console = console
        self.totals = {p.run: p.recipe.iterations for p in planned}
        self.begun: dict[RunId, tuple[int, float]] = {}
        self.bars: dict[RunId, TaskID] = {}
        self.progress = Progress(
            TextColumn("{task.description:<26}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[errors]}"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> RunDisplay:
        self.progress.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self.progress.stop()

    def say(self, text: str) -> None:
        """A line of text."""
        self.console.print(text, highlight=False, soft_wrap=True)

    def __call__(self, event: Event) -> None:
        """Show one event of runner.execute."""
        name = f"{event.run.arm} seed {event.run.seed}"
        if event.kind == "say":
            self.say(event.value)
            return
        if event.run not in self.bars:
            total = self.totals[event.run]
            self.bars[event.run] = self.progress.add_task(name, total=total, errors="")
        bar = self.bars[event.run]
        if event.kind == "step":
            self.begun.setdefault(event.run, (event.value, time.monotonic()))
            self.progress.update(bar, completed=event.value)
        elif event.kind == "row":
            row = event.value
            errors = f"train {row['train_error']:5.2f} %  test {row['test_error']:5.2f} %"
            self.progress.update(bar, errors=errors)
            if not self.console.is_terminal:
                left = self._left(event.run, int(row["iteration"]))
                at = f"{int(row['iteration'])}/{self.totals[event.run]}"
                self.console.print(f"{name}: {at}  {errors}  {left} left", highlight=False)
        elif event.kind == "end" and not self.console.is_terminal:
            self.console.print(f"{name}: {event.value}", highlight=False)

    def _left(self, run: RunId, iteration: int) -> str:
        first, since = self.begun[run]
        pace = (time.monotonic() - since) / max(1, iteration - first)
        return duration(pace * (self.totals[run] - iteration))


class CurveDisplay:
    """The curves of the run that reported last, from its record; elsewhere a line a row of it."""

    def __init__(self, planned: Sequence[Planned], results: Path, console: Console) -> None:
        self.folders = {p.run: p.run.folder(results) for p in planned}
        self.screen = WatchDisplay(console)
        self.shown: RunId | None = None
        self.renewed = 0.0

    def __enter__(self) -> CurveDisplay:
        self.screen.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.screen.__exit__(*error)

    def say(self, text: str) -> None:
        """A line of text."""
        self.screen.say(text)

    def __call__(self, event: Event) -> None:
        """Show one event of runner.execute."""
        if event.kind == "say":
            self.say(event.value)
        elif event.kind == "step":
            due = time.monotonic() - self.renewed >= 1.0
            if self.shown is None or (self.shown == event.run and due):
                self._show(event.run, event.value)
        elif event.kind == "row":
            self._show(event.run, int(event.value["iteration"]))
        elif event.kind == "end":
            self._show(event.run, None)
            self.say(f"{event.run}: {event.value}")
            self.shown = None

    def _show(self, run: RunId, iteration: int | None) -> None:
        self.shown, self.renewed = run, time.monotonic()
        # Whatever reading a record or drawing it raises: it is only looked at, and what is raised
        # here would end the training.
        with contextlib.suppress(Exception):
            self.screen.show(look(self.folders[run]), iteration)


def print_rows(
    console: Console, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]
) -> None:
    """A table on the terminal; tab-separated lines elsewhere, so that nothing is cut off."""
    if not console.is_terminal:
        for line in (columns, *rows):
            console.print(
                "\t".join(str(cell) for cell in line), highlight=False, markup=False, soft_wrap=True
            )
        return
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    console.print(table)


Rows = tuple[Sequence[str], Sequence[Sequence[object]]]


def plan_rows(planned: Sequence[Planned]) -> Rows:
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
    total = ("total", "", "", duration(total_seconds(planned)), "one run after another")
    return ("run", "state", "iterations", "time left", ""), [*rows, total]


def artifact_rows(found: dict[str, Any]) -> Rows:
    """Columns and rows of overview.list_artifacts."""
    return ("artifact", "paper", "title", "recorded"), [
        (
            item["name"],
            item["section"],
            item["title"],
            ", ".join(f"{n} {protocol}" for protocol, n in item["recorded"].items()) or "none",
        )
        for item in found["artifacts"]
    ]


def status_rows(found: dict[str, Any]) -> Rows:
    """Columns and rows of overview.status."""
    return ("run", "state", "iteration", "test error %", ""), [
        (
            f"{r['dataset']}/{r['arm']}/{r['protocol']}/seed{r['seed']}",
            r["state"],
            f"{r['iteration']}/{r['iterations'] or '?'}",
            "" if r["test_error"] is None else f"{r['test_error']:.2f}",
            r["detail"],
        )
        for r in found["runs"]
    ]


def stage_rows(found: dict[str, Any]) -> Rows:
    """Columns and rows of a described network, its total last."""
    rows = [
        (
            stage["name"],
            stage["layers"],
            " x ".join(str(n) for n in stage["output"]),
            f"{stage['parameters']:,}",
            f"{stage['multiply_adds']:,}",
        )
        for stage in found["stages"]
    ]
    parameters, multiply_adds = f"{found['parameters']:,}", f"{found['multiply_adds']:,}"
    rows.append(("total", f"{found['depth']} layers", "", parameters, multiply_adds))
    return ("stage", "layers", "output", "parameters", "multiply-adds"), rows
