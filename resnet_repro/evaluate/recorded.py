"""Recorded CIFAR nets, to be used: weights and preprocessing together, images in, logits out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from resnet_repro import paths
from resnet_repro.data import load
from resnet_repro.data.cifar10_forms import CLASSES
from resnet_repro.data.dataset import Dataset
from resnet_repro.data.means import mean_of
from resnet_repro.errors import UserError
from resnet_repro.evaluate.imagenet import weights
from resnet_repro.evaluate.imagenet.weights_file import State, read_state
from resnet_repro.evaluate.probes.subject import load_subject
from resnet_repro.evaluate.single_view import single_view_error
from resnet_repro.models.construct import construct
from resnet_repro.models.names import CifarName, parse
from resnet_repro.records import store
from resnet_repro.records.datasets import DATASETS
from resnet_repro.runtime.device import Device, computing

PREFERRED = ("paper", "quarter", "short")  # whose weights a network's name alone means
DATASET = "cifar10"


class Preprocessing(nn.Module):
    """Images (N, C, H, W) of 0 ... 255, bytes or floats, as the net was trained on: float32.

    Section 4.2: the mean of the training images is subtracted pixel by pixel. What else a recipe
    may ask for, a scale a channel, divides. Raises ValueError for images of another size, which
    would be stretched to the mean's.
    """

    mean: Tensor
    scale: Tensor | None

    def __init__(self, mean: Tensor, scale: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    def forward(self, images: Tensor) -> Tensor:
        if images.dim() != 4 or images.shape[1:] != self.mean.shape:
            size = ", ".join(map(str, self.mean.shape))
            raise ValueError(
                f"images of shape {tuple(images.shape)}: (N, {size}) is what this net takes"
            )
        x = images.float() - self.mean
        return x if self.scale is None else x / self.scale


class Classifier(nn.Module):
    """A trained net with its preprocessing: images (N, C, H, W) of 0 ... 255 to logits (N, K).

    classes: their names, in the logits' order. run: the record it is from.
    """

    def __init__(
        self, network: nn.Module, preprocessing: Preprocessing, classes: tuple[str, ...], run: str
    ) -> None:
        super().__init__()
        self.network, self.preprocessing = network, preprocessing
        self.classes, self.run = classes, run

    def forward(self, images: Tensor) -> Tensor:
        return self.network(self.preprocessing(images))  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Tested:
    """What a recorded net gets wrong of its data set's test images, in %; loss in nats."""

    record: store.Record
    images: int
    loss: float
    error: float

    @property
    def recorded(self) -> float | None:
        """What the record says of the same weights."""
        return self.record.result.half_precision_test_error


def cifar_record(folder: Path) -> store.Record:
    """A finished run of a CIFAR net. Raises UserError for any other."""
    record = weights.finished_run(folder)
    if not isinstance(parse(record.spec.network), CifarName):
        raise UserError(
            f"{folder} is a run of {record.spec.network}: give one of a CIFAR network, such as "
            "plain20 or resnet20"
        )
    return record


def load_recorded(folder: Path, data_root: Path | None = None) -> Classifier:
    """A finished run's net in eval mode, float32, with the weights its record keeps.

    data_root: where the training images are, which are needed only of another data set than
    CIFAR-10. Raises UserError when the folder is no such record, or keeps no weights.
    """
    record = cifar_record(folder)
    spec = record.spec
    path = weights.kept_weights(record)
    state = read_state(path)
    mean = mean_of(spec.dataset, spec.dataset_digest, record.recipe.mean, data_root)
    count = DATASETS[spec.dataset].classes
    names = CLASSES if spec.dataset.startswith(DATASET) else tuple(map(str, range(count)))
    preprocessing = Preprocessing(*mean)
    network = fitted(spec.network, state, preprocessing, names, record.recipe.bn_eps, str(path))
    return Classifier(network, preprocessing, names, str(record.run)).eval()


def fitted(
    name: str,
    state: State,
    preprocessing: Preprocessing,
    classes: tuple[str, ...],
    bn_eps: float,
    where: str,
) -> nn.Module:
    """The CIFAR network of that name with these weights, float32, in eval mode.

    Raises UserError, naming `where` they are from, for weights of another network, or of one for
    other images or classes.
    """
    try:
        network = construct(
            name,
            num_classes=len(classes),
            in_channels=len(preprocessing.mean),
            bn_eps=bn_eps,
        )
        network.load_state_dict(state)
    except RuntimeError as error:
        raise UserError(f"{where} does not fit {name}: restore it or rerun") from error
    return network.eval()


def networks_kept() -> dict[str, dict[str, Path]]:
    """The networks on CIFAR-10 whose weights the suite's records keep: by protocol, a folder."""
    found: dict[str, dict[str, Path]] = {}
    for run, folder in store.find_runs(paths.RECORDED):
        if run.dataset == DATASET and (folder / "weights.safetensors").is_file():
            found.setdefault(run.arm, {}).setdefault(run.protocol, folder)
    return found


def load_network(name: str, protocol: str | None = None) -> Classifier:
    """The suite's own net of that name, under the paper's protocol if there is one.

    Raises UserError for a network or a protocol whose weights are not kept.
    """
    kept = networks_kept()
    known = kept.get(name, {})
    order = (*PREFERRED, *known) if protocol is None else (protocol,)
    folder = next((known[p] for p in order if p in known), None)
    if folder is None:
        told = "; ".join(f"{network}: {', '.join(found)}" for network, found in kept.items())
        asked = name if protocol is None else f"{name} under protocol {protocol}"
        raise UserError(f"no weights of {asked} are recorded: there are {told or 'none here'}")
    return load_recorded(folder)


def load_pixels(name: str, root: Path | None) -> Dataset:
    """A data set that CIFAR networks train on. Raises UserError for another."""
    data = load(name, root)
    if not isinstance(data, Dataset):
        raise UserError(f"{name} is none of the data sets that CIFAR networks train on")
    return data


def measure_recorded(folders: list[Path], data_root: Path | None, device: Device) -> list[Tested]:
    """Test recorded nets on the test images of their data set, as they were when trained.

    Raises UserError for a run that is none of a CIFAR network, is unfinished or keeps no weights,
    and for data other than a run's.
    """
    records = [cifar_record(folder) for folder in folders]
    for record in records:
        weights.kept_weights(record)  # before minutes are spent on another
    found = []
    with computing(device), torch.no_grad():
        for record in records:
            data = load_pixels(record.spec.dataset, data_root)
            subject = load_subject(record, data, device)
            loss, error = single_view_error(subject.trained, subject.source)
            found.append(Tested(record, len(data.test), loss, error))
    return found
