"""Photographs to batches: `python -m benchmarks.images --data-root DIR` measures the pipelines.

Ours beside torchvision's, whose classification reference reads files with ImageFolder, augments PIL
images by transforms and stacks them in a DataLoader. All three end with normalised float32 batches
in memory. Without worker processes everything runs on one core.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import PIL
import torch
import typer
from rich.console import Console
from torch.utils.data import DataLoader
from torchvision.datasets import (  # type: ignore[import-untyped, unused-ignore]
    ImageFolder as TorchvisionFolder,
)
from torchvision.transforms import v2  # type: ignore[import-untyped, unused-ignore]

from resnet_repro.data.image_files import scaled_size
from resnet_repro.data.image_folder import ImageFolder, load
from resnet_repro.data.image_statistics import Statistics
from resnet_repro.data.image_stream import SIDES, ImageStream
from resnet_repro.display import print_rows
from resnet_repro.records import provenance
from resnet_repro.records.files import write_atomic, write_json

OURS, PAPER_VIEWS, REFERENCE = (
    "ours",
    "torchvision, the paper's views",
    "torchvision, its own views",
)
COLUMNS = ("pipeline", "images/s", "range", "images/s and core", "ours over it")
# The constants most scripts copy; which ones they are changes no timing.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

OUT = Path(__file__).parent / "results"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@dataclass(frozen=True)
class Plan:
    """What is to be measured."""

    data: ImageFolder
    crop: int
    batch_size: int
    workers: int  # processes that load; 0: this one does, on one core
    repeats: int
    seconds: float  # of one measurement

    @property
    def cores(self) -> int:
        return max(1, self.workers)


@dataclass(frozen=True)
class Measured:
    """One pipeline; images per second in each repeat."""

    pipeline: str
    rates: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.rates)


def ours(plan: Plan) -> Iterator[Any]:
    """Batches as training takes them, with the colour augmentation that torchvision lacks."""
    # Any mean and any colours take the same time as the right ones.
    still = Statistics(
        torch.zeros(plan.crop, plan.crop, 3), torch.ones(3), torch.ones(3), torch.eye(3)
    )
    stream = ImageStream(
        plan.data,
        still,
        seed=0,
        batch_size=plan.batch_size,
        crop=plan.crop,
        flip=True,
        pca_std=0.1,
        mean="pixel",
        device=torch.device("cpu"),
        workers=plan.workers,
    )
    with contextlib.closing(stream):
        for iteration in itertools.count():
            yield stream.train_batch(iteration)


def paper_views(plan: Plan) -> Iterator[Any]:
    """Section 3.4's augmentation written with torchvision's transforms, but for the colours."""
    least, greatest = (scaled_size(size, plan.crop) for size in SIDES)
    first = [
        v2.RandomShortestSize(list(range(least, greatest + 1)), antialias=True),
        v2.RandomCrop(plan.crop),
    ]
    return _usual(plan, first)


def reference(plan: Plan) -> Iterator[Any]:
    """The training preset of torchvision's classification reference, on PIL images."""
    return _usual(plan, [v2.RandomResizedCrop(plan.crop, antialias=True)])


PIPELINES: dict[str, Callable[[Plan], Iterator[Any]]] = {
    OURS: ours,
    PAPER_VIEWS: paper_views,
    REFERENCE: reference,
}


def _usual(plan: Plan, first: list[Any]) -> Iterator[Any]:
    last = [
        v2.RandomHorizontalFlip(),
        v2.PILToTensor(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(MEAN, STD),
    ]
    folder = TorchvisionFolder(plan.data.train.root, v2.Compose([*first, *last]))
    loader: DataLoader[Any] = DataLoader(
        folder,
        batch_size=plan.batch_size,
        shuffle=True,
        num_workers=plan.workers,
        # Started as ours are; what counts begins when they run.
        multiprocessing_context="spawn" if plan.workers else None,
        persistent_workers=plan.workers > 0,
    )
    while True:
        yield from loader


def measure(plan: Plan, tell: Callable[[str], None]) -> list[Measured]:
    """All pipelines in turn within every repeat, the order reversed in every second one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    batches = {name: make(plan) for name, make in PIPELINES.items()}
    rates: dict[str, list[float]] = {name: [] for name in PIPELINES}
    try:
        for stream in batches.values():
            next(stream)
        for repeat in range(plan.repeats):
            order = list(PIPELINES)[:: 1 if repeat % 2 == 0 else -1]
            for name in order:
                tell(f"{name}, repeat {repeat + 1} of {plan.repeats}")
                rates[name].append(_rate(batches[name], plan))
    finally:
        torch.set_num_threads(threads)
        for stream in batches.values():
            stream.close()  # type: ignore[attr-defined]
    return [Measured(name, tuple(found)) for name, found in rates.items()]


def _rate(batches: Iterator[Any], plan: Plan) -> float:
    """Images per second over about `plan.seconds`."""
    # What was loaded ahead while others were measured, two batches a worker, is no achievement.
    for _ in range(2 * plan.workers):
        next(batches)
    images, begun = 0, time.perf_counter()
    while (now := time.perf_counter()) - begun < plan.seconds or images == 0:
        images += len(next(batches)[1])
    return images / (now - begun)


def markdown(about: Mapping[str, Any]) -> str:
    """The table of what `described` says, above a line that says what was measured where."""
    rates = about["images_per_second"]
    measured = [Measured(name, tuple(rates[name])) for name in PIPELINES]
    lines = [
        "| " + " | ".join(COLUMNS) + " |",
        "|" + " --- |" * len(COLUMNS),
        *("| " + " | ".join(row) + " |" for row in rows(measured, about["cores_used"])),
        "",
        f"{about['processor']}, {about['workers']} worker processes "
        f"({about['cores_used']} of {about['cores']} cores), torch {about['versions']['torch']}, "
        f"torchvision {about['versions']['torchvision']}, pillow {about['versions']['pillow']}; "
        f"{about['images']:,} photographs, crop {about['crop']}, batches of "
        f"{about['batch_size']}; {len(measured[0].rates)} repeats of {about['seconds']:g} s.",
    ]
    return "\n".join(lines) + "\n"


def rows(measured: list[Measured], cores: int) -> list[tuple[str, ...]]:
    """The table's rows, COLUMNS each; the ratio is the median of the repeats' ratios."""
    (first,) = (m for m in measured if m.pipeline == OURS)
    return [
        (
            m.pipeline,
            f"{m.median:,.0f}",
            f"{min(m.rates):,.0f} - {max(m.rates):,.0f}",
            f"{m.median / cores:,.0f}",
            f"{_ratio(first, m):.2f}",
        )
        for m in measured
    ]


def _ratio(above: Measured, below: Measured) -> float:
    return statistics.median(a / b for a, b in zip(above.rates, below.rates, strict=True))


def described(plan: Plan, measured: list[Measured]) -> dict[str, object]:
    """Everything measured and what it holds for; no path of this machine's is in it."""
    return {
        "processor": provenance.processor_name(),
        "cores": os.cpu_count(),
        "cores_used": plan.cores,
        "versions": provenance.versions() | {"pillow": PIL.__version__},
        "images": len(plan.data.train),
        "digest": plan.data.digest,
        "crop": plan.crop,
        "batch_size": plan.batch_size,
        "workers": plan.workers,
        "seconds": plan.seconds,
        "images_per_second": {m.pipeline: list(m.rates) for m in measured},
        "images_per_second_and_core": {m.pipeline: m.median / plan.cores for m in measured},
    }


@app.command()
def images(
    data_root: Annotated[
        Path, typer.Option(metavar="DIR", help="Images in train/<class>/ and val/<class>/.")
    ],
    workers: Annotated[
        int, typer.Option(min=0, help="Processes that load; 0: this one, on one core.")
    ] = 0,
    seconds: Annotated[float, typer.Option(min=0.01, help="Of one measurement.")] = 5.0,
    repeats: Annotated[int, typer.Option(min=1, help="Rounds of all pipelines.")] = 5,
    crop: Annotated[int, typer.Option(min=1, help="Pixels a side; other sizes scale.")] = 224,
    batch_size: Annotated[int, typer.Option(min=1, help="Images in a batch.")] = 64,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where results are written.")] = OUT,
    page: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Renew the table between its images markers."),
    ] = None,
) -> None:
    """Measure how fast photographs become batches, beside torchvision's pipeline.

    Leave the machine alone meanwhile: pipelines take turns, but other work disturbs each.
    """
    # Here, because every worker process imports this module and draws nothing.
    from resnet_repro.report.write import update_between_markers

    console = Console(markup=False, emoji=False)

    def say(text: str) -> None:
        console.print(text, highlight=False, soft_wrap=True)

    data = load("image-folder", data_root, say=say)
    plan = Plan(data, crop, batch_size, workers, repeats, seconds)
    measured = measure(plan, say)
    about = described(plan, measured)
    text = markdown(about)
    write_json(out / "images.json", about)
    write_atomic(out / "images.md", text.encode())
    if page is not None:
        update_between_markers(page, "images", text)
    title = f"{len(data.train):,} photographs, crop {crop}, {workers} worker processes"
    print_rows(console, title, COLUMNS, rows(measured, plan.cores))


if __name__ == "__main__":
    # Here, because every worker process imports this module and needs no other benchmark.
    from benchmarks.cifar import main

    raise SystemExit(main(app))
