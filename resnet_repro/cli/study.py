"""The command that looks into recorded networks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from resnet_repro.cli.console import console, print_json, print_rows
from resnet_repro.cli.options import AsJson, DataRoot, Device, as_run
from resnet_repro.records.probes import PROBES


def study(
    name: Annotated[str, typer.Argument(metavar="NAME", help=f"One of {', '.join(PROBES)}.")],
    run: Annotated[
        list[Path] | None,
        typer.Option(
            parser=as_run,
            metavar="RUN",
            help="A recorded run of a CIFAR network, its folder or name; may be repeated.",
        ),
    ] = None,
    data_root: DataRoot = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Study recorded networks, block by block, and file what is found beside them."""
    from resnet_repro.evaluate.probes import run as command
    from resnet_repro.runtime.device import choose

    chosen = choose(device, "fp32", kernels="off", compile="off", graph="off")
    errors = console(stderr=True)
    found = command.study(
        name,
        run or (),
        data_root,
        chosen,
        lambda text: errors.print(text, highlight=False, soft_wrap=True),
    )
    if as_json:
        print_json([{"file": str(path), "values": dict(e.values)} for e, path in found])
        return
    rows = [
        (str(path.parents[1]), key, f"{value:.4g}")
        for e, path in found
        for key, value in e.values.items()
        if isinstance(value, int | float)
    ]
    print_rows(console(), f"Study: {name}", ("run", "value", ""), rows)
    for _, path in found:
        console().print(f"wrote {path}", highlight=False, soft_wrap=True)
