"""An image out of a file's bytes, whatever they claim: its size first, all of its data, 8 bits.

Imports no torch.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from PIL import Image

from resnet_repro.records.files import open_file

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
FORMATS = ("PNG", "JPEG", "WEBP")
# A few bytes may claim any size, and every process that reads may meet such a file.
MAX_PIXELS = 89_478_485  # of an image, from where on Pillow warns: 340 MiB as it keeps them
MAX_BYTES = 2**28  # of a file: as many as so many pixels take without compression

simplejpeg: Any = None  # gives what Pillow gives, so it may be absent; tests take it away
with contextlib.suppress(ImportError):
    simplejpeg = importlib.import_module("simplejpeg")

_PNG = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by a PNG's type of colour
# First column and row, and their steps, of the seven images that an interlaced PNG consists of.
_ADAM7 = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)


def is_image_name(name: str) -> bool:
    """Whether a file is named as an image; names that begin with a dot are other systems' notes."""
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


def read_bytes(path: Path) -> bytes:
    """The bytes of a file of at most MAX_BYTES. Raises ValueError for a larger one, UserError for
    what is no regular file and for one that cannot be read."""
    with open_file(path) as file:
        if (size := os.fstat(file.fileno()).st_size) > MAX_BYTES:
            raise ValueError(f"{size:,} bytes, at most {MAX_BYTES:,} are read")
        return file.read()


def decoder() -> str:
    """What decodes images here, with versions, as records say it."""
    pillow = f"pillow {PIL.__version__}"
    return pillow if simplejpeg is None else f"simplejpeg {simplejpeg.__version__}, {pillow}"


def size_of(data: bytes) -> tuple[int, int]:
    """Width and height that an image of FORMATS claims; nothing is decoded. Raises what Pillow
    raises."""
    if data.startswith(_PNG) and data[12:16] == b"IHDR" and len(data) >= 24:
        width, height = struct.unpack_from(">II", data, 16)
        return width, height
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        return image.size


def decode(data: bytes) -> Image.Image:
    """An image of FORMATS in RGB, fully decoded. Raises ValueError for one whose data stop early
    or that has more than MAX_PIXELS, and whatever the decoders raise."""
    image = decode_jpeg(data)
    if image is None:
        image = decode_by_pillow(data)
        _check_png(data)
    return image


def decode_jpeg(data: bytes) -> Image.Image | None:
    """A JPEG of 8-bit colours or grey by simplejpeg, in RGB; None for what Pillow must read.

    Both use libjpeg-turbo's exact transform and give the same pixels. libjpeg-turbo fills up an
    image whose data stop early. Pillow notices only when nothing follows, not when an end marker
    does; here either raises ValueError.
    """
    if simplejpeg is None or not data.startswith(b"\xff\xd8\xff"):
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        if width * height > MAX_PIXELS:
            return None
        pixels = simplejpeg.decode_jpeg(data)
    except ValueError as error:
        if "premature end" in str(error).lower():
            raise
        return None  # warnings that concern no pixel, and forms that simplejpeg does not know
    return None if colours in ("CMYK", "YCCK") else Image.fromarray(pixels)


def decode_by_pillow(data: bytes) -> Image.Image:
    """An image of FORMATS in RGB. Raises ValueError for one of more than MAX_PIXELS, and
    whatever Pillow raises."""
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        if image.width * image.height > MAX_PIXELS:
            raise ValueError(
                f"{image.width}x{image.height} pixels, at most {MAX_PIXELS:,} are read"
            )
        return to_rgb(image)


@contextlib.contextmanager
def without_warnings() -> Iterator[None]:
    """Around decoding, in the main thread: what Pillow warns of is checked here or no matter.

    Corrupt EXIF data and transparency say nothing of the pixels that are used.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield


def to_rgb(image: Image.Image) -> Image.Image:
    """An opened image, decoded, as RGB of 8 bits.

    Of 16 bits the upper 8 are kept, as Pillow keeps them of colours; its conversion of 16-bit grey
    would make white of everything above 255.
    """
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    image.load()
    return image if image.mode == "RGB" else image.convert("RGB")


def _check_png(data: bytes) -> None:
    """Raise ValueError for a PNG with fewer rows than it says: Pillow would leave them black."""
    if not data.startswith(_PNG):
        return
    stream, rows, at = zlib.decompressobj(), 0, len(_PNG)
    wanted = None
    while wanted is None or rows < wanted:
        length, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + length]
        at += 12 + length
        if kind == b"IHDR":
            wanted = _png_bytes(*struct.unpack_from(">IIBBxxB", body))
        elif kind == b"IDAT" and wanted is not None:
            rows += len(stream.decompress(body, wanted - rows))
        elif kind == b"IEND":
            raise ValueError("its rows stop early")


def _png_bytes(width: int, height: int, bits: int, colours: int, interlaced: int) -> int:
    """How many bytes a PNG's rows take, one of them before each row."""
    depth = bits * _CHANNELS[colours]
    total = 0
    for column, row, across, down in _ADAM7 if interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-(width - column) // across), -(-(height - row) // down)
        if columns > 0 and rows > 0:
            total += rows * (1 + -(-columns * depth // 8))
    return total
