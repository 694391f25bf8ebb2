"""How far a command is: bars or curves on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from resnet_repro.monitor.snapshot import duration, look
from resnet_repro.monitor.terminal import WatchDisplay
from resnet_repro.records.schema import RunId
from resnet_repro.sweep.launcher import Event
from resnet_repro.sweep.plan import Planned

if TYPE_CHECKING:
    from resnet_repro.evaluate.imagenet import scores


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


class Steps:
    """How far each step is: a bar on a terminal, elsewhere a plain line every tenth of it."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )

    def say(self, text: str) -> None:
        """A line of text."""
        self.console.print(text, highlight=False, soft_wrap=True)

    def step(self, title: str) -> scores.Progress:
        """Begin a step; the answer is to be told what is done of it, and of how much."""
        bar = self.bars.add_task(title, total=None)
        tenths = 0

        def show(done: int, total: int) -> None:
            nonlocal tenths
            self.bars.update(bar, completed=done, total=total)
            if not self.console.is_terminal and 10 * done // total > tenths:
                tenths = 10 * done // total
                self.say(f"{title}: {done:,}/{total:,}")

        return show
