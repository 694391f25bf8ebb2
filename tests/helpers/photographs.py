"""A handful of small JPEGs in ImageNet's layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from resnet_repro.data.imagefolder.listing import IMAGENETTE


def make_imagenette(root: Path, train: int = 4, val: int = 2) -> Path:
    """Write so many images of each of Imagenette's classes below `root`, and return it.

    Each class has a tint of its own under noise, so that there is something to learn; sizes and
    aspects differ.
    """
    rng = np.random.default_rng(0)
    for label, wnid in enumerate(IMAGENETTE):
        tint = np.array([label * 25, 255 - label * 25, 128])
        for split, count in (("train", train), ("val", val)):
            folder = root / split / wnid
            folder.mkdir(parents=True)
            for number in range(count):
                height, width = 40 + int(rng.integers(24)), 40 + int(rng.integers(24))
                noise = rng.integers(-60, 60, (height, width, 3))
                pixels = np.clip(tint + noise, 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{wnid}_{number}.JPEG", quality=90)
    return root
