"""One image file at a time: reading, resizing, and processes that do so ahead of time.

Each of those processes imports this module; torchvision would double the time that takes.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torch.utils.data import DataLoader, default_collate

from resnet_repro.data.cifar10_forms import one_line
from resnet_repro.data.image_file import decode, without_warnings
from resnet_repro.data.imagefolder.places import Place, read_place
from resnet_repro.errors import UserError

PATIENCE = 300.0  # seconds a batch may take before the processes that load it count as stuck
PREFETCH = 2  # batches that each of those processes loads ahead
SHARED = Path("/dev/shm")  # where they put them
LONGEST_TEMPORARY = 75  # bytes; a socket's name has 107, "/pymp-????????/listener-????????" 32
_GLANCE = 2.0  # seconds between looks at whether those processes live


def scaled_size(size: int, crop: int) -> int:
    """What `size` pixels of the paper's 224-pixel setting are where crops are `crop` pixels."""
    return round(size * crop / 224)


def read_image(place: Place) -> Image.Image:
    """The JPEG, PNG or WebP image that lies there as RGB, fully decoded.

    Like torchvision's loader, it leaves an EXIF orientation alone, and takes the format from the
    contents rather than the name: ImageNet has a PNG and CMYK images under the name JPEG.
    Raises UserError naming a place that holds no image, or is cut short, or cannot be read, or has
    more pixels or bytes than `image_file` reads; the last two before anything is decoded.
    """
    try:
        with without_warnings():
            return decode(read_place(place))
    except Exception as error:  # each of Pillow's decoders raises its own
        unknown = isinstance(error, UnidentifiedImageError)
        reason = "no such format" if unknown else one_line(error)
        raise UserError(
            f"{place} cannot be read as a JPEG, PNG or WebP image ({reason}): replace it, "
            "or leave out such files with --corrupt skip"
        ) from error


def resize_shorter(image: Image.Image, side: int) -> Image.Image:
    """The image with its shorter side `side` pixels long: bilinear, antialiased, aspect kept."""
    return image.resize(resized_size(image.size, side), Image.Resampling.BILINEAR)


def resized_size(size: tuple[int, int], side: int) -> tuple[int, int]:
    """(width, height) of what resize_shorter makes of an image of that size; torchvision's."""
    width, height = size
    if width <= height:
        return side, side * height // width
    return side * width // height, side


def resized_crop(image: Image.Image, side: int, top: float, left: float, crop: int) -> Image.Image:
    """A square of `crop` pixels of what resize_shorter(image, side) gives; `crop` <= `side`.

    top, left: of all places where the square fits, the one at this fraction, in [0, 1); the first
    and the last are as likely as any. Only the square is computed; as Pillow keeps the edges in
    single precision, some values differ by a grey level from those of the whole image resized.
    """
    width, height = resized_size(image.size, side)
    x, y = int(left * (width - crop + 1)), int(top * (height - crop + 1))
    return _crop_of_resized(image, (width, height), x, y, crop)


def centre_crop(image: Image.Image, side: int, crop: int) -> Image.Image:
    """The central square of `crop` pixels of what resize_shorter(image, side) gives.

    Where the margins cannot be equal it lies where torchvision's CenterCrop puts it.
    """
    width, height = resized_size(image.size, side)
    x, y = round((width - crop) / 2), round((height - crop) / 2)
    return _crop_of_resized(image, (width, height), x, y, crop)


def _crop_of_resized(
    image: Image.Image, size: tuple[int, int], x: int, y: int, crop: int
) -> Image.Image:
    across, down = image.width / size[0], image.height / size[1]
    # The last edge could exceed the image's by the last bit, which Pillow refuses.
    box = (
        x * across,
        y * down,
        min((x + crop) * across, image.width),
        min((y + crop) * down, image.height),
    )
    return image.resize((crop, crop), Image.Resampling.BILINEAR, box=box)


def to_tensor(image: Image.Image) -> Tensor:
    """The pixels of an RGB image, (3, H, W) uint8."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


class Items(Protocol):
    """Anything that makes an item out of what a batch names it by; small, as it is pickled."""

    def __getitem__(self, key: Any) -> Any: ...


class _Failed:
    """Comes back instead of a batch when the user's data are at fault."""

    def __init__(self, message: str) -> None:
        self.message = message


class _Guarded:
    """Fetches whole batches, and sends a UserError back as its one line, without a traceback."""

    def __init__(self, items: Items, collate: Callable[[list[Any]], Any]) -> None:
        self.items, self.collate = items, collate

    def __getitems__(self, keys: list[Any]) -> Any:
        try:
            return self.collate([self.items[key] for key in keys])
        except UserError as error:
            return _Failed(str(error))


def _as_is(batch: Any) -> Any:
    return batch


def loader(
    dataset: Items,
    batches: Iterable[list[Any]],
    *,
    workers: int,
    collate: Callable[[list[Any]], Any] | None = None,
    pin_memory: bool = False,
    patience: float = PATIENCE,
) -> Iterator[Any]:
    """For each list of keys in `batches`, in their order, `collate([dataset[key], ...])`.

    workers: processes that load batches ahead (0: this one does, when asked). They get a pickled
    copy of `dataset` and `collate`, and end when the iterator is closed or given up. `batches` is
    read here, a few batches ahead. collate: None means torch's, which stacks tensors.
    Raises UserError when an item does, with its line; when a worker dies; when a batch takes longer
    than `patience` seconds; and as `check_temporary_folder` does.
    """
    check_temporary_folder(workers)
    guarded: DataLoader[Any] = DataLoader(
        _Guarded(dataset, collate or default_collate),  # type: ignore[arg-type]
        batch_sampler=batches,
        collate_fn=_as_is,
        num_workers=workers,
        prefetch_factor=PREFETCH if workers else None,
        pin_memory=pin_memory,
        timeout=min(_GLANCE, patience) if workers else 0,
        multiprocessing_context=_context() if workers else None,
        generator=torch.Generator(),  # else it would draw from the one that everything shares
        worker_init_fn=_settle if workers else None,
    )
    heeded = signal.getsignal(signal.SIGCHLD)
    iterator = iter(guarded)
    if workers and threading.current_thread() is threading.main_thread():
        # torch raises from a signal handler, wherever the process is, when a worker dies. A dead
        # worker is to be noticed here, where its batch is waited for.
        signal.signal(signal.SIGCHLD, heeded or signal.SIG_DFL)
    while True:
        try:
            batch = _next(iterator, patience) if workers else next(iterator)
        except StopIteration:
            return
        if isinstance(batch, _Failed):
            del iterator  # the processes end before the error goes up
            raise UserError(batch.message)
        yield batch


def check_temporary_folder(workers: int) -> None:
    """Raise UserError where the temporary folder's name is too long for `workers` to be met.

    They hand over what they load through sockets in it, whose names are short.
    """
    folder = tempfile.gettempdir()
    if workers and hasattr(socket, "AF_UNIX") and len(os.fsencode(folder)) > LONGEST_TEMPORARY:
        raise UserError(
            f"processes that read images need a temporary folder with a name of at most "
            f"{LONGEST_TEMPORARY} characters, and {folder} has {len(os.fsencode(folder))}: set "
            "TMPDIR to another, or give --workers 0"
        )


def check_shared_memory(workers: int, batch: int, processes: int = 1) -> None:
    """Raise UserError where `workers` cannot load batches of so many bytes ahead, or at all.

    Batches come through shared memory, of which containers often have 64 MB; a worker that finds
    none left is killed without a word. `processes` have as many workers each.
    """
    check_temporary_folder(workers)
    if not workers or not SHARED.is_dir():
        return
    each = PREFETCH * batch * processes
    free = shutil.disk_usage(SHARED).free
    if each * workers > free:
        raise UserError(
            f"{workers} processes that read images need {each * workers / 1e6:.0f} MB of shared "
            f"memory, and {SHARED} has {free / 1e6:.0f} MB free: give it more (docker run "
            f"--shm-size), or give --workers {free // each}"
        )


def _next(iterator: Iterator[Any], patience: float) -> Any:
    """The next batch. A dead worker shows at the next glance, a stuck one when patience ends."""
    waited = 0.0
    while True:
        try:
            return next(iterator)
        except (RuntimeError, EOFError, OSError) as error:
            words = one_line(error)
            if words.startswith("Caught "):
                raise  # from a worker, which lives
            if "timed out" not in words:
                # EOFError and OSError come of a batch whose sender is gone.
                return _Failed(
                    f"a process that loads images died ({words}): often memory ran out; "
                    "try again with fewer workers"
                )
            waited += min(_GLANCE, patience)
            if waited >= patience:
                return _Failed(
                    f"no images came for {waited:.0f} seconds: is the disk or the network "
                    "folder that holds them still there?"
                )


def _settle(worker: int) -> None:
    """What a worker does first.

    Control-C reaches every process of a terminal, and torchrun ends whole groups of processes;
    what either means, the process that reads with this one decides. When that one is killed its
    workers end with it, which torch's own would not while they wait to hand over a batch.
    """
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(
        target=_end_with, args=(multiprocessing.parent_process(),), daemon=True
    ).start()


def _end_with(process: Any) -> None:
    process.join()
    os._exit(1)


def _context() -> Any:
    """How workers start: not forked from here, where torch's threads run, nor from a fork server,
    which outlives a process that is killed."""
    return multiprocessing.get_context("spawn")
