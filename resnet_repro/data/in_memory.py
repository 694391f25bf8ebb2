"""Images on the device: preprocessing and augmentation, a batch at a time.

Section 4.2: the per-pixel mean subtracted, 4 pixels of padding on each side, a random crop of
the padded image or its horizontal flip; the single view at test time. Pixels keep their range
of 0 ... 255: the paper divides by nothing, and batch normalisation makes the scale immaterial.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from resnet_repro.data.dataset import Dataset, Images
from resnet_repro.data.sampler import EpochSampler, epoch_sampler
from resnet_repro.data.source import statistics_chunks

TEST_BATCH = 250  # images
CUDA_BATCH = 1000


def training_mean(images: Images, kind: str) -> tuple[Tensor, Tensor | None]:
    """What is subtracted, (H, W, C), and what divides, (C,) or nothing; from training images alone.

    kind: `pixel`, the mean image (the paper); `channel`, one value per channel; `channel-std`,
    the same and divided by the channel's standard deviation (common elsewhere).
    """
    nhwc = images.transpose(0, 2, 3, 1)
    mean = nhwc.mean(axis=0, dtype=np.float64)
    scale = None
    if kind != "pixel":
        channel_mean = mean.mean(axis=(0, 1))
        if kind == "channel-std":
            squares = [
                np.square(nhwc[..., c], dtype=np.float64).mean() for c in range(len(channel_mean))
            ]
            scale = torch.from_numpy(np.sqrt(np.array(squares) - channel_mean**2)).float()
        mean = np.zeros_like(mean) + channel_mean
    return torch.from_numpy(mean).float(), scale


class InMemoryLoader:
    """One data set on one device, as uint8, with the training stream of one seed.

    `train_batch(i)` is a pure function of i. Batches are (N, C, H, W) float32, channels last in
    memory. The stream is drawn on the host and uploaded at least an epoch ahead, so that a batch
    is made on the device alone, from the number of its iteration.
    """

    def __init__(
        self,
        data: Dataset,
        *,
        seed: int,
        batch_size: int,
        pad: int,
        flip: bool,
        mean: str,
        device: torch.device,
    ) -> None:
        self.seed, self.batch_size, self.flip = seed, batch_size, flip
        self.count = len(data.train)
        self.size = data.train.images.shape[-1]
        self.side = 2 * pad + 1
        self.device = device
        mean_image, scale = training_mean(data.train.images, mean)
        self.mean = mean_image.to(device)
        self.scale = None if scale is None else scale.to(device)

        def to_device(images: Images) -> Tensor:
            return torch.from_numpy(images).permute(0, 2, 3, 1).contiguous().to(device)

        self.test_images = to_device(data.test.images)
        self.test_labels = torch.from_numpy(data.test.labels).to(device)
        self.train_labels = torch.from_numpy(data.train.labels).to(device)
        spread = (0, 0, pad, pad, pad, pad)
        self.train_images = F.pad(to_device(data.train.images), spread)
        # The border is zero after the mean is subtracted, as when images are preprocessed
        # first: the mean's border is zero too, and the mean is cropped and flipped along.
        padded_mean = F.pad(self.mean, spread)
        crops = [
            padded_mean[y : y + self.size, x : x + self.size]
            for y in range(self.side)
            for x in range(self.side)
        ]
        self.mean_crops = torch.stack(crops + [crop.flip(1) for crop in crops])
        across = torch.arange(self.size, device=device)
        self.down, self.across = across, torch.stack([across, across.flip(0)])
        # A ring of as many epochs as a batch can touch: one and the next, or more when a batch
        # is larger than the data set.
        self.epochs = 1 + -(-batch_size // self.count)
        self.stream = torch.zeros((3, self.epochs * self.count), dtype=torch.int64, device=device)
        self.within = torch.arange(batch_size, device=device)
        self._uploaded: set[int] = set()

    def prepare(self, iteration: int) -> None:
        """Upload the epochs that batch `iteration` may touch; free unless an epoch begins."""
        first = iteration * self.batch_size // self.count
        wanted = set(range(first, first + self.epochs))
        for epoch in sorted(wanted - self._uploaded):
            drawn: EpochSampler = epoch_sampler(
                self.seed, epoch, self.count, self.side**2, self.flip
            )
            columns = torch.from_numpy(np.stack([drawn.image, drawn.offset, drawn.flip]))
            if self.device.type == "cuda":
                columns = columns.pin_memory()  # else the copy would wait for the device
            start = epoch % self.epochs * self.count
            self.stream[:, start : start + self.count].copy_(columns, non_blocking=True)
        self._uploaded = wanted

    def batch_at(self, iteration: Tensor) -> tuple[Tensor, Tensor]:
        """Images (batch, C, H, W) and labels (batch,) of one iteration, augmented.

        `iteration` has the shape () and lies on the device; it must have been prepared.
        """
        place = (iteration * self.batch_size + self.within) % (self.epochs * self.count)
        image, offset, flip = self.stream[:, place]
        return self.crop(image, offset, flip), self.train_labels[image]

    def train_batch(self, iteration: int) -> tuple[Tensor, Tensor]:
        """`batch_at` for a number on the host."""
        self.prepare(iteration)
        return self.batch_at(torch.tensor(iteration, device=self.device))

    def crop(self, image: Tensor, offset: Tensor, flip: Tensor) -> Tensor:
        """The given training images at the given crop offsets, flipped or not; each (batch,)."""
        rows = (offset // self.side)[:, None] + self.down
        columns = (offset % self.side)[:, None] + self.across[flip]
        raw = self.train_images[image[:, None, None], rows[:, :, None], columns[:, None, :]]
        return self._centre(raw, self.mean_crops[flip * self.side**2 + offset])

    def test_batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Test images and labels in canonical order, the single view."""
        for index in torch.arange(len(self.test_labels), device=self.device).split(TEST_BATCH):
            yield self.test_images_at(index)

    def test_images_at(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Test images and labels of the given numbers (batch,), the single view."""
        return self._centre(self.test_images[index], self.mean), self.test_labels[index]

    def plain_train_batches(self) -> Iterator[Tensor]:
        """Training images in canonical order, without augmentation."""
        pad = self.side // 2
        inner = slice(pad, pad + self.size)
        for images in self.train_images.split(TEST_BATCH):
            yield self._centre(images[:, inner, inner], self.mean)

    def chunk_batches(self, images: int, chunk: int) -> Iterator[Tensor]:
        """Training images for BN's statistics, without augmentation, in whole chunks."""
        pad = self.side // 2
        inner = slice(pad, pad + self.size)
        chosen = torch.from_numpy(statistics_chunks(self.count, images, chunk)).to(self.device)
        # On a GPU a small net's operations take as long for many images as for few.
        at_once = CUDA_BATCH if self.device.type == "cuda" else TEST_BATCH
        for some in chosen.split(max(1, at_once // chosen.shape[1])):
            yield self._centre(self.train_images[some.flatten(), inner, inner], self.mean)

    def close(self) -> None:
        """Nothing is held outside the device."""

    def _centre(self, raw: Tensor, mean: Tensor) -> Tensor:
        """Subtract (and divide, where asked): (N, H, W, C) uint8 to (N, C, H, W) float32."""
        x = raw.float() - mean
        if self.scale is not None:
            x = x / self.scale
        return x.permute(0, 3, 1, 2)
