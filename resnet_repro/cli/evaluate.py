"""The command that tests networks: on image files, and recorded CIFAR nets on their data."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from msgspec import structs

from resnet_repro.cli.console import console, json_text, print_json, print_rows
from resnet_repro.cli.options import (
    CACHE,
    AsJson,
    Cache,
    Corrupt,
    DataRoot,
    Device,
    Precision,
    Workers,
    as_path,
    as_run,
    numbers,
)
from resnet_repro.cli.progress import Steps
from resnet_repro.errors import UserError
from resnet_repro.models.names import CifarName, parse
from resnet_repro.records import store
from resnet_repro.records.files import is_file, write_atomic
from resnet_repro.records.schema import SCHEMA

if TYPE_CHECKING:
    from resnet_repro.evaluate.imagenet.run import Evaluated


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
        typer.Option(
            parser=as_run,
            metavar="RUN",
            help="A recorded run instead, its folder or name; several are an ensemble. Of CIFAR "
            "networks each is tested by itself, on its data set's test images.",
        ),
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
        Path | None, typer.Option(parser=as_path, metavar="FILE", help="Write the JSON here, too.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Test networks with weights, or recorded runs, on validation images."""
    arch, weights = arch or [], weights or []
    if len(arch) != len(weights):
        raise UserError(f"{len(arch)} --arch and {len(weights)} --weights: give one for each")
    if run and not arch and _of_cifar(run[0]):
        odd = {
            "crops": crops != "center",
            "sizes": sizes,
            "crop": crop,
            "bn": bn != "moving",
            "mean": mean != "torchvision",
            "dataset": dataset,
            "corrupt": corrupt != "fail",
            "precision": precision not in ("auto", "fp32"),
        }
        for option, given in odd.items():
            if given:
                raise UserError(
                    f"--{option} goes with photographs: a CIFAR run is tested on its own data "
                    "set's test images, as it was trained, in fp32"
                )
        _evaluate_cifar(run, data_root, device, out, as_json)
        return
    from resnet_repro.evaluate.imagenet import run as command
    from resnet_repro.runtime.device import choose

    request = command.Request(
        networks=tuple(zip(arch, weights, strict=True)),
        runs=tuple(run or ()),
        crops=crops,
        sizes=numbers(sizes, "--sizes"),
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
    steps = Steps(console(stderr=True))
    with steps.bars:
        found = command.evaluate(request, chosen, cache_dir, steps.say, steps.step)
    if out is not None:
        write_atomic(out, json_text(to_json(found)).encode())
    if as_json:
        print_json(to_json(found))
        return
    print_rows(console(), "Evaluation", *result_rows(found))
    for path in (found.path, out):
        if path is not None:
            console().print(f"wrote {path}", highlight=False, soft_wrap=True)


def _of_cifar(folder: Path) -> bool:
    """Whether the folder of a run is one of a CIFAR network's; False where that is not known."""
    spec = folder / "spec.json"
    return is_file(spec) and isinstance(parse(store.read_spec(folder).network), CifarName)


def _evaluate_cifar(
    runs: list[Path],
    data_root: Path | None,
    device: Literal["auto", "cpu", "cuda", "mps"],
    out: Path | None,
    as_json: bool,
) -> None:
    """Test each run's net, beside what its record says of the same weights. Nothing is filed."""
    from resnet_repro.evaluate.recorded import measure_recorded
    from resnet_repro.runtime.device import choose

    chosen = choose(device, "fp32", kernels="off", compile="off", graph="off")
    found = measure_recorded(runs, data_root, chosen)
    told = [
        {
            "run": str(tested.record.run),
            "images": tested.images,
            "test_loss": tested.loss,
            "test_error": tested.error,
            "recorded_test_error": tested.recorded,
        }
        for tested in found
    ]
    text = json_text({"schema": SCHEMA, "tested": told})
    if out is not None:
        write_atomic(out, text.encode())
    if as_json:
        print_json({"schema": SCHEMA, "tested": told})
        return
    rows = [
        (
            str(tested.record.run),
            tested.images,
            f"{tested.error:.2f}",
            "" if tested.recorded is None else f"{tested.recorded:.2f}",
        )
        for tested in found
    ]
    columns = ("run", "test images", "test error %", "as recorded %")
    print_rows(console(), "Evaluation", columns, rows)
    if out is not None:
        console().print(f"wrote {out}", highlight=False, soft_wrap=True)


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
        **structs.asdict(found.evaluation),
        "torchvision": published,
    }
