"""The training loops that are compared: ours, the usual one, and the usual one on a peer's net.

The usual loop is the stated baseline, CIFAR-10 training as common public scripts write it: eager
float32 on ordinary torch.nn modules in their default memory layout (NCHW), torchvision's
transforms on PIL images in a DataLoader's worker processes, torch.optim.SGD, and `.item()` of
the loss and of the number of correct answers at every step. On CUDA it pins memory, lets cuDNN
choose by trial (`cudnn.benchmark`) and leaves PyTorch's defaults, under which cuDNN may compute
float32 convolutions in TF32: all three make the baseline faster.
"""

from __future__ import annotations

import dataclasses
import runpy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from torchvision import transforms  # type: ignore[import-untyped, unused-ignore]

from resnet_repro.data import load
from resnet_repro.data.dataset import Dataset, Split, make_split
from resnet_repro.errors import UserError
from resnet_repro.runtime.device import Device
from resnet_repro.train.recipe import PAPER
from resnet_repro.train.trainer import Trainer

# The constants most scripts copy, ImageNet's; which ones they are changes no timing.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLASSES = 10
PEER_FILE = "resnet.py"


@dataclass(frozen=True)
class Source:
    """Where the images come from; noise costs the same time, but shows no learning."""

    root: Path | None = None  # of a copy of CIFAR-10; None: noise
    train: int = 50_000  # images of noise, and a fifth of that to test

    @property
    def words(self) -> str:
        return "random images of CIFAR-10's shape" if self.root is None else "CIFAR-10"

    def load(self) -> Dataset:
        """Images (N, 3, 32, 32) uint8. Raises UserError when `root` holds no CIFAR-10."""
        if self.root is not None:
            return load("cifar10", self.root)
        noise = np.random.default_rng(0).integers(0, 256, (self.train, 3, 32, 32), dtype=np.uint8)
        labels = np.arange(self.train, dtype=np.int64) % CLASSES
        train, test = (make_split(noise[:n], labels[:n]) for n in (self.train, self.train // 5))
        return Dataset("cifar10", train, test, tuple(str(n) for n in range(CLASSES)))


class OurLoop:
    """The suite's trainer under the paper's recipe.

    Without the warm-up, which is about 1 % of the steps and would never end on noise.
    """

    def __init__(self, network: str, data: Dataset, device: Device) -> None:
        recipe = dataclasses.replace(PAPER, warmup_lr=0.0)
        self.trainer = Trainer(network, data, recipe, 0, device)
        self.iteration = 0

    def run(self, steps: int) -> int:
        """Train `steps` steps, wait for the device, and return the images seen."""
        for _ in range(steps):
            self.trainer.step(self.iteration)
            self.iteration += 1
        self.trainer.pop_train_metrics(steps)  # waits for the device
        return steps * PAPER.batch_size

    def settle(self) -> None:
        """As the usual loop's: nothing is prepared while it stands still."""


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
    """`model` trained as above; `workers` processes load its images (0: this one)."""

    def __init__(self, model: nn.Module, split: Split, device: torch.device, workers: int) -> None:
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
        for _ in range(self.loader.num_workers * (self.loader.prefetch_factor or 0)):
            self._next()

    def _next(self) -> tuple[Tensor, Tensor]:
        try:
            images, labels = next(self.batches)
        except StopIteration:  # the epoch is over
            self.batches = iter(self.loader)
            images, labels = next(self.batches)
        return images, labels


def build_peer(checkout: Path, network: str) -> nn.Module:
    """The network of `checkout`/resnet.py, as in akamaster/pytorch_resnet_cifar10.

    Runs the file: only for a checkout that the user asked for. Raises UserError when it is
    missing or builds no such network.
    """
    path = checkout.expanduser() / PEER_FILE
    if not path.is_file():
        raise UserError(f"--peer {checkout}: there is no {PEER_FILE}; give the checkout's folder")
    try:
        names = runpy.run_path(str(path))
    except Exception as error:  # whatever the user's file does wrong
        raise UserError(f"--peer {checkout}: {PEER_FILE} cannot be loaded: {error!r}") from error
    try:
        model = names[network]()
    except Exception as error:
        raise UserError(
            f"--peer {checkout}: {network}() of {PEER_FILE} fails: {error!r}"
        ) from error
    if not isinstance(model, nn.Module):
        raise UserError(f"--peer {checkout}: {network}() returned no torch.nn.Module")
    return model
