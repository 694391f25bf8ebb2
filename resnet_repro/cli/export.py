"""The command that makes a recorded net usable elsewhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from resnet_repro.cli.console import console
from resnet_repro.cli.options import DataRoot, as_path, as_run
from resnet_repro.errors import UserError


def export(
    run: Annotated[
        Path,
        typer.Argument(
            parser=as_run,
            metavar="RUN",
            help="A recorded run of a CIFAR network: its folder, or its name such as "
            "cifar10/resnet20/short/seed0.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            parser=as_path,
            metavar="DIR",
            help="A new folder; named after the network, data set and protocol if not given.",
        ),
    ] = None,
    push: Annotated[
        str | None,
        typer.Option(metavar="OWNER/NAME", help="Upload it to the Hugging Face hub, too."),
    ] = None,
    data_root: DataRoot = None,
) -> None:
    """Write a recorded net as float32 safetensors, config.json and a model card."""
    from resnet_repro.evaluate import export as command
    from resnet_repro.evaluate.recorded import cifar_record

    if push is not None and not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", push, re.ASCII):
        raise UserError(f"--push {push!r}: give OWNER/NAME, such as ada/resnet20-cifar10")
    named = cifar_record(run).run
    target = out or Path(f"{named.arm}-{named.dataset}-{named.protocol}")
    print_line = console().print
    print_line(f"wrote {command.export(run, target, data_root)}", highlight=False, soft_wrap=True)
    if push is not None:
        print_line(f"pushed {command.push(target, push)}", highlight=False, soft_wrap=True)
