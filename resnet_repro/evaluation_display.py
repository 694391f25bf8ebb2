"""What the terminal shows of `evaluate`, and its outcome as JSON."""

from __future__ import annotations

from dataclasses import asdict

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from resnet_repro.evaluate.imagenet import scores as images
from resnet_repro.evaluate.imagenet.run import Evaluated
from resnet_repro.records.schema import SCHEMA


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

    def step(self, title: str) -> images.Progress:
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


def result_rows(found: Evaluated) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
    """Columns and the one row of what came out, errors in %.

    Beside torchvision's weights stands what torchvision publishes for them, of a centre crop.
    """
    told, scores = found.evaluation.settings, found.scores
    columns = ["network", "crops", "shorter side", "images", "top-1 error %", "top-5 error %"]
    sizes = told["sizes"]
    assert isinstance(sizes, list)
    row: list[object] = [
        " + ".join(found.networks),
        told["crops"],
        ",".join(str(size) for size in sizes),
        scores.images,
        f"{scores.top1_error:.3f}",
        f"{scores.top5_error:.3f}",
    ]
    if found.published:
        published = found.published
        for top, ours, theirs in (
            ("top-1", scores.top1_error, published.top1_error),
            ("top-5", scores.top5_error, published.top5_error),
        ):
            columns += [f"torchvision {top} (center) %", f"{top} difference"]
            row += [f"{theirs:.3f}", f"{ours - theirs:+.3f}"]
    return tuple(columns), [tuple(row)]


def to_json(found: Evaluated) -> dict[str, object]:
    """The evaluation as it is filed, with what torchvision publishes, if it does."""
    published = asdict(found.published) if found.published else None
    return {
        "schema": SCHEMA,
        "networks": list(found.networks),
        **asdict(found.evaluation),
        "torchvision": published,
    }
