"""What a data set is to the rest of the suite: uint8 images, labels, and a digest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Images (N, C, H, W) uint8 and labels (N,) int64, in canonical order, and their digest."""

    images: Images
    labels: Labels
    digest: str

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Dataset:
    """A training split, a test split and the class names, index = label."""

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]

    @property
    def digest(self) -> str:
        """One digest of both splits: SHA-256 over the two, in hexadecimal."""
        return hashlib.sha256(f"{self.train.digest} {self.test.digest}".encode()).hexdigest()


def make_split(images: Images, labels: Labels) -> Split:
    """Sort the images by their SHA-256 and digest them.

    Every copy of a data set holds the same images in another order; the training stream
    names images by position, so positions must mean the same in every copy. The digest is
    order-free: the sum modulo 2^256 of each image's SHA-256 over its channel-first bytes
    followed by one label byte.

    images: (N, C, H, W) uint8; labels: (N,) of 0 ... 255.
    Raises ValueError when the two do not fit together.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or labels.shape != (len(images),):
        raise ValueError(f"images {images.dtype} {images.shape}, labels {labels.shape}")
    images = np.ascontiguousarray(images)
    hashes = [
        hashlib.sha256(image.tobytes() + bytes([int(label)])).digest()
        for image, label in zip(images, labels, strict=True)
    ]
    total = sum(int.from_bytes(h, "big") for h in hashes) % 2**256
    order = sorted(range(len(hashes)), key=hashes.__getitem__)
    return Split(
        images=np.ascontiguousarray(images[order]),
        labels=np.ascontiguousarray(labels[order].astype(np.int64)),
        digest=f"{total:064x}",
    )


def hold_out(split: Split, per_class: int, seed: int = 0) -> tuple[Split, Split]:
    """Split off `per_class` images of each class: (the rest, the held-out).

    The choice is seeded and stratified, and independent of the copy's order (the paper's
    45k/5k split, section 4.2). Raises ValueError when a class has too few images.
    """
    # Raw Philox words rather than Generator.permutation: their values are fixed for all
    # versions of NumPy.
    words = np.random.Philox(key=[seed, 0x5B117]).random_raw(len(split))
    held = np.zeros(len(split), dtype=bool)
    for label in np.unique(split.labels):
        members = np.flatnonzero(split.labels == label)
        if len(members) <= per_class:
            raise ValueError(f"class {label} has {len(members)} images, {per_class} to hold out")
        held[members[np.argsort(words[members], kind="stable")[:per_class]]] = True
    return (
        make_split(split.images[~held], split.labels[~held]),
        make_split(split.images[held], split.labels[held]),
    )
