"""The command that counts a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from resnet_repro.cli.console import Rows, console, json_text, print_json, print_rows
from resnet_repro.cli.options import AsJson, as_path
from resnet_repro.records.files import write_atomic


def describe(
    network: str,
    as_json: AsJson = False,
    out: Annotated[
        Path | None,
        typer.Option(parser=as_path, metavar="FILE", help="Write the JSON here instead."),
    ] = None,
) -> None:
    """A network's layers, parameters and multiply-adds, stage by stage, counted."""
    from resnet_repro.models import describe as counting

    found = counting.to_json(counting.describe(network))
    if out is not None:
        write_atomic(out, json_text(found).encode())
        return
    if as_json:
        print_json(found)
        return
    shape = " x ".join(str(n) for n in found["input"])
    print_rows(console(), f"{network}, one {shape} image", *stage_rows(found))


def stage_rows(found: dict[str, Any]) -> Rows:
    """Columns and rows of a described network, its total last."""
    rows = [
        (
            stage["name"],
            stage["layers"],
            " x ".join(str(n) for n in stage["output"]),
            f"{stage['parameters']:,}",
            f"{stage['multiply_adds']:,}",
        )
        for stage in found["stages"]
    ]
    parameters, multiply_adds = f"{found['parameters']:,}", f"{found['multiply_adds']:,}"
    rows.append(("total", f"{found['depth']} layers", "", parameters, multiply_adds))
    return ("stage", "layers", "output", "parameters", "multiply-adds"), rows
