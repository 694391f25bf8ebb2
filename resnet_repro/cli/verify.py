"""The command that checks records."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from resnet_repro import paths
from resnet_repro.cli.console import console, print_json
from resnet_repro.cli.options import AsJson, as_path
from resnet_repro.sweep import status as overview


def verify(
    results_dir: Annotated[
        Path, typer.Option(parser=as_path, metavar="DIR", help="Records to check.")
    ] = paths.RECORDED,
    as_json: AsJson = False,
) -> None:
    """Check every finished record: schema, hashes, completeness, agreement."""
    found = overview.verify(results_dir)
    if as_json:
        print_json(found)
    else:
        for item in found["problems"]:
            console().print(f"{item['run']}: {item['problem']}", highlight=False, soft_wrap=True)
        console().print(f"{found['records']} records, {len(found['problems'])} problems")
    if found["problems"]:
        raise typer.Exit(1)
