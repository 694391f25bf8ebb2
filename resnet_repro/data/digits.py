"""Handwritten digits that come with scikit-learn: real data that needs no download."""

from __future__ import annotations

import numpy as np
from PIL import Image

from resnet_repro.data.dataset import Dataset, hold_out, make_split

SIZE = 16
TEST_PER_CLASS = 36


def load() -> Dataset:
    """scikit-learn's 1,797 digits: 1,437 to train on, 360 (36 a class) to test.

    Images (N, 1, 16, 16) uint8, scaled up from 8x8 pixels of 0 ... 16, as two halvings of
    8x8 would leave the last stage next to nothing; labels (N,) int64. Always the same.
    """
    # Imported here: scikit-learn takes a second to import, and only this data set needs it.
    from sklearn.datasets import load_digits  # type: ignore[import-untyped, unused-ignore]

    bunch = load_digits()
    # Whole numbers throughout, so that every machine gets the same bytes.
    small = ((bunch.images.astype(np.int64) * 255 + 8) // 16).astype(np.uint8)
    images = np.stack(
        [
            np.asarray(Image.fromarray(image).resize((SIZE, SIZE), Image.Resampling.BILINEAR))
            for image in small
        ]
    )
    everything = make_split(images[:, np.newaxis], bunch.target.astype(np.int64))
    train, test = hold_out(everything, TEST_PER_CLASS)
    return Dataset("digits", train, test, tuple(str(digit) for digit in range(10)))
