"""What `study` does: it looks into recorded CIFAR networks and files what it finds beside them.

Nothing is trained. A study takes the weights a record keeps, which are in half precision, and for
its beginning the same weights drawn again from the recipe's seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import cast

import torch
from torch import Tensor, nn

from resnet_repro.data import load
from resnet_repro.data.dataset import Dataset
from resnet_repro.data.in_memory import TEST_BATCH, InMemoryLoader
from resnet_repro.errors import UserError
from resnet_repro.evaluate.imagenet import weights
from resnet_repro.evaluate.probes import shattering
from resnet_repro.evaluate.probes.deepening import deepen, ends
from resnet_repro.evaluate.probes.lesions import Batches, blocks_of, keeps_shape, lesions
from resnet_repro.evaluate.probes.shortcut_signal import signal_path
from resnet_repro.models import build
from resnet_repro.models.blocks import ClassifierInit, FanMode
from resnet_repro.models.names import CifarName, parse
from resnet_repro.records import evaluations, provenance, store
from resnet_repro.records.evaluations import Evaluation
from resnet_repro.runtime.device import Device, computing, executed

LESION_IMAGES = 1_000  # the first test images; a CPU takes a minute or two over them
PATH_IMAGES = 1_000  # the first test images
IDENTITY_IMAGES = 1_000  # the first training images, not augmented
IDENTITY_DEPTHS = (20, 32, 44, 56)  # layers of the plain nets in Fig. 6; a net is deepened to each
LESION_DRAWS = 3  # for each number of blocks deleted at random
CIRCLES = 4  # of inputs, each through two test images
POINTS = 128  # on a circle
LAGS = tuple(range(17))  # points between two inputs that are compared
GRADIENT_IMAGES = 250  # the first training images, not augmented: a batch for norms and statistics
DIGITS = 6  # after the point of what is filed

Settings = dict[str, object]
Values = dict[str, object]
Say = Callable[[str], None]


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


def _bn(subject: Subject) -> str:
    """Which of BN's statistics the recorded weights have."""
    return str(subject.record.spec.recipe.get("bn_statistics", "moving"))


def _lesions(subject: Subject) -> tuple[Settings, Values]:
    """Errors in % of the test images; rises in points above the whole network's error."""
    batches = subject.test_batches(LESION_IMAGES)
    found = lesions(subject.trained, batches, LESION_DRAWS)
    deleted, swapped = list(found.deleted.values()), list(found.swapped.values())
    settings: Settings = {
        "split": "test",
        "images": sum(len(labels) for _, labels in batches),
        "bn": _bn(subject),
        "blocks": list(found.deleted),
        "pairs": [list(pair) for pair in found.swapped],
        "draws": LESION_DRAWS,
        "seed": 0,
    }
    values: Values = {
        "intact_error": found.intact,
        "deleted_errors": deleted,
        "random_errors": list(found.random.values()),
        "swapped_errors": swapped,
        "deletion_rise": found.deletion_rise,
    }
    if swapped:
        values["swap_rise"] = found.swap_rise
    return settings, values


def _gradients(subject: Subject) -> tuple[Settings, Values]:
    """Norms by layer, and autocorrelations of input gradients by block and lag.

    Both before the first step and after the last; correlations with batch normalisation's
    statistics of one batch before, and with the recorded ones after.
    """
    x = next(iter(subject.source.plain_train_batches()))[:GRADIENT_IMAGES]
    labels = subject.source.train_labels[: len(x)]
    [(pairs, _)] = subject.test_batches(2 * CIRCLES)
    states = {
        "initial": (subject.initial, shattering.calibrated(subject.initial, x)),
        "trained": (subject.trained, subject.trained),
    }
    settings: Settings = {
        "images": len(x),
        "norm_bn": "batch",
        "bn": f"calibrated+{_bn(subject)}",
        "circles": len(pairs) // 2,
        "points": POINTS,
        "lags": list(LAGS),
        "seed": 0,
    }
    values: Values = {
        "white_noise": shattering.white_noise(POINTS, LAGS),
        "brown_noise": shattering.brown_noise(POINTS, LAGS),
    }
    for state, (model, tested) in states.items():
        norms = shattering.layer_norms(model, x, labels, "batch")
        found = shattering.shattering(tested, pairs, POINTS, LAGS)
        settings |= {"layers": list(norms), "blocks": list(found)}
        values[f"{state}_norms"] = list(norms.values())
        values[f"{state}_correlations"] = list(found.values())
        values[f"{state}_correlation"] = found[list(found)[-1]][LAGS.index(1)]
    return settings, values


def _identity(subject: Subject) -> tuple[Settings, Values]:
    """Training errors in % of the network, deepened by identities to each greater depth.

    And how far the deepened ones' logits are from its own, at most. Raises UserError for a
    network that is deeper than any of IDENTITY_DEPTHS.
    """
    network, deepest = subject.record.spec.network, IDENTITY_DEPTHS[-1]
    own = cast(CifarName, parse(network)).depth
    if own > deepest:
        raise UserError(
            f"{network} is deeper than the {deepest} layers that nets are deepened to: "
            "study a shallower one"
        )
    batches = subject.train_batches(IDENTITY_IMAGES)
    labels = torch.cat([y for _, y in batches])
    depths = [own, *(depth for depth in IDENTITY_DEPTHS if depth > own)]
    errors, differences = [], []
    before = _logits(subject.trained, batches)
    for depth in depths:
        blocks = (depth - own) // 6  # a block has 2 layers, and there are 3 stages
        after = _logits(deepen(subject.trained, ends(subject.trained, blocks)), batches)
        errors.append(100.0 * (after.argmax(1) != labels).float().mean().item())
        differences.append((after - before).abs().max().item())
    settings: Settings = {
        "split": "train, not augmented",
        "images": len(labels),
        "bn": _bn(subject),
        "depths": depths,
        "seed": 0,
    }
    values: Values = {
        "deepened_errors": errors,
        "identity_error": errors[-1],
        "logit_difference": max(differences),
    }
    return settings, values


@torch.no_grad()
def _logits(model: nn.Module, batches: Batches) -> Tensor:
    return torch.cat([model(x) for x, _ in batches])


def _path(subject: Subject) -> tuple[Settings, Values]:
    """By block: strengths of shortcut and residual, the shortcut's share, and what is kept.

    The mean of what is kept is over the blocks that keep the shape: those a plain net has it of.
    """
    batches = subject.test_batches(PATH_IMAGES)
    found = signal_path(subject.trained, batches)
    blocks = blocks_of(subject.trained)
    kept = {s.name: s.kept for s in found if s.kept is not None}
    compared = [cosine for name, cosine in kept.items() if keeps_shape(blocks[name])]
    settings: Settings = {
        "split": "test",
        "images": sum(len(labels) for _, labels in batches),
        "bn": _bn(subject),
        "blocks": [s.name for s in found],
        "kept_blocks": list(kept),
    }
    values: Values = {
        "shortcuts": [s.shortcut for s in found],
        "residuals": [s.residual for s in found],
        "shares": [s.share for s in found],
        "kept": list(kept.values()),
    }
    if compared:
        values["signal_kept"] = fmean(compared)
    return settings, values


STUDIES: dict[str, Callable[[Subject], tuple[Settings, Values]]] = {
    evaluations.LESIONS: _lesions,
    evaluations.GRADIENTS: _gradients,
    evaluations.IDENTITY: _identity,
    evaluations.PATH: _path,
}


def study(
    name: str, runs: Sequence[Path], data_root: Path | None, device: Device, say: Say
) -> list[tuple[Evaluation, Path]]:
    """Make one of STUDIES of each recorded run; what came out, and where it was filed.

    Raises UserError for another name, for a run that is none of a CIFAR network, is unfinished,
    keeps no weights or was changed, for data other than a run's, and for a network that the study
    does not suit.
    """
    if name not in STUDIES:
        raise UserError(f"unknown study '{name}': give one of {', '.join(STUDIES)}")
    if not runs:
        raise UserError("give a recorded run: --run <results>/<dataset>/<arm>/<protocol>/seed0")
    records = [_cifar_record(folder) for folder in runs]
    for record in records:
        weights.kept_weights(record)  # before minutes are spent on another
    found = []
    data: Dataset | None = None
    with computing(device):
        for record in records:
            started = provenance.utc_now()
            if data is None or data.name != record.spec.dataset:
                data = _load(record.spec.dataset, data_root)
            say(f"{record.run}: {name}")
            settings, values = STUDIES[name](_subject(record, data, device))
            evaluation = Evaluation(
                name=name,
                spec_hash=record.spec.hash,
                settings=settings | {"dataset": data.name, "dataset_digest": data.digest},
                values={key: _rounded(value) for key, value in values.items()},
                execution=executed(
                    device, started, f"python -m resnet_repro study {name} --run {record.run}"
                ),
            )
            path = evaluations.write_evaluation(record.folder, evaluation)
            found.append((evaluation, path))
    return found


def _cifar_record(folder: Path) -> store.Record:
    record = weights.finished_run(folder)
    if not isinstance(parse(record.spec.network), CifarName):
        raise UserError(
            f"{folder} is a run of {record.spec.network}: studies are of the CIFAR networks, "
            "such as plain20 and resnet20"
        )
    return record


def _load(name: str, root: Path | None) -> Dataset:
    data = load(name, root)
    if not isinstance(data, Dataset):
        raise UserError(f"{name} is none of the data sets that CIFAR networks train on")
    return data


def _subject(record: store.Record, data: Dataset, device: Device) -> Subject:
    spec, recipe = record.spec, record.spec.recipe
    if data.digest != spec.dataset_digest:
        raise UserError(
            f"{record.folder} was trained on another copy of {data.name}: its digest is "
            f"{spec.dataset_digest[:12]}, that of these data {data.digest[:12]}"
        )
    source = InMemoryLoader(
        data,
        seed=spec.seed,
        batch_size=cast(int, recipe["batch_size"]),
        pad=cast(int, recipe["pad"]),
        flip=cast(bool, recipe["flip"]),
        mean=cast(str, recipe["mean"]),
        device=device.torch,
    )

    def built() -> nn.Module:
        model = build(
            spec.network,
            num_classes=len(data.classes),
            in_channels=data.train.images.shape[1],
            bn_eps=cast(float, recipe.get("bn_eps", 1e-5)),
            init=cast(FanMode, recipe["init"]),
            classifier_init=cast(ClassifierInit, recipe.get("classifier_init", "he")),
            seed=spec.seed,
        )
        return model.to(device.torch)

    trained, path = built(), weights.kept_weights(record)
    state: dict[str, Tensor] = weights.read_state(path)
    try:
        trained.load_state_dict(state)
    except RuntimeError as error:
        raise UserError(f"{path} does not fit {spec.network}: restore it or rerun") from error
    return Subject(record, trained.eval(), built(), source)


def _rounded(value: object) -> object:
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return round(value, DIGITS) if isinstance(value, float) else value
