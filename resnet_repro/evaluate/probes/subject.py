"""What a probe looks at: a recorded CIFAR network, trained and as it began, and its data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from resnet_repro.data.dataset import Dataset
from resnet_repro.data.in_memory import TEST_BATCH, InMemoryLoader
from resnet_repro.errors import UserError
from resnet_repro.evaluate.imagenet import weights
from resnet_repro.evaluate.imagenet.weights_file import read_state
from resnet_repro.models import build
from resnet_repro.records import store
from resnet_repro.runtime.device import Device

Batches = Sequence[tuple[Tensor, Tensor]]  # images (N, C, H, W) as the network takes them, labels
Settings = dict[str, object]
Values = dict[str, object]


@dataclass(frozen=True)
class Subject:
    """A recorded run's network, and the data as it sees them."""

    record: store.Record
    trained: nn.Module  # in eval mode
    initial: nn.Module  # as before the first step
    source: InMemoryLoader

    def test_batches(self, images: int) -> Batches:
        """The first test images of the canonical order, and their labels."""
        numbers = torch.arange(min(images, len(self.source.test_labels)))
        numbers = numbers.to(self.source.device)
        return [self.source.test_images_at(part) for part in numbers.split(TEST_BATCH)]

    def train_batches(self, images: int) -> Batches:
        """The first training images of the canonical order, not augmented, and their labels."""
        found: list[tuple[Tensor, Tensor]] = []
        labels = self.source.train_labels[:images].split(TEST_BATCH)
        for x, y in zip(self.source.plain_train_batches(), labels, strict=False):
            found.append((x[: len(y)], y))
        return found

    @property
    def bn(self) -> str:
        """Which of BN's statistics the recorded weights have."""
        return self.record.recipe.bn_statistics


def load_subject(record: store.Record, data: Dataset, device: Device) -> Subject:
    """A finished run's network on its data set, which must have the digest that it was trained on.

    Raises UserError for other data, and for weights that are missing or do not fit.
    """
    spec, recipe = record.spec, record.recipe
    if recipe.pad is None:
        raise UserError(f"{record.folder}: its recipe says no pad, which a CIFAR run has")
    if data.digest != spec.dataset_digest:
        raise UserError(
            f"{record.folder} was trained on another copy of {data.name}: its digest is "
            f"{spec.dataset_digest[:12]}, that of these data {data.digest[:12]}"
        )
    source = InMemoryLoader(
        data,
        seed=spec.seed,
        batch_size=recipe.batch_size,
        pad=recipe.pad,
        flip=recipe.flip,
        mean=recipe.mean,
        device=device.torch,
    )

    def built() -> nn.Module:
        model = build(
            spec.network,
            num_classes=len(data.classes),
            in_channels=data.train.images.shape[1],
            bn_eps=recipe.bn_eps,
            init=recipe.init,
            classifier_init=recipe.classifier_init,
            seed=spec.seed,
        )
        return model.to(device.torch)

    trained, path = built(), weights.kept_weights(record)
    state: dict[str, Tensor] = read_state(path)
    try:
        trained.load_state_dict(state)
    except RuntimeError as error:
        raise UserError(f"{path} does not fit {spec.network}: restore it or rerun") from error
    return Subject(record, trained.eval(), built(), source)
