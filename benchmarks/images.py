"""Photographs to batches: `python -m benchmarks.images --data-root DIR` measures the pipelines.

Ours beside torchvision's, whose classification reference reads files with ImageFolder, augments PIL
images by transforms and stacks them in a DataLoader. All three end with normalised float32 batches
in memory. Without worker processes everything runs on one core. Then ways to decode and cut one
image, whose pixels are compared. Both on the photographs as they are and enlarged to the size that
most of ImageNet's have.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from PIL import Image
from rich.console import Console
from torch.utils.data import DataLoader
from torchvision.datasets import (  # type: ignore[import-untyped, unused-ignore]
    ImageFolder as TorchvisionFolder,
)
from torchvision.transforms import v2  # type: ignore[import-untyped, unused-ignore]

from benchmarks.decoders import compare
from resnet_repro.data.imagefolder.decode import read_image, scaled_size
from resnet_repro.data.imagefolder.listing import load
from resnet_repro.data.imagefolder.loader import SIDES, ImageFolderLoader
from resnet_repro.data.imagefolder.split import ImageFolder, make_split
from resnet_repro.data.imagefolder.statistics import Statistics
from resnet_repro.records import provenance
from resnet_repro.records.files import write_atomic, write_json

OURS, PAPER_VIEWS, REFERENCE = (
    "ours",
    "torchvision, the paper's views",
    "torchvision, its own views",
)
# The constants most scripts copy; which ones they are changes no timing.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
ENLARGED = (375, 95)  # shorter side in pixels, and quality

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
    compared: int = 200  # images that every way decodes in every repeat


def ours(plan: Plan) -> Iterator[Any]:
    """Batches as training takes them, with the colour augmentation that torchvision lacks."""
    # Any mean and any colours take the same time as the right ones.
    still = Statistics(
        torch.zeros(plan.crop, plan.crop, 3), torch.ones(3), torch.ones(3), torch.eye(3)
    )
    stream = ImageFolderLoader(
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


def enlarged(data: ImageFolder, count: int, folder: Path) -> ImageFolder:
    """About `count` of the training images, evenly from all classes, enlarged into `folder`."""
    side, quality = ENLARGED
    images = []
    paths = data.train.paths
    for i in range(0, len(paths), max(1, len(paths) // count)):
        image = read_image(data.train.place(i))
        times = side / min(image.size)
        size = round(image.width * times), round(image.height * times)
        path = folder / paths[i]
        path.parent.mkdir(parents=True, exist_ok=True)
        image.resize(size, Image.Resampling.BICUBIC).save(path, "JPEG", quality=quality)
        images.append((paths[i], path.stat().st_size, int(data.train.labels[i])))
    return dataclasses.replace(data, train=make_split(folder, images))


def measure(plan: Plan, tell: Callable[[str], None]) -> dict[str, Any]:
    """Images per second of all pipelines, and how all ways to decode compare."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rates = _rates(plan, tell)
        tell("decoders")
        paths = plan.data.train.paths
        chosen = [paths[i * len(paths) // plan.compared] for i in range(plan.compared)]
        images = [(plan.data.train.root / path).read_bytes() for path in chosen]
        ways = compare(images, plan.crop, plan.repeats)
    finally:
        torch.set_num_threads(threads)
    return {
        "images": len(paths),
        "shorter_side": statistics.median_low(min(Image.open(io.BytesIO(i)).size) for i in images),
        "bytes": sum(map(len, images)) // len(images),
        "images_per_second_and_core": rates,
        "decoders": [asdict(way) for way in ways],
    }


def _rates(plan: Plan, tell: Callable[[str], None]) -> dict[str, list[float]]:
    """All pipelines in turn within every repeat, the order reversed in every second one."""
    batches = {name: make(plan) for name, make in PIPELINES.items()}
    rates: dict[str, list[float]] = {name: [] for name in PIPELINES}
    try:
        for stream in batches.values():
            next(stream)
        for repeat in range(plan.repeats):
            for name in list(PIPELINES)[:: 1 if repeat % 2 == 0 else -1]:
                tell(f"{name}, repeat {repeat + 1} of {plan.repeats}")
                rates[name].append(_rate(batches[name], plan))
    finally:
        for stream in batches.values():
            stream.close()  # type: ignore[attr-defined]
    return rates


def _rate(batches: Iterator[Any], plan: Plan) -> float:
    """Images per second and core over about `plan.seconds`.

    Where this process does all the work its own processor time counts, and other work little.
    """
    clock = time.perf_counter if plan.workers else time.process_time
    # What was loaded ahead while others were measured, two batches a worker, is no achievement.
    for _ in range(2 * plan.workers):
        next(batches)
    images, begun = 0, clock()
    while (now := clock()) - begun < plan.seconds or images == 0:
        images += len(next(batches)[1])
    return images / (now - begun) / max(1, plan.workers)


def described(plan: Plan, measured: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Everything measured and what it holds for; no path of this machine's is in it."""
    packages = {name: version(name) for name in ("pillow", "simplejpeg")}
    return {
        "processor": provenance.processor_name(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "threads": 1,
        "versions": provenance.versions() | packages,
        "digest": plan.data.digest,
        "crop": plan.crop,
        "batch_size": plan.batch_size,
        "workers": plan.workers,
        "seconds": plan.seconds,
        "repeats": plan.repeats,
        "compared": plan.compared,
        "measured": list(measured),
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
    compared: Annotated[int, typer.Option(min=1, help="Images that every way decodes.")] = 200,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where results are written.")] = OUT,
    page: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Renew the tables between its images markers."),
    ] = None,
) -> None:
    """Measure how fast photographs become batches, beside torchvision's pipeline, and decoders.

    Leave the machine alone meanwhile: pipelines take turns, but other work disturbs each.
    """
    # Here, because every worker process imports this module and shows nothing.
    from benchmarks import images_table as table
    from resnet_repro.cli.console import print_rows
    from resnet_repro.report.write import update_between_markers

    console = Console(markup=False, emoji=False)

    def say(text: str) -> None:
        console.print(text, highlight=False, soft_wrap=True)

    data = load("image-folder", data_root, say=say)
    plan = Plan(data, crop, batch_size, workers, repeats, seconds, compared)
    with tempfile.TemporaryDirectory() as folder:
        larger = enlarged(data, 3 * compared, Path(folder))
        plans = (plan, dataclasses.replace(plan, data=larger))
        about = described(plan, [measure(each, say) for each in plans])
    text = table.markdown(about)
    write_json(out / "images.json", about)
    write_atomic(out / "images.md", text.encode())
    if page is not None:
        update_between_markers(page, "images", text)
    print_rows(console, "Pipelines", table.COLUMNS, list(table.rows(about)))
    print_rows(console, "Decoders", table.WAY_COLUMNS, list(table.way_rows(about)))


if __name__ == "__main__":
    # Here, because every worker process imports this module and needs no other benchmark.
    from benchmarks.cifar import main

    raise SystemExit(main(app))
