"""The options that several commands share."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import platformdirs
import typer

from resnet_repro import paths
from resnet_repro.errors import UserError
from resnet_repro.paper import artifacts
from resnet_repro.records.files import is_file


def as_path(text: str | Path) -> Path:
    """A path given to an option, `~` and `~user` in it replaced. Raises UserError for no user."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise UserError(f"{text}: there is no such home folder: give the path in full") from None


def as_run(text: str | Path) -> Path:
    """A run's folder, given as such or by its name: cifar10/resnet20/short/seed0.

    A name is looked for among the user's own records, then among the suite's.
    """
    path = as_path(text)
    places = (path, *(results / path for results in (paths.LOCAL, paths.RECORDED)))
    return next((place for place in places if is_file(place / "spec.json")), path)


def _cache() -> Path:
    try:
        return Path(platformdirs.user_cache_dir("resnet_repro"))
    except RuntimeError:  # no HOME and no entry in the system's users, as in a container
        return Path("resnet-repro-cache").absolute()


CACHE = _cache()

MOST_LISTED = 10_000  # numbers in one range


def _artifacts(incomplete: str) -> list[str]:
    return [name for name in artifacts.names() if name.startswith(incomplete)]


Artifact = Annotated[
    str,
    typer.Argument(help="Such as table6; `list` shows them all.", autocompletion=_artifacts),
]
Arms = Annotated[
    str, typer.Option(metavar="A,B", help="Some of the artifact's arms; all unless given.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Results = Annotated[
    Path,
    typer.Option("--results-dir", parser=as_path, metavar="DIR", help="Folder of your records."),
]
Cache = Annotated[
    Path,
    typer.Option(parser=as_path, metavar="DIR", help="Where checkpoints and mean images are kept."),
]
DataRoot = Annotated[
    Path | None,
    typer.Option(
        parser=as_path,
        metavar="DIR",
        help="Where the data are; $RESNET_REPRO_DATA or data/ if not.",
    ),
]
Corrupt = Annotated[
    Literal["fail", "skip"], typer.Option(help="What to do about image files that are none.")
]
Device = Annotated[Literal["auto", "cpu", "cuda", "mps"], typer.Option()]
Precision = Annotated[Literal["auto", "fp32", "tf32", "bf16"], typer.Option()]
Workers = Annotated[
    int | None, typer.Option(metavar="N", min=0, help="Processes that read image files.")
]


def names(text: str) -> tuple[str, ...]:
    """The names in an option's list, each once; commas between, spaces and empty places dropped."""
    return tuple(dict.fromkeys(name for part in text.split(",") if (name := part.strip())))


def numbers(text: str, option: str) -> tuple[int, ...]:
    """The whole numbers in an option's list, each once, where `0-4` is all from 0 to 4.

    Raises UserError for anything else.
    """
    found: dict[int, None] = {}
    for part in names(text):
        match = re.fullmatch(r"([0-9]{1,9})(?:\s*-\s*([0-9]{1,9}))?", part, re.ASCII)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not 0 <= last - first <= MOST_LISTED:
            raise UserError(
                f"{option} '{text}': give whole numbers with commas between, or a range such as 0-4"
            )
        found |= dict.fromkeys(range(first, last + 1))
    return tuple(found)
