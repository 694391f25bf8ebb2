"""The command that reads a data set."""

from __future__ import annotations

from typing import Annotated

import typer

from resnet_repro.cli.console import console, print_rows
from resnet_repro.cli.options import CACHE, Cache, DataRoot
from resnet_repro.data import cifar10, load
from resnet_repro.data.dataset import Dataset
from resnet_repro.errors import UserError
from resnet_repro.records.datasets import DATASETS


def data(
    name: Annotated[str, typer.Argument(metavar="NAME", help=f"One of {', '.join(DATASETS)}.")],
    data_root: DataRoot = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch CIFAR-10 first (170 MB).")
    ] = False,
    cache_dir: Cache = CACHE,
) -> None:
    """Read a data set and say what is in it."""
    if download:
        if not name.startswith("cifar10"):
            raise UserError(f"{name} needs no download")
        cifar10.download(data_root or cifar10.default_root())
    found = load(name, data_root, cache=cache_dir)
    if isinstance(found, Dataset):
        what, said = "shape", " x ".join(str(n) for n in found.train.images.shape[1:])
    else:
        what, said = "form", found.form
    rows = [
        (split, len(part), said, part.digest)
        for split, part in (("train", found.train), ("test", found.test))
    ]
    print_rows(console(), name, ("split", "images", what, "digest"), rows)
