"""What is known of each data set before it is read. Imports nothing of ours, and no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Facts:
    """Of one of DATASETS, in its published copy.

    classes: how many; 0 where any number will do. train, test: images, 0 where any number will do.
    digest: `Dataset.digest`, empty for files, whose digest is of names and sizes. photographs:
    whether it stays image files, of which the ImageNet networks see crops.
    """

    classes: int = 0
    train: int = 0
    test: int = 0
    digest: str = ""
    photographs: bool = False


DATASETS: dict[str, Facts] = {
    "cifar10": Facts(
        classes=10,
        train=50_000,
        test=10_000,
        digest="5c2c5bf7f9d3e8a4c1269850d345d07429b2bfb66e573d17ddfa06716bd251b1",
    ),
    # The paper's split for its comparison of warm-up and depth (section 4.2).
    "cifar10-45k": Facts(
        classes=10,
        train=45_000,
        test=5_000,
        digest="eb83a41c2177054fd3cdfd6a98529f2af5cacf37ba3bbdbb223ff903e570073a",
    ),
    "digits": Facts(
        classes=10,
        train=1_437,
        test=360,
        digest="febb4ba4694739b7b9a6bbc840a8e5c9e9621a2fdd0125fd3ebf2433fe67f654",
    ),
    "imagenet": Facts(classes=1000, train=1_281_167, test=50_000, photographs=True),
    "imagenette": Facts(classes=10, train=9_469, test=3_925, photographs=True),
    "image-folder": Facts(photographs=True),
}
PHOTOGRAPHS = tuple(name for name, facts in DATASETS.items() if facts.photographs)
