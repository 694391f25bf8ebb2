"""Weights for the ImageNet networks: torchvision's published ones, a file's, a recorded run's.

Nothing in a file is executed. Two pairs of networks differ in no parameter and can be told apart
by no file: `resnet50` and `resnet50-v1.5` (101 and 152 layers alike), `plain34` and `resnet34-A`.
"""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from resnet_repro import paths
from resnet_repro.data.cifar10_forms import one_line
from resnet_repro.data.imagefolder.statistics import Statistics
from resnet_repro.errors import UserError
from resnet_repro.evaluate.imagenet.weights_file import State, read_state
from resnet_repro.models.construct import construct
from resnet_repro.models.names import CifarName, parse
from resnet_repro.records import store
from resnet_repro.records.files import is_file
from resnet_repro.records.schema import WEIGHTS_MAX_DEPTH

TORCHVISION = {  # ours -> torchvision's network with the same parameters and the same strides
    "resnet18-B": "resnet18",
    "resnet34-B": "resnet34",
    "resnet50-v1.5": "resnet50",
    "resnet101-v1.5": "resnet101",
    "resnet152-v1.5": "resnet152",
    "vgg16": "vgg16",
    "vgg19": "vgg19",
}
NETWORKS = (
    "plain18",
    "plain34",
    *(f"resnet{depth}-{option}" for depth in (18, 34) for option in "ABC"),
    *(f"resnet{depth}{form}" for depth in (50, 101, 152) for form in ("", "-v1.5")),
    "vgg16",
    "vgg19",
)
HEADS = ("fc.weight", "classifier.6.weight")  # (classes, features), of ResNet and VGG
STATISTICS = "statistics.safetensors"


@dataclass(frozen=True)
class Published:
    """What torchvision says of weights of its own: errors in % of one centre crop."""

    name: str
    top1_error: float
    top5_error: float
    resize: int  # shorter side at test, pixels; its crop is 224


@dataclass(frozen=True)
class Loaded:
    """A network with weights; `published` for torchvision's."""

    network: str
    model: nn.Module
    published: Published | None = None


@dataclass(frozen=True)
class LoadedRun:
    """A recorded run's network with its final weights, and how its pictures are preprocessed."""

    record: store.Record
    model: nn.Module
    crop: int  # pixels
    mean: str  # one of preprocessing.MEAN_KINDS
    statistics: Statistics | None  # None: the record has none


def load(network: str, source: str, classes: int) -> Loaded:
    """The ImageNet network of that name with weights from `source`, for so many classes.

    source: `torchvision` (IMAGENET1K_V1), `torchvision:<name>` for others it publishes, or a
    .safetensors, .pth or .pt file. Raises UserError for a CIFAR network, when the weights cannot
    be had, for another number of classes and for weights of another network.
    """
    check_imagenet(network)
    if source == "torchvision" or source.startswith("torchvision:"):
        name = source.partition(":")[2] or "IMAGENET1K_V1"
        state, published = _published(network, name)
        return Loaded(network, fit(network, state, f"torchvision's {name}", classes), published)
    return Loaded(network, fit(network, read_state(Path(source)), source, classes))


def check_imagenet(network: str) -> None:
    """Raise UserError unless `network` names an ImageNet network."""
    if isinstance(parse(network), CifarName):
        raise UserError(
            f"{network} is a CIFAR network, tested as it is trained: give an ImageNet one, "
            "such as resnet34-B or resnet50"
        )


def load_run(folder: Path) -> LoadedRun:
    """A finished ImageNet run's network, from its record's folder.

    Raises UserError when the folder is no such record, or keeps no weights, or was changed.
    """
    record = finished_run(folder)
    place, recipe = record.folder, record.recipe
    check_imagenet(record.spec.network)
    path = kept_weights(record)
    check_unchanged(record, STATISTICS)
    if recipe.crop is None:
        raise UserError(f"{folder}: its recipe says no crop, which an ImageNet run has")
    state = read_state(path)
    model = fit(record.spec.network, state, str(path), _classes(state))
    own = place / STATISTICS
    statistics = Statistics.load(own) if own.is_file() else None
    return LoadedRun(record, model, recipe.crop, recipe.mean, statistics)


def finished_run(folder: Path) -> store.Record:
    """The record in a folder. Raises UserError when it is none, or not a finished one's."""
    place = folder.resolve()
    if not is_file(place / "spec.json"):
        raise UserError(
            f"{folder} is no recorded run: give a folder <results>/<dataset>/<arm>/<protocol>/seed0"
            ", or a name such as cifar10/resnet20/short/seed0"
        )
    if not store.is_done(place):
        raise UserError(f"{folder} is not finished: `status` says how far it is")
    run = store.run_of(place)
    if run is None:
        raise UserError(f"{place}: a record lies in <dataset>/<arm>/<protocol>/seed<k>")
    return store.read_record(run, place)


def kept_weights(record: store.Record) -> Path:
    """A record's file of weights. Raises UserError when there is none, or it was changed."""
    path = record.folder / "weights.safetensors"
    if not path.is_file():
        if paths.INSTALLED and path.is_relative_to(paths.RECORDED):
            place = path.relative_to(paths.ROOT)
            raise UserError(
                f"recorded weights are not part of the installed package: take {place} from the "
                "project's repository"
            )
        cifar = isinstance(parse(record.spec.network), CifarName)
        kept = f"; give seed 0 of a network of up to {WEIGHTS_MAX_DEPTH} layers" if cifar else ""
        raise UserError(f"{record.folder} keeps no weights: {path.name} is not there{kept}")
    check_unchanged(record, path.name)
    return path


def check_unchanged(record: store.Record, name: str) -> None:
    """Raise UserError when a file of a record is another than result.json tells of."""
    told, path = record.result.files.get(name), record.folder / name
    if told is not None and path.is_file() and store.file_digest(path) != told:
        raise UserError(f"{path}: changed since result.json was written")


def fit(network: str, state: Mapping[str, Tensor], where: str, classes: int) -> nn.Module:
    """The network with these weights, float32, in eval mode; `where` is named in messages.

    Counters of batches (`num_batches_tracked`) may be absent: older files have none. Raises
    UserError for another number of classes and for weights of another network, then naming ours
    that they fit.
    """
    told = _classes(state) or classes
    if found := _differences(network, state, told):
        more = f" (and {len(found) - 1} more differences)" if len(found) > 1 else ""
        raise UserError(
            f"{where} does not fit {network}: {found[0]}{more}; {_fitting(state, told)}"
        )
    if told != classes:
        raise UserError(
            f"{where} tells {told} classes apart and the images have {classes}: "
            "give weights that were trained on this data set"
        )
    model = construct(network, num_classes=classes)
    model.load_state_dict(dict(state), strict=False)
    return model.eval()


def _classes(state: Mapping[str, Tensor]) -> int:
    """How many classes the weights' classifier has; 0 when it is none of ours."""
    return next((state[h].shape[0] for h in HEADS if h in state and state[h].ndim == 2), 0)


def _differences(network: str, state: Mapping[str, Tensor], classes: int) -> list[str]:
    """In what names and shapes the weights differ from the network's; empty if in none."""
    with torch.device("meta"):
        own = construct(network, num_classes=max(1, classes)).state_dict()
    found = []
    for name, tensor in own.items():
        if name not in state:
            if not name.endswith("num_batches_tracked"):
                found.append(f"{name} is missing")
        elif state[name].shape != tensor.shape:
            found.append(f"{name} is {_size(state[name])} instead of {_size(tensor)}")
    return found + [f"{name} is none of its parameters" for name in state if name not in own]


def _size(tensor: Tensor) -> str:
    return " x ".join(str(n) for n in tensor.shape) or "one number"


def _fitting(state: Mapping[str, Tensor], classes: int) -> str:
    names = [name for name in NETWORKS if not _differences(name, state, classes)]
    return f"it fits {' and '.join(names)}" if names else "it fits none of our ImageNet networks"


def _published(network: str, name: str) -> tuple[State, Published]:
    """torchvision's weights of that name for the network, downloaded unless they are cached."""
    from torchvision.models import (  # type: ignore[import-untyped, unused-ignore]
        get_model_weights,
    )

    if network not in TORCHVISION:
        raise UserError(
            f"torchvision has no weights for {network}: it has for {', '.join(TORCHVISION)}"
        )
    known = {w.name: w for w in get_model_weights(TORCHVISION[network]) if _accuracies(w)}
    if name not in known:
        raise UserError(f"torchvision has no {name} for {network}: give one of {', '.join(known)}")
    weights = known[name]
    try:
        # It says on standard output that it downloads, where JSON may be wanted.
        with contextlib.redirect_stdout(sys.stderr):
            state = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except Exception as error:  # of the network, the disk, or a damaged file
        raise UserError(
            f"cannot have {weights.url} ({one_line(error)}): download it elsewhere and give the "
            "file as --weights"
        ) from error
    top1, top5 = _accuracies(weights)
    # What is published has three decimals.
    return state, Published(
        name, round(100 - top1, 3), round(100 - top5, 3), weights.transforms().resize_size[0]
    )


def _accuracies(weights: Any) -> tuple[float, ...]:
    """Top-1 and top-5 accuracy in % that torchvision publishes; empty without a classifier."""
    told = weights.meta["_metrics"]["ImageNet-1K"]
    found = (told["acc@1"], told["acc@5"])
    return () if any(math.isnan(value) for value in found) else found
