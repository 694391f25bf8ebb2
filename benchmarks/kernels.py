"""The CPU kernels beside PyTorch's operations, one by one: `python -m benchmarks.kernels`.

For each stage of a CIFAR net, at a batch of 128, and of ResNet-34 for ImageNet, at 32 crops of 224
pixels: the 3x3 convolution and batch normalisation with ReLU and residual, forward and backward,
computed by our kernels, by PyTorch on channels-last tensors and by PyTorch on NCHW tensors. The
ways take turns within each repeat; what is reported is the median over repeats. Convolutions of
more channels than our kernel is used for are timed all the same: they show why it is not.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from torch import Tensor, nn

from benchmarks.cifar import OUT
from resnet_repro.display import print_rows
from resnet_repro.errors import UserError
from resnet_repro.kernels import available
from resnet_repro.kernels.winograd import WinogradConv2d
from resnet_repro.models.batch_norm import GhostBatchNorm2d
from resnet_repro.models.blocks import norm_relu
from resnet_repro.records.files import write_atomic
from resnet_repro.records.provenance import processor_name
from resnet_repro.report.write import update_between_markers

STAGES = (  # images, channels, pixels a side
    *((128, 16, 32), (128, 32, 16), (128, 64, 8)),
    *((32, 64, 56), (32, 128, 28), (32, 256, 14), (32, 512, 7)),
)
WAYS = ("ours", "channels last", "NCHW")
COLUMNS = ("operation", "images", "channels", "pixels", *(f"{way}, ms" for way in WAYS))

Step = Callable[[], None]
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def both_ways(compute: Callable[[], Tensor], leaves: list[Tensor]) -> tuple[Step, Step]:
    """The forward pass, and the backward pass of one forward pass done before."""
    out = compute()
    gradient = torch.ones_like(out)

    def forward() -> None:
        with torch.no_grad():
            compute()

    def backward() -> None:
        torch.autograd.grad(out, leaves, gradient, retain_graph=True)

    return forward, backward


def operations(images: int, channels: int, side: int) -> dict[str, dict[str, Step]]:
    """What is timed at one stage: by operation, by way."""
    found: dict[str, dict[str, Step]] = {}
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(2, images, channels, side, side, generator=generator)
    for way in WAYS:
        layout = torch.contiguous_format if way == "NCHW" else torch.channels_last
        x, residual = (v.contiguous(memory_format=layout).requires_grad_() for v in values)
        kind = WinogradConv2d if way == "ours" else nn.Conv2d
        convolution = kind(channels, channels, 3, padding=1, bias=False)
        convolution.to(memory_format=layout)
        norm: nn.BatchNorm2d = nn.BatchNorm2d(channels)
        if way == "ours":
            norm = GhostBatchNorm2d(channels, images)
            norm.use_kernel = True
        pairs = {
            "convolution": both_ways(
                lambda c=convolution, x=x: c(x),  # type: ignore[misc]
                [x, convolution.weight],
            ),
            "normalisation, residual and ReLU": both_ways(
                lambda n=norm, x=x, r=residual: norm_relu(n, nn.ReLU(inplace=True), x, r),  # type: ignore[misc]
                [x, residual, norm.weight, norm.bias],
            ),
        }
        for name, (forward, backward) in pairs.items():
            found.setdefault(f"{name}, forward", {})[way] = forward
            found.setdefault(f"{name}, backward", {})[way] = backward
    return found


def median_ms(ways: dict[str, Step], repeats: int) -> dict[str, float]:
    """Median time of each way in milliseconds, the ways taking turns."""
    times: dict[str, list[float]] = {way: [] for way in ways}
    for repeat in range(repeats + 2):  # the first two warm up
        for way, step in ways.items():
            start = time.perf_counter()
            step()
            if repeat > 1:
                times[way].append(1e3 * (time.perf_counter() - start))
    return {way: statistics.median(found) for way, found in times.items()}


def markdown(rows: list[tuple[str, ...]], repeats: int) -> str:
    """The table, under a line that says what was measured where."""
    lines = [
        "| " + " | ".join(COLUMNS) + " |",
        "|" + " --- |" * len(COLUMNS),
        *("| " + " | ".join(row) + " |" for row in rows),
        "",
        f"{processor_name()}, {torch.get_num_threads()} threads, torch {torch.__version__}; "
        f"float32, median of {repeats}.",
    ]
    return "\n".join(lines) + "\n"


@app.command()
def kernels(
    repeats: Annotated[int, typer.Option(min=1, help="Of each operation.")] = 30,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where results are written.")] = OUT,
    page: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Renew the table between its kernels markers."),
    ] = None,
) -> None:
    """Time each CPU kernel beside PyTorch's operations."""
    if not available():
        raise UserError(
            "the CPU kernels are not built: install the package with a C++ compiler at hand"
        )
    rows = []
    for images, channels, side in STAGES:
        place = (str(images), str(channels), f"{side} x {side}")
        for name, ways in operations(images, channels, side).items():
            found = median_ms(ways, repeats)
            rows.append((name, *place, *(f"{found[way]:.2f}" for way in WAYS)))
    text = markdown(rows, repeats)
    write_atomic(out / "kernels.md", text.encode())
    if page is not None:
        update_between_markers(page, "kernels", text)
    print_rows(Console(markup=False, emoji=False), "CPU kernels", COLUMNS, rows)


if __name__ == "__main__":
    from benchmarks.cifar import main

    raise SystemExit(main(app))
