"""Top-1 and top-5 errors on image files, of one network or of several together (3.4, 4.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from resnet_repro.data.imagefolder.decode import loader, read_image
from resnet_repro.data.imagefolder.split import ImageFolder, ImageSplit
from resnet_repro.errors import UserError
from resnet_repro.evaluate.imagenet.crops import Views, crop_scores, cut, dense_scores, views_for
from resnet_repro.evaluate.imagenet.preprocessing import Preprocessing

BATCH = 64  # crops a network sees at once, unless told
BN_BATCH = 256  # images BN's statistics are taken over before they are averaged
TOP = 5

Progress = Callable[[int, int], None]
Context = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True)
class Member:
    """A network, logits (N, classes), and what its pictures go through first."""

    model: nn.Module
    preprocessing: Preprocessing


@dataclass(frozen=True)
class Scores:
    """Errors in % over so many images. Top-5 of five classes or fewer is 0 by its definition."""

    images: int
    top1_error: float
    top5_error: float


def evaluate(
    members: Sequence[Member],
    split: ImageSplit,
    views: Views,
    device: torch.device,
    *,
    autocast: Context = nullcontext,
    batch_size: int = BATCH,
    workers: int = 0,
    progress: Progress = lambda done, total: None,
    classes: int | None = None,
) -> Scores:
    """The errors of the members' softmax scores, averaged over views and members.

    An ensemble of one is that network alone. The networks are moved to `device` and stay there.
    batch_size: how many crops are computed at once; larger pictures count for more, so that
    memory is bounded by it whatever the views. workers: processes that read images. progress:
    called with the images done and their number. classes: how many the data set has; None: as
    many as the split's labels. Raises UserError for a network with another number of classes,
    for scores that are not finite, and for files that cannot be read.
    """
    if not members:
        raise ValueError("no network to evaluate")
    if not len(split):
        raise UserError(f"{split.root} holds no images")
    expected = int(split.labels.max()) + 1 if classes is None else classes
    placed = [_place(member, device) for member in members]
    once = max(1, batch_size // views.pictures)
    keys = [list(range(i, min(i + once, len(split)))) for i in range(0, len(split), once)]
    top1 = top5 = done = 0
    with torch.inference_mode():
        batches = loader(
            _Pictures(split, views),
            keys,
            workers=workers,
            collate=_by_shape,
            pin_memory=device.type == "cuda",
        )
        for labels, groups in batches:
            each = [
                _member_scores(member, groups, len(labels), views, batch_size, autocast)
                for member in placed
            ]
            for scores in each:
                _check(scores, expected)
            ranked = (
                torch.stack(each).mean(0).topk(min(TOP, expected), dim=1).indices.cpu()
                == labels[:, None]
            )
            top1 += int(ranked[:, 0].sum())
            top5 += int(ranked.sum())
            done += len(labels)
            progress(done, len(split))
    return Scores(done, 100.0 * (done - top1) / done, 100.0 * (done - top5) / done)


def recompute_bn(
    member: Member,
    train: ImageSplit,
    crop: int,
    device: torch.device,
    *,
    autocast: Context = nullcontext,
    workers: int = 0,
    progress: Progress = lambda done, total: None,
) -> None:
    """Set BN's mean and variance to their averages over the training images' centre crops.

    The released ImageNet networks were tested with statistics of a large training batch instead
    of moving averages. Each of our batches spans all classes (files lie sorted by class, and a
    variance within one class is too small). Raises UserError for files that cannot be read.
    """
    placed = _place(member, device)
    count = -(-len(train) // BN_BATCH)
    keys = [list(range(first, len(train), count)) for first in range(count)]

    def batches() -> Iterator[Tensor]:
        done = 0
        dataset = _Pictures(train, views_for("center", crop))
        for labels, groups in loader(dataset, keys, workers=workers, collate=_by_shape):
            ((pictures, _),) = groups  # centre crops have one shape
            yield placed.preprocessing(_upload(pictures, device))
            done += len(labels)
            progress(done, len(train))

    with autocast():
        update_bn(batches(), placed.model)


def split_settings(data: ImageFolder) -> dict[str, object]:
    """What an evaluation says of the images it was made on; `left_out` only where some were."""
    left_out = sum(path.startswith("val/") for path in data.skipped)
    return {
        "split": "val",
        "dataset_digest": data.test.digest,
        **({"left_out": left_out} if left_out else {}),
    }


class _Pictures:
    """An image's label and the pictures cut from it, by its number in the split."""

    def __init__(self, split: ImageSplit, views: Views) -> None:
        self.split, self.views = split, views

    def __getitem__(self, index: int) -> tuple[int, list[Tensor]]:
        image = read_image(self.split.place(index))
        return int(self.split.labels[index]), cut(image, self.views)


Groups = list[tuple[Tensor, Tensor]]


def _by_shape(items: list[tuple[int, list[Tensor]]]) -> tuple[Tensor, Groups]:
    """Labels (N,), and for each shape there is: pictures (M, 3, H, W), whose they are (M,)."""
    found: dict[torch.Size, tuple[list[Tensor], list[int]]] = {}
    for owner, (_, cuts) in enumerate(items):
        for pictures in cuts:
            group, owners = found.setdefault(pictures.shape[1:], ([], []))
            group.append(pictures)
            owners += [owner] * len(pictures)
    labels = torch.tensor([label for label, _ in items])
    return labels, [(torch.cat(group), torch.tensor(own)) for group, own in found.values()]


def _place(member: Member, device: torch.device) -> Member:
    model = member.model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Member(model.eval(), member.preprocessing.to(device))


def _upload(pictures: Tensor, device: torch.device) -> Tensor:
    return pictures.to(device, non_blocking=True).contiguous(memory_format=torch.channels_last)


def _member_scores(
    member: Member,
    groups: Groups,
    images: int,
    views: Views,
    batch_size: int,
    autocast: Context,
) -> Tensor:
    """One network's softmax scores averaged over all views of each image: (images, classes)."""
    device = member.preprocessing.channels.device
    total: Tensor | None = None
    for pictures, owners in groups:
        area = pictures.shape[2] * pictures.shape[3]
        once = max(1, batch_size * views.crop**2 // area)
        for some, whose in zip(pictures.split(once), owners.split(once), strict=True):
            with autocast():
                scores = _picture_scores(member, _upload(some, device), views)
            if total is None:
                total = scores.new_zeros(images, scores.shape[1])
            total.index_add_(0, whose.to(device), scores)
    assert total is not None
    return total / views.pictures


def _picture_scores(member: Member, pictures: Tensor, views: Views) -> Tensor:
    """Softmax scores (N, classes) of pictures (N, 3, H, W) as they come from the files."""
    if views.crops != "dense":
        return crop_scores(member.model, member.preprocessing(pictures))
    mirrored = (pictures, pictures.flip(3))
    one, other = (
        dense_scores(member.model, member.preprocessing(each), views.crop) for each in mirrored
    )
    return (one + other) / 2


def _check(scores: Tensor, classes: int) -> None:
    if scores.shape[1] != classes:
        raise UserError(
            f"the network tells {scores.shape[1]} classes apart and the images have {classes}: "
            "give weights that were trained on this data set"
        )
    if not bool(scores.isfinite().all()):
        raise UserError("the network's scores are not finite: its weights are of a diverged run")
