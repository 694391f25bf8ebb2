"""What several commands share: options, and how they print."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
import typer
from rich.console import Console

from resnet_repro.errors import UserError

CACHE = Path(platformdirs.user_cache_dir("resnet_repro"))

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Results = Annotated[
    Path, typer.Option("--results-dir", metavar="DIR", help="Folder of your records.")
]
Cache = Annotated[
    Path, typer.Option(metavar="DIR", help="Where checkpoints and mean images are kept.")
]
DataRoot = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Where the data are; $RESNET_REPRO_DATA or data/ if not."),
]
Corrupt = Annotated[
    Literal["fail", "skip"], typer.Option(help="What to do about image files that are none.")
]
Device = Annotated[Literal["auto", "cpu", "cuda", "mps"], typer.Option()]
Precision = Annotated[Literal["auto", "fp32", "tf32", "bf16"], typer.Option()]
Workers = Annotated[
    int | None, typer.Option(metavar="N", min=0, help="Processes that read image files.")
]


def console() -> Console:
    """Standard output, as it is written to."""
    return Console(markup=False, emoji=False)


def json_text(value: Any) -> str:
    """A value as indented JSON."""
    return json.dumps(value, indent=2, allow_nan=False) + "\n"


def print_json(value: Any) -> None:
    """Write a value to standard output as indented JSON."""
    sys.stdout.write(json_text(value))


def whole(text: str, option: str) -> int:
    """A whole number given to an option. Raises UserError for another text."""
    try:
        return int(text)
    except ValueError:
        raise UserError(f"{option} '{text}': give whole numbers with commas between") from None
