"""The command that tests networks on image files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from resnet_repro.cli.options import (
    CACHE,
    AsJson,
    Cache,
    Corrupt,
    DataRoot,
    Device,
    Precision,
    Workers,
    console,
    json_text,
    print_json,
    whole,
)
from resnet_repro.display import print_rows
from resnet_repro.errors import UserError
from resnet_repro.records.files import write_atomic


def evaluate(
    arch: Annotated[
        list[str] | None,
        typer.Option(metavar="NETWORK", help="Such as resnet50-v1.5; several are an ensemble."),
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE|torchvision",
            help="Of each --arch: .safetensors, .pth, torchvision or torchvision:IMAGENET1K_V2.",
        ),
    ] = None,
    run: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="A recorded run instead; several are an ensemble."),
    ] = None,
    data_root: DataRoot = None,
    dataset: Annotated[
        Literal["imagenet", "imagenette", "image-folder"] | None,
        typer.Option(help="The runs' own, or imagenet, if not given."),
    ] = None,
    corrupt: Corrupt = "fail",
    crops: Annotated[
        Literal["center", "10", "dense"],
        typer.Option(help="Centre crop, ten crops, or everywhere at several sizes."),
    ] = "center",
    sizes: Annotated[
        str,
        typer.Option(metavar="256,...", help="Shorter sides in pixels; the paper's if not given."),
    ] = "",
    crop: Annotated[
        int | None, typer.Option(metavar="PIXELS", help="The runs' own, or 224, if not given.")
    ] = None,
    bn: Annotated[
        Literal["moving", "recomputed"],
        typer.Option(help="BN's statistics: the weights' own, or over all training images."),
    ] = "moving",
    mean: Annotated[
        Literal["torchvision", "pixel", "channel", "channel-std"],
        typer.Option(help="What is subtracted, with --arch; all but the first of train/."),
    ] = "torchvision",
    device: Device = "auto",
    precision: Precision = "auto",
    workers: Workers = None,
    batch_size: Annotated[
        int, typer.Option(metavar="N", min=1, help="Crops to compute at once.")
    ] = 64,
    cache_dir: Cache = CACHE,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the JSON here, too.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Test networks with weights, or recorded runs, on validation images."""
    arch, weights = arch or [], weights or []
    if len(arch) != len(weights):
        raise UserError(f"{len(arch)} --arch and {len(weights)} --weights: give one for each")
    from resnet_repro import evaluation_display as shown
    from resnet_repro.evaluate.imagenet import run as command
    from resnet_repro.runtime.device import choose

    request = command.Request(
        networks=tuple(zip(arch, weights, strict=True)),
        runs=tuple(run or ()),
        crops=crops,
        sizes=tuple(whole(text, "--sizes") for text in sizes.split(",") if text),
        crop=crop,
        bn=bn,
        mean=mean,
        dataset=dataset,
        data_root=data_root,
        batch_size=batch_size,
        corrupt=corrupt,
    )
    chosen = choose(
        device,
        precision,
        kernels="off",
        compile="off",
        graph="off",
        photographs=True,
        workers=workers,
    )
    # Only the result goes to standard output.
    steps = shown.Steps(Console(markup=False, emoji=False, stderr=True))
    with steps.bars:
        found = command.evaluate(request, chosen, cache_dir, steps.say, steps.step)
    if out is not None:
        write_atomic(out, json_text(shown.to_json(found)).encode())
    if as_json:
        print_json(shown.to_json(found))
        return
    print_rows(console(), "Evaluation", *shown.result_rows(found))
    for path in (found.path, out):
        if path is not None:
            console().print(f"wrote {path}", highlight=False, soft_wrap=True)
