"""The options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import platformdirs
import typer

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


def whole(text: str, option: str) -> int:
    """A whole number given to an option. Raises UserError for another text."""
    try:
        return int(text)
    except ValueError:
        raise UserError(f"{option} '{text}': give whole numbers with commas between") from None
