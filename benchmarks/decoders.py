"""Ways from a photograph's bytes to the square that training takes: how long, and how far off.

Each way decodes bytes in memory and cuts and scales what one view of section 3.4 shows. Pillow,
which has libjpeg-turbo decode into its own images, is what the others are set beside.
"""

from __future__ import annotations

import io
import math
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import simplejpeg  # type: ignore[import-untyped, unused-ignore]
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torchvision.io import (  # type: ignore[import-untyped, unused-ignore]
    ImageReadMode,
    decode_jpeg,
)

from resnet_repro.data import image_file
from resnet_repro.data.imagefolder.decode import resized_crop, resized_size
from resnet_repro.data.imagefolder.loader import draw_views

InMemoryLoader = NDArray[np.uint8]


@dataclass(frozen=True)
class View:
    """The shorter side, where the square lies (fractions of all places), and its side."""

    side: int
    top: float
    left: float
    crop: int

    def place(self, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Of an image of (width, height): width and height when scaled, the square's x and y."""
        width, height = resized_size(size, self.side)
        room = width - self.crop + 1, height - self.crop + 1
        return width, height, int(self.left * room[0]), int(self.top * room[1])


@dataclass(frozen=True)
class Found:
    """One way: milliseconds an image in each repeat, and how its pixels differ from Pillow's.

    differing: in %. mean, greatest: the absolute difference in grey levels of all pixels.
    """

    way: str
    milliseconds: tuple[float, ...]
    differing: float
    mean: float
    greatest: int


def _cut(image: Image.Image, view: View) -> InMemoryLoader:
    return np.asarray(resized_crop(image, view.side, view.top, view.left, view.crop))


def pillow(data: bytes, view: View) -> InMemoryLoader:
    return _cut(image_file.decode_by_pillow(data), view)


def draft(data: bytes, view: View) -> InMemoryLoader:
    """Pillow's Image.draft: a half, a quarter or an eighth, if still as large as is wanted."""
    with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
        image.draft(None, view.place(image.size)[:2])
        return _cut(image.convert("RGB"), view)


def ours(data: bytes, view: View) -> InMemoryLoader:
    image = image_file.decode_jpeg(data)
    return pillow(data, view) if image is None else _cut(image, view)


def _by_torchvision(data: bytes) -> Tensor:
    """(H, W, 3)"""
    whole = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # since torchvision 0.29
        pixels: Tensor = decode_jpeg(whole, mode=ImageReadMode.RGB).permute(1, 2, 0)
    return pixels


def torchvision_io(data: bytes, view: View) -> InMemoryLoader:
    return _cut(Image.fromarray(_by_torchvision(data).numpy()), view)


def _by_simplejpeg(data: bytes) -> Tensor:
    return torch.from_numpy(simplejpeg.decode_jpeg(data))


def _reduced(data: bytes, view: View) -> Tensor:
    """In as many eighths of the size as are no smaller than what is wanted."""
    height, width, _, _ = simplejpeg.decode_jpeg_header(data)
    least = view.place((width, height))
    return torch.from_numpy(
        simplejpeg.decode_jpeg(
            data, min_width=min(width, least[0]), min_height=min(height, least[1])
        )
    )


def _scaled_whole(pixels: Tensor, view: View) -> InMemoryLoader:
    """torch's resizing of bytes; all of the image is scaled, as it knows no part of a pixel."""
    width, height, x, y = view.place((pixels.shape[1], pixels.shape[0]))
    scaled = _resize(pixels, (height, width))
    square = scaled[..., y : y + view.crop, x : x + view.crop]
    return square[0].permute(1, 2, 0).contiguous().numpy()


def _scaled_square(pixels: Tensor, view: View) -> InMemoryLoader:
    """The same of the square alone, whose edges are moved to whole pixels."""
    height, width = pixels.shape[:2]
    wide, high, x, y = view.place((width, height))
    left, top = int(x * width / wide), int(y * height / high)
    right = min(width, math.ceil((x + view.crop) * width / wide))
    bottom = min(height, math.ceil((y + view.crop) * height / high))
    square = _resize(pixels[top:bottom, left:right], (view.crop, view.crop))
    return square[0].permute(1, 2, 0).numpy()


def _resize(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    image = pixels.permute(2, 0, 1)[None].contiguous(memory_format=torch.channels_last)
    return F.interpolate(image, size, mode="bilinear", antialias=True)


PILLOW, OURS = "Pillow", "simplejpeg (ours)"
WAYS: dict[str, Callable[[bytes, View], InMemoryLoader]] = {
    PILLOW: pillow,
    "Pillow, at half the size or less where larger than wanted": draft,
    "torchvision.io": torchvision_io,
    OURS: ours,
    "simplejpeg, torch scales the whole image": lambda data, view: _scaled_whole(
        _by_simplejpeg(data), view
    ),
    "torchvision.io, torch scales the square": lambda data, view: _scaled_square(
        _by_torchvision(data), view
    ),
    "simplejpeg, torch scales the square": lambda data, view: _scaled_square(
        _by_simplejpeg(data), view
    ),
    "simplejpeg in eighths of the size, torch scales the square": lambda data, view: _scaled_square(
        _reduced(data, view), view
    ),
}


def compare(images: Sequence[bytes], crop: int, repeats: int) -> list[Found]:
    """All ways in turn within every repeat, each over all images, which are seen as in training.

    The clock is the processor's time of this process, so that other work disturbs little.
    """
    drawn = draw_views(0, 0, len(images), crop, False, 0.0)
    views = [
        View(int(side), float(top), float(left), crop)
        for side, top, left in zip(drawn.side, drawn.top, drawn.left, strict=True)
    ]
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    for repeat in range(repeats):
        for way in list(WAYS)[:: 1 if repeat % 2 == 0 else -1]:
            begun = time.process_time()
            for data, view in zip(images, views, strict=True):
                WAYS[way](data, view)
            times[way].append(1e3 * (time.process_time() - begun) / len(images))
    return [Found(way, tuple(times[way]), *_apart(WAYS[way], images, views)) for way in WAYS]


def _apart(
    way: Callable[[bytes, View], InMemoryLoader], images: Sequence[bytes], views: Sequence[View]
) -> tuple[float, float, int]:
    off = [
        np.abs(way(data, view).astype(np.int16) - pillow(data, view))
        for data, view in zip(images, views, strict=True)
    ]
    differing = 100.0 * float(np.mean([(each > 0).mean() for each in off]))
    return differing, float(np.mean([each.mean() for each in off])), max(int(e.max()) for e in off)
