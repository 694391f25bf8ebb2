"""The stated baseline: CIFAR-10 training as common public scripts write it.

Eager float32 on ordinary torch.nn modules in their default memory layout (NCHW), torchvision's
transforms on PIL images in a DataLoader's worker processes, torch.optim.SGD, and `.item()` of
the loss and of the number of correct answers at every step. On CUDA it pins memory, lets cuDNN
choose by trial (`cudnn.benchmark`) and leaves PyTorch's defaults, under which cuDNN may compute
float32 convolutions in TF32: all three make the baseline faster.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from torchvision import transforms  # type: ignore[import-untyped, unused-ignore]

from resnet_repro.data.dataset import Split
from resnet_repro.train.recipe import PAPER

# The constants most scripts copy, ImageNet's; which ones they are changes no timing.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class PILImages(TorchDataset[tuple[Tensor, int]]):
    """One array, an image made from it at each access: as torchvision's CIFAR10 does."""

    def __init__(self, split: Split) -> None:
        self.images = np.ascontiguousarray(split.images.transpose(0, 2, 3, 1))
        self.labels = [int(label) for label in split.labels]
        self.transform = transforms.Compose(
            [
                transforms.RandomHorizontalFlip(),
                transforms.RandomCrop(self.images.shape[1], PAPER.pad),
                transforms.ToTensor(),
                transforms.Normalize(MEAN, STD),
            ]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), self.labels[index]


class UsualLoop:
    """`model` trained by the loop above; `workers` processes load its images (0: this one).

    start_method: how the workers are started; None: as processes of this one are.
    """

    def __init__(
        self,
        model: nn.Module,
        split: Split,
        device: torch.device,
        workers: int,
        start_method: str | None = None,
    ) -> None:
        cuda = device.type == "cuda"
        if cuda:
            torch.backends.cudnn.benchmark = True
        self.device = device
        self.model = model.to(device).train()
        self.loader: DataLoader[Any] = DataLoader(
            PILImages(split),
            batch_size=PAPER.batch_size,
            shuffle=True,
            num_workers=workers,
            pin_memory=cuda,
            multiprocessing_context=start_method if workers else None,
        )
        self.batches = iter(self.loader)
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(
            self.model.parameters(),
            lr=PAPER.lr,
            momentum=PAPER.momentum,
            weight_decay=PAPER.weight_decay,
        )
        self.loss_sum, self.correct = 0.0, 0

    def run(self, steps: int) -> int:
        """Train `steps` steps; returns the images seen (an epoch's last batch is smaller)."""
        seen = 0
        for _ in range(steps):
            images, labels = self._next()
            images = images.to(self.device, non_blocking=True)
            labels = labels.to(self.device, non_blocking=True)
            output: Tensor = self.model(images)
            loss: Tensor = self.criterion(output, labels)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.loss_sum += loss.item() * len(labels)
            self.correct += int((output.argmax(1) == labels).sum().item())
            seen += len(labels)
        return seen

    def settle(self) -> None:
        """Drop what the workers loaded while the loop stood still, a head start otherwise."""
        ahead = self.loader.num_workers * (self.loader.prefetch_factor or 0)
        for _ in range(ahead):
            self._next()

    def _next(self) -> tuple[Tensor, Tensor]:
        try:
            images, labels = next(self.batches)
        except StopIteration:  # the epoch is over
            self.batches = iter(self.loader)
            images, labels = next(self.batches)
        return images, labels
