"""What a recorded CIFAR-10 net subtracts from images, for whoever has no CIFAR-10 at hand.

`python -m resnet_repro.data.means DATA_ROOT` renews the file from the training images.
"""

from __future__ import annotations

import sys
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from resnet_repro.data import load
from resnet_repro.data.dataset import Dataset
from resnet_repro.data.in_memory import training_mean
from resnet_repro.errors import UserError
from resnet_repro.paths import PACKAGE
from resnet_repro.records.datasets import DATASETS
from resnet_repro.records.files import write_atomic

FILE = PACKAGE / "data" / "cifar10_mean.safetensors"
KEPT = "cifar10"  # the data set the file is of
KINDS = ("pixel", "channel", "channel-std")


def mean_of(
    dataset: str, digest: str, kind: str, root: Path | None = None
) -> tuple[Tensor, Tensor | None]:
    """What is subtracted, (C, H, W), and what divides, (C, 1, 1) or nothing; pixels of 0 ... 255.

    dataset, digest: what a spec says of the training images; of CIFAR-10's published copy the
    numbers are kept, of others they are computed. kind: as `training_mean`'s. root: where the
    images are then looked for. Raises UserError for data that are missing or have another digest.
    """
    if digest == DATASETS[KEPT].digest:
        kept = safetensors.torch.load_file(FILE)
        return kept[f"{kind}.mean"], kept.get(f"{kind}.scale")
    data = load(dataset, root)
    if not isinstance(data, Dataset) or data.digest != digest:
        raise UserError(
            f"a net that was trained on another copy of {dataset} (digest {digest[:12]}) needs "
            "that copy's mean image: give its folder as --data-root"
        )
    return _mean(data, kind)


def write_means(data: Dataset, path: Path) -> None:
    """Keep every kind of mean of a data set's training images."""
    kept: dict[str, Tensor] = {}
    for kind in KINDS:
        mean, scale = _mean(data, kind)
        kept |= {f"{kind}.mean": mean} | ({} if scale is None else {f"{kind}.scale": scale})
    write_atomic(path, safetensors.torch.save(kept))


def _mean(data: Dataset, kind: str) -> tuple[Tensor, Tensor | None]:
    mean, scale = training_mean(data.train.images, kind)
    scaled = None if scale is None else scale[:, None, None].contiguous()
    return mean.permute(2, 0, 1).contiguous(), scaled


if __name__ == "__main__":
    torch.set_num_threads(1)
    write_means(load("cifar10", Path(sys.argv[1])), FILE)
