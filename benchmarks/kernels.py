"""The CPU kernels beside PyTorch's operations, one by one: `python -m benchmarks.kernels`.

The 3x3 convolution and batch normalisation with ReLU and residual, by our kernels, by PyTorch on
channels-last tensors and by PyTorch on NCHW tensors, which take turns within each round.
Convolutions of more channels than our kernel is used for are timed, too: they show why it is not.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from torch import Tensor, nn
from torch.utils.benchmark import Timer

from benchmarks import machine
from benchmarks.machine import OUT, Result
from resnet_repro.cli.console import print_rows
from resnet_repro.errors import UserError
from resnet_repro.kernels import available
from resnet_repro.kernels.winograd import WinogradConv2d
from resnet_repro.markup import Grid, markdown_grid
from resnet_repro.models.batch_norm import GhostBatchNorm2d
from resnet_repro.models.blocks import norm_relu
from resnet_repro.records.files import write_atomic
from resnet_repro.records.provenance import utc_now
from resnet_repro.runtime.device import Device, autocast, choose
from resnet_repro.train.recipe import PAPER

STAGES = (  # images, channels, pixels a side: of a CIFAR net, and of ResNet-34 at crops of 224
    *((128, 16, 32), (128, 32, 16), (128, 64, 8)),
    *((32, 64, 56), (32, 128, 28), (32, 256, 14), (32, 512, 7)),
)
WAYS = ("ours", "channels last", "NCHW")
PASSES = ("forward", "backward")
PLACE = ("operation", "images", "channels", "pixels")
COLUMNS = (*PLACE, *(f"{which}: {way}" for which in PASSES for way in WAYS))
NOTES = (
    "By `python -m benchmarks.kernels`, in milliseconds. Normalisation is with the residual's "
    "addition and ReLU; PyTorch's is over the whole batch, ours over as many of its images as the "
    "recipe says."
)

Step = Callable[[], None]
Passes = dict[str, Step]
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def both_passes(compute: Callable[[], Tensor], leaves: list[Tensor], device: Device) -> Passes:
    """The forward pass, and the backward pass of one forward pass done before."""
    with autocast(device):
        out = compute()
    gradient = torch.ones_like(out)

    def forward() -> None:
        with torch.no_grad(), autocast(device):
            compute()

    def backward() -> None:
        torch.autograd.grad(out, leaves, gradient, retain_graph=True)

    return {"forward": forward, "backward": backward}


def operations(stage: tuple[int, int, int], device: Device) -> dict[str, dict[str, Passes]]:
    """What is timed at one stage: by operation, by way, by pass."""
    images, channels, side = stage
    found: dict[str, dict[str, Passes]] = {"convolution": {}, "normalisation": {}}
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(2, images, channels, side, side, generator=generator)
    values = values.to(torch.bfloat16 if device.precision == "bf16" else torch.float32)
    for way in WAYS:
        layout = torch.contiguous_format if way == "NCHW" else torch.channels_last
        x, residual = (v.contiguous(memory_format=layout).requires_grad_() for v in values)
        kind = WinogradConv2d if way == "ours" else nn.Conv2d
        convolution = kind(channels, channels, 3, padding=1, bias=False)
        convolution.to(memory_format=layout)
        norm: nn.BatchNorm2d = nn.BatchNorm2d(channels)
        if way == "ours":
            norm = GhostBatchNorm2d(channels, PAPER.bn_batch)
            norm.use_kernel = True
        found["convolution"][way] = both_passes(
            lambda c=convolution, x=x: c(x),  # type: ignore[misc]
            [x, convolution.weight],
            device,
        )
        found["normalisation"][way] = both_passes(
            lambda n=norm, x=x, r=residual: norm_relu(n, nn.ReLU(inplace=True), x, r),  # type: ignore[misc]
            [x, residual, norm.weight, norm.bias],
            device,
        )
    return found


def median_ms(ways: dict[str, Step], repeats: int, seconds: float) -> dict[str, float]:
    """Median time of each way in milliseconds, the ways taking turns of `seconds` each."""
    threads = torch.get_num_threads()
    timers = {w: Timer("f()", globals={"f": f}, num_threads=threads) for w, f in ways.items()}
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(repeats):
        for way, timer in timers.items():
            times[way].append(1e3 * timer.blocked_autorange(min_run_time=seconds).median)
    return {way: statistics.median(found) for way, found in times.items()}


def cells(rows: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    """The table's rows as text, COLUMNS each."""
    return [
        (*(str(r[name]) for name in PLACE), *(f"{r[p][w]:.2f}" for p in PASSES for w in WAYS))
        for r in rows
    ]


def markdown(results: Sequence[Result]) -> str:
    """Every machine's table under its name."""
    parts = ["# Single operations\n", f"{NOTES}\n"]
    for result in results:
        facts = result.facts
        parts += [
            f"## {result.machine.words}\n",
            f"Median of {facts['repeats']}; ours normalises over {facts['bn_batch']} images.\n",
            markdown_grid(Grid(COLUMNS, tuple(cells(result.rows)))),
        ]
    return "\n".join(parts)


@app.command()
def kernels(
    precision: Annotated[str, typer.Option(help="Of all: fp32 or bf16.")] = "fp32",
    repeats: Annotated[int, typer.Option(min=1, help="Rounds of each operation.")] = 5,
    seconds: Annotated[float, typer.Option(min=0.001, help="Of one way in one round.")] = 0.2,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where results are written.")] = OUT,
) -> None:
    """Time each CPU kernel beside PyTorch's operations."""
    if not available():
        raise UserError("the CPU kernels are not built: install the package with a C++ compiler")
    device, started, rows = choose("cpu", precision), utc_now(), []
    for stage in STAGES:
        place = (*stage[:2], f"{stage[2]} x {stage[2]}")
        for name, ways in operations(stage, device).items():
            row: dict[str, Any] = dict(zip(PLACE, (name, *place), strict=True))
            for which in PASSES:
                steps = {way: passes[which] for way, passes in ways.items()}
                row[which] = median_ms(steps, repeats, seconds)
            rows.append(row)
    facts = machine.facts(started) | {"repeats": repeats, "seconds": seconds}
    machine.write(out, "kernels", Result(machine.this_machine(device), facts, rows))
    write_atomic(out / "kernels.md", markdown(machine.read(out, "kernels")).encode())
    print_rows(Console(markup=False, emoji=False), "CPU kernels", COLUMNS, cells(rows))


if __name__ == "__main__":
    from benchmarks.cifar import main

    raise SystemExit(main(app))
