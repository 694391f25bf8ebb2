"""Photographs as training takes them: read and cut by processes ahead of time, finished on the
device (section 3.4).

The shorter side is drawn from 256 ... 480 pixels, a square of 224 is cut out at random and
flipped or not, the per-pixel mean is subtracted, and colours are shifted as in AlexNet (sizes
scale with the crop). Chance is a pure function of the seed and of the epoch or iteration.

Colours. AlexNet's text adds the eigenvectors of the RGB covariance, each times its eigenvalue times
alpha ~ N(0, 0.1). Eigenvalues are squares of grey levels, so that depends on the unit: pixels of
0 ... 255 would be moved by over a thousand levels. AlexNet's released code (cuda-convnet2,
convdata.py) multiplies by standard deviations instead, the eigenvalues' square roots, which has no
unit of its own; so does this: about 12 of 255 levels along the first eigenvector. Common code
(fb.resnet.torch's Lighting) applies the text to pixels of 0 ... 1: about 5 levels.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from resnet_repro.data.imagefolder.decode import (
    centre_crop,
    check_shared_memory,
    loader,
    read_image,
    resized_crop,
    scaled_size,
)
from resnet_repro.data.imagefolder.places import Place
from resnet_repro.data.imagefolder.split import ImageFolder, ImageSplit
from resnet_repro.data.imagefolder.statistics import TEST_SIDE, Statistics
from resnet_repro.data.sampler import epoch_sampler
from resnet_repro.data.source import statistics_chunks
from resnet_repro.environment import from_environment

SIDES = (256, 480)  # the shorter side's least and greatest length, for a crop of 224
PLAIN_BATCH = 256  # images that are tested, or averaged over, at a time
_VIEWS = 2**63  # apart from the epochs among Philox's keys
_WORDS = 7  # that a view is made of


@dataclass(frozen=True)
class Views:
    """How each image of a batch is seen; every array's first dimension is the batch.

    side: the shorter side's length in pixels. top, left: the crop's place as a fraction in [0, 1)
    of all places, so that it needs no image's size. flip: 0/1. colour: (batch, 3) ~ N(0, pca_std),
    what multiplies the three principal components.
    """

    side: NDArray[np.int64]
    top: NDArray[np.float64]
    left: NDArray[np.float64]
    flip: NDArray[np.int64]
    colour: NDArray[np.float64]

    def part(self, which: slice) -> Views:
        """The views of some of the images."""
        return Views(
            self.side[which],
            self.top[which],
            self.left[which],
            self.flip[which],
            self.colour[which],
        )


def draw_views(
    seed: int, iteration: int, batch_size: int, crop: int, flip: bool, pca_std: float
) -> Views:
    """The views of one iteration's batch: the same for the same arguments, always.

    Made of Philox's raw words, which NumPy fixes for all versions. Only `colour` goes through
    logarithms and cosines, whose last bit may differ between machines.
    """
    key = np.array([seed, _VIEWS + iteration], dtype=np.uint64)
    words = np.random.Philox(key=key).random_raw(_WORDS * batch_size).reshape(batch_size, _WORDS)
    least, greatest = (scaled_size(size, crop) for size in SIDES)
    lengths = np.uint64(greatest - least + 1)
    fractions = (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
    # Box-Muller: two uniform numbers make two normal ones; of the four, three are used.
    radius = np.sqrt(-2 * np.log1p(-fractions[:, 3:5]))
    angle = 2 * np.pi * fractions[:, 5:7]
    normal = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return Views(
        side=least + ((words[:, 0] >> np.uint64(1)) % lengths).astype(np.int64),
        top=fractions[:, 1],
        left=fractions[:, 2],
        flip=(words[:, 0] & np.uint64(1)).astype(np.int64) * int(flip),
        colour=pca_std * normal[:, :3],
    )


@dataclass(frozen=True)
class _Batch:
    """What the host knows of a process's part of a batch: image numbers, and their views."""

    images: NDArray[np.int64]
    views: Views


class ImageFolderLoader:
    """One data set's batches for one device, with the training stream of one seed.

    Batch i holds the images at positions i * batch_size ... of the endless stream of epochs;
    process `rank` of `world` gets its `rank`-th part. Images come as (N, 3, crop, crop) float32,
    channels last in memory, labels as (N,) int64. `count` and `test_count` are all training and
    validation images, also of the other processes.
    `prepare` and the two plain iterators raise UserError for a file that cannot be read, and when
    a process that loads images dies or is stuck.
    """

    def __init__(
        self,
        data: ImageFolder,
        statistics: Statistics,
        *,
        seed: int,
        batch_size: int,
        crop: int,
        flip: bool,
        pca_std: float,
        mean: str,
        device: torch.device,
        workers: int,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if statistics.mean.shape[0] != crop or batch_size % world:
            raise ValueError(f"mean {statistics.mean.shape}, crop {crop}, {batch_size} by {world}")
        self.data, self.seed, self.batch_size = data, seed, batch_size
        self.crop, self.flip, self.pca_std = crop, flip, pca_std
        self.device, self.workers, self.rank, self.world = device, workers, rank, world
        self.count, self.test_count = len(data.train), len(data.test)
        whole = statistics.mean
        self.mean = (whole if mean == "pixel" else whole.mean((0, 1), keepdim=True)).to(device)
        self.scale = statistics.std.to(device) if mean == "channel-std" else None
        # Principal components as columns, each one standard deviation long, in grey levels.
        self.components = (statistics.eigenvectors * statistics.eigenvalues.sqrt()).double().numpy()
        part = batch_size // world
        ahead = (part + PLAIN_BATCH) * crop * crop * 3  # training goes on ahead of a test
        check_shared_memory(workers, ahead, from_environment("LOCAL_WORLD_SIZE", 1))
        self.part = slice(rank * part, (rank + 1) * part)
        # Always the same memory, so that a step captured as a CUDA graph finds its batch.
        self.images = torch.zeros((part, crop, crop, 3), dtype=torch.uint8, device=device)
        self.labels = torch.zeros(part, dtype=torch.int64, device=device)
        self.flips = torch.zeros((part, 1, 1, 1), dtype=torch.bool, device=device)
        self.shifts = torch.zeros((part, 1, 1, 3), dtype=torch.float32, device=device)
        self._ready: int | None = None
        self._loaded: Iterator[Tensor] = iter(())
        self._planned: deque[_Batch] = deque()

    def prepare(self, iteration: int) -> None:
        """Bring this process's part of batch `iteration` to the device; a jump starts anew."""
        if iteration == self._ready:
            return
        ready, self._ready = self._ready, None  # until everything is there
        if ready is None or iteration != ready + 1:
            self.close()
            keys = self._keys(iteration)
            self._loaded = self._load(_Crops(self.crop), keys)
        images = next(self._loaded)
        batch = self._planned.popleft()
        shifts = torch.from_numpy(batch.views.colour @ self.components.T).float()
        self._upload(self.images, images)
        self._upload(self.labels, torch.from_numpy(self.data.train.labels[batch.images]))
        self._upload(self.flips, torch.from_numpy(batch.views.flip != 0))
        self._upload(self.shifts, shifts)
        self._ready = iteration

    def batch_at(self, iteration: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """The batch that was prepared last, augmented, and its labels.

        `iteration`, of the shape (), must be the one last prepared. It is not looked at, as it
        may lie on the device, and nothing here waits for that.
        """
        if self.device.type == "cpu":
            return self._finish(self._one_by_one()), self.labels.clone()
        # Mirrored as bytes, the mean along with its image.
        images = torch.where(self.flips, self.images.flip(2), self.images)
        mean = torch.where(self.flips, self.mean.flip(1), self.mean)
        x = images.float().sub_(mean).add_(self.shifts)
        return self._finish(x), self.labels.clone()

    def _one_by_one(self) -> Tensor:
        """The same bit for bit, an image at a time: what is computed of it stays in the cache."""
        x = torch.empty(self.images.shape)
        means = (self.mean, self.mean.flip(1))
        # Colours of every pixel of a row: three numbers alone are added slowly.
        shifts = self.shifts[:, 0].expand(-1, self.crop, -1).contiguous()
        flips = self.flips.flatten().tolist()
        for one, image, flip, shift in zip(x, self.images, flips, shifts, strict=True):
            one.copy_(image.flip(1) if flip else image).sub_(means[flip]).add_(shift)
        return x

    def train_batch(self, iteration: int) -> tuple[Tensor, Tensor]:
        """`prepare` and `batch_at` in one."""
        self.prepare(iteration)
        return self.batch_at(torch.tensor(iteration))

    def test_batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """This process's validation images and labels: centre crop, shorter side 256 (scaled).

        The processes' parts together are every image once: each takes every `world`-th.
        """
        mine = np.arange(self.rank, self.test_count, self.world)
        chunks = [mine[i : i + PLAIN_BATCH] for i in range(0, len(mine), PLAIN_BATCH)]
        for chunk, x in zip(chunks, self._plain(self.data.test, chunks), strict=True):
            yield x, torch.from_numpy(self.data.test.labels[chunk]).to(self.device)

    def chunk_batches(self, images: int, chunk: int) -> Iterator[Tensor]:
        """This process's chunks of training images for BN's statistics, seen as in validation.

        The chunks are the same however many processes share them.
        """
        mine = statistics_chunks(self.count, images, chunk)[self.rank :: self.world]
        once = max(1, PLAIN_BATCH // mine.shape[1])
        yield from self._plain(
            self.data.train, [mine[i : i + once].flatten() for i in range(0, len(mine), once)]
        )

    def close(self) -> None:
        """End the processes that load training images."""
        # Generators that are given up end theirs.
        self._loaded, self._ready = iter(()), None
        self._planned.clear()

    def _keys(self, iteration: int) -> Iterator[list[tuple[Place, int, float, float]]]:
        """What the loading processes are told, from `iteration` on without end."""
        orders: dict[int, NDArray[np.int64]] = {}  # of the epochs that a batch touches
        for i in itertools.count(iteration):
            positions = i * self.batch_size + np.arange(self.part.start, self.part.stop)
            epochs, places = np.divmod(positions, self.count)
            touched = np.unique(epochs).tolist()
            orders = {e: orders[e] if e in orders else self._order(e) for e in touched}
            images = np.concatenate([orders[e][places[epochs == e]] for e in touched])
            views = draw_views(self.seed, i, self.batch_size, self.crop, self.flip, self.pca_std)
            views = views.part(self.part)
            self._planned.append(_Batch(images, views))
            lying = [self.data.train.place(image) for image in images.tolist()]
            drawn = (views.side.tolist(), views.top.tolist(), views.left.tolist())
            yield list(zip(lying, *drawn, strict=True))

    def _order(self, epoch: int) -> NDArray[np.int64]:
        return epoch_sampler(self.seed, epoch, self.count, offsets=1, flips=False).image

    def _plain(self, split: ImageSplit, chunks: Sequence[NDArray[np.int64]]) -> Iterator[Tensor]:
        keys = ([split.place(image) for image in chunk.tolist()] for chunk in chunks)
        for images in self._load(_Centres(self.crop), keys):
            raw = images.to(self.device, non_blocking=self.device.type == "cuda")
            yield self._finish(raw.float().sub_(self.mean))

    def _load(self, items: _Crops | _Centres, keys: Iterator[list[Any]]) -> Iterator[Tensor]:
        return loader(
            items,
            keys,
            workers=self.workers,
            collate=_stack,
            pin_memory=self.device.type == "cuda",
        )

    def _upload(self, place: Tensor, values: Tensor) -> None:
        cuda = self.device.type == "cuda"
        if cuda and not values.is_pinned():
            values = values.pin_memory()  # else the copy would wait for the device
        place.copy_(values.view_as(place), non_blocking=cuda)

    def _finish(self, x: Tensor) -> Tensor:
        """Divide `x` itself where asked: (N, H, W, 3) to (N, 3, H, W), channels last."""
        if self.scale is not None:
            x.div_(self.scale)
        return x.permute(0, 3, 1, 2)


class _Crops:
    """Squares cut at random: (crop, crop, 3) uint8, by (place, side, top, left)."""

    def __init__(self, crop: int) -> None:
        self.crop = crop

    def __getitem__(self, key: tuple[Place, int, float, float]) -> NDArray[np.uint8]:
        place, side, top, left = key
        image = read_image(place)
        return np.asarray(resized_crop(image, side, top, left, self.crop))


class _Centres:
    """Central squares: (crop, crop, 3) uint8, by place."""

    def __init__(self, crop: int) -> None:
        self.crop = crop

    def __getitem__(self, place: Place) -> NDArray[np.uint8]:
        image = read_image(place)
        return np.asarray(centre_crop(image, scaled_size(TEST_SIDE, self.crop), self.crop))


def _stack(images: list[NDArray[np.uint8]]) -> Tensor:
    return torch.from_numpy(np.stack(images))
