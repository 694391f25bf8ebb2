"""Centre crop, ten crops, the dense form and ensembles, against torchvision and by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor, nn
from torchvision.models import resnet18  # type: ignore[import-untyped, unused-ignore]
from torchvision.transforms import v2  # type: ignore[import-untyped, unused-ignore]
from torchvision.transforms._presets import (  # type: ignore[import-untyped, unused-ignore]
    ImageClassification,
)

from resnet_repro.data.imagefolder.folders import class_folders, split_from
from resnet_repro.data.imagefolder.listing import IMAGENETTE, validation
from resnet_repro.data.imagefolder.split import ImageSplit, make_split
from resnet_repro.data.imagefolder.statistics import Statistics
from resnet_repro.errors import UserError
from resnet_repro.evaluate.imagenet import scores as images
from resnet_repro.evaluate.imagenet.crops import (
    Views,
    crop_scores,
    cut,
    dense_logits,
    dense_scores,
    views_for,
)
from resnet_repro.evaluate.imagenet.preprocessing import (
    Preprocessing,
    subtracting,
    torchvision_preprocessing,
)
from resnet_repro.evaluate.imagenet.scores import Member, Scores, evaluate, recompute_bn
from resnet_repro.models import build
from resnet_repro.models.construct import construct
from tests.conftest import REPO

REAL = REPO.parent / "shared" / "data" / "imagenette160"
CPU = torch.device("cpu")
CROP = 32
PLAIN = Preprocessing(None, torch.full((3, 1, 1), 127.5), torch.full((3, 1, 1), 64.0))

pytestmark = pytest.mark.usefixtures("_one_thread")


class Tiny(nn.Module):
    """A network of our form: one convolution of stride 32, and a classifier of loud scores."""

    def __init__(self, classes: int, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.conv = nn.Conv2d(3, 8, 32, stride=32)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8, classes)
        for parameter in self.parameters():
            nn.init.normal_(parameter, generator=generator)

    def features(self, x: Tensor) -> Tensor:
        maps: Tensor = self.conv(x).relu() / 8
        return maps

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.avgpool(self.features(x)).flatten(1))
        return logits


def write_images(folder: Path, classes: Sequence[str], per_class: int) -> ImageSplit:
    """Noise of many sizes and blotches, a folder a class."""
    rng = np.random.default_rng(0)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for number in range(per_class):
            height, width = rng.integers(30, 70, 2)
            coarse = rng.integers(0, 256, (5, 5, 3), dtype=np.uint8)
            image = Image.fromarray(coarse).resize((int(width), int(height)))
            image.save(folder / name / f"{number}.png")
    return split_from(folder, classes)


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> ImageSplit:
    """28 images of seven classes."""
    return write_images(tmp_path_factory.mktemp("images") / "val", [f"n{i}" for i in range(7)], 4)


def opened(split: ImageSplit) -> list[Image.Image]:
    return [Image.open(split.root / path).convert("RGB") for path in split.paths]


def errors(scores: Tensor, labels: Sequence[int], top: int) -> float:
    """By sorting, an image at a time."""
    wrong = 0
    for row, label in zip(scores.tolist(), labels, strict=True):
        best = sorted(range(len(row)), key=lambda c: -row[c])[:top]
        wrong += label not in best
    return 100.0 * wrong / len(labels)


def measured(networks: Sequence[nn.Module], split: ImageSplit, views: Views, **how: int) -> Scores:
    return evaluate([Member(n, PLAIN) for n in networks], split, views, CPU, **how)  # type: ignore[arg-type]


# --- what is looked at ----------------------------------------------------------------------


@given(st.integers(20, 90), st.integers(20, 90), st.integers(20, 40), st.integers(0, 20))
def test_crops_are_those_of_torchvision(height: int, width: int, crop: int, extra: int) -> None:
    pixels = np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    image, size = Image.fromarray(pixels), crop + extra
    resized = v2.Resize(size)(image)
    ten = torch.stack([v2.functional.pil_to_tensor(c) for c in v2.TenCrop(crop)(resized)])
    (found,) = cut(image, Views("10", (size,), crop))
    assert torch.equal(found, ten)
    assert torch.equal(found[5].flip(2), found[1]), "the mirror image's corner is not the corner's"
    (found,) = cut(image, Views("center", (size,), crop))
    assert torch.equal(found[0], v2.functional.pil_to_tensor(v2.CenterCrop(crop)(resized)))
    (found,) = cut(image, Views("dense", (size,), crop))
    assert torch.equal(found[0], v2.functional.pil_to_tensor(resized))


def test_the_papers_sizes_scale_with_the_crop() -> None:
    assert views_for("center").sizes == views_for("10").sizes == (256,)
    assert views_for("dense").sizes == (224, 256, 384, 480, 640)
    assert views_for("dense", 112).sizes == (112, 128, 192, 240, 320)


@pytest.mark.parametrize(
    ("crops", "sizes", "crop", "says"),
    [
        ("11", (256,), 224, "unknown crops '11': give one of center, 10, dense"),
        ("10", (200,), 224, "shorter side 200 is below the crop of 224"),
        ("10", (), 224, "at least one shorter side"),
        ("10", (256, 256), 224, "each once"),
        ("10", (256,), 0, "crop 0: give at least 1"),
    ],
)
def test_views_that_cannot_be(crops: str, sizes: tuple[int, ...], crop: int, says: str) -> None:
    with pytest.raises(UserError, match=says):
        Views(crops, sizes, crop)


# --- the fully-convolutional form -----------------------------------------------------------


def network(name: str) -> Any:
    if name == "torchvision":
        torch.manual_seed(0)
        model: nn.Module = resnet18(num_classes=5)
        return model.eval()
    if name == "vgg16":
        torch.manual_seed(0)
        return construct(name, num_classes=5).eval()
    return build(name, num_classes=5).eval()


@pytest.mark.parametrize(
    ("name", "crop"),
    [
        ("resnet18-B", 32),
        ("resnet18-A", 64),
        ("plain18", 48),
        ("resnet50", 64),
        ("torchvision", 64),
        ("vgg16", 64),
    ],
)
@torch.inference_mode()
def test_the_dense_form_on_a_crop_is_the_ordinary_forward_pass(name: str, crop: int) -> None:
    model = network(name)
    x = torch.randn(2, 3, crop, crop)
    found = dense_logits(model, x, crop)
    torch.testing.assert_close(found, model(x)[:, None], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        dense_scores(model, x, crop), crop_scores(model, x), rtol=1e-4, atol=1e-4
    )


@torch.inference_mode()
def test_the_window_is_the_papers_seven_at_its_crop() -> None:
    model = network("resnet18-B")
    x = torch.randn(1, 3, 224, 224)
    assert model.features(x).shape[-2:] == (7, 7)
    torch.testing.assert_close(dense_logits(model, x, 224), model(x)[:, None], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["resnet18-B", "torchvision", "vgg16"])
@torch.inference_mode()
def test_the_dense_form_is_the_network_at_every_window(name: str) -> None:
    model, crop = network(name), 64
    x = torch.randn(2, 3, 128, 165)
    maps = (
        model.features(x)
        if name != "torchvision"
        else nn.Sequential(
            *[module for part, module in model.named_children() if part not in ("avgpool", "fc")]
        )(x)
    )
    head = model.classifier if name == "vgg16" else model.fc
    window, by_hand = 2, []
    for row in range(maps.shape[2] - window + 1):
        for column in range(maps.shape[3] - window + 1):
            part = maps[:, :, row : row + window, column : column + window]
            by_hand.append(head(model.avgpool(part).flatten(1)))
    expected = torch.stack(by_hand, dim=1)
    assert expected.shape[1] > 6
    found = dense_logits(model, x, crop)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        dense_scores(model, x, crop), expected.softmax(2).mean(1), rtol=1e-4, atol=1e-4
    )


# --- scores, averaged -----------------------------------------------------------------------


def by_hand(model: nn.Module, split: ImageSplit, views: Views) -> Tensor:
    """Softmax scores of one network: an image, a size and a crop at a time, with torchvision."""
    rows = []
    for image in opened(split):
        seen = []
        for size in views.sizes:
            whole = v2.Resize(size)(image)
            cuts = {
                "center": lambda x: [v2.CenterCrop(CROP)(x)],
                "10": v2.TenCrop(CROP),
                "dense": lambda x: [x, v2.functional.horizontal_flip(x)],
            }[views.crops](whole)
            for each in cuts:
                x = PLAIN(v2.functional.pil_to_tensor(each)[None])
                if views.crops == "dense":
                    seen.append(dense_logits(model, x, CROP).softmax(2).mean(1))
                else:
                    seen.append(model(x).softmax(1))
        rows.append(torch.cat(seen).mean(0))
    return torch.stack(rows)


VIEWS = [Views("center", (37,), CROP), views_for("10", CROP), views_for("dense", CROP)]


def labelled(split: ImageSplit, scores: Tensor, rank: int) -> ImageSplit:
    """The split as if each image were of the class that has this rank in its scores."""
    labels = scores.argsort(1, descending=True)[:, rank - 1].numpy()
    return dataclasses.replace(split, labels=labels)


@pytest.mark.parametrize("views", VIEWS, ids=lambda views: views.crops)
@torch.inference_mode()
def test_ranks_by_hand_alone_and_together(views: Views, split: ImageSplit) -> None:
    one, other = Tiny(7, 1), Tiny(7, 5)
    scores = [by_hand(model, split, views) for model in (one, other)]
    both = (scores[0] + scores[1]) / 2
    first = [each.argmax(1).tolist() for each in (*scores, both)]
    assert first[2] not in first[:2], "these networks are no ensemble"
    for networks, expected in (([one], scores[0]), ([one, one], scores[0]), ([one, other], both)):
        for rank, top1, top5 in ((1, 0, 0), (2, 100, 0), (5, 100, 0), (6, 100, 100)):
            found = measured(networks, labelled(split, expected, rank), views, classes=7)
            assert found == Scores(28, top1, top5)
        labels = split.labels.tolist()
        found = measured(networks, split, views)
        assert found == Scores(28, errors(expected, labels, 1), errors(expected, labels, 5))


@torch.inference_mode()
def test_softmax_is_averaged_and_not_logits(split: ImageSplit) -> None:
    views, model = views_for("10", CROP), Tiny(7, 3)
    logits = [model(PLAIN(cut(image, views)[0])) for image in opened(split)]
    softmax = torch.stack([each.softmax(1).mean(0) for each in logits])
    summed = torch.stack([each.sum(0) for each in logits])
    assert measured([model], labelled(split, softmax, 1), views, classes=7).top1_error == 0
    assert measured([model], labelled(split, summed, 1), views, classes=7).top1_error > 0


@pytest.mark.parametrize("views", VIEWS, ids=lambda views: views.crops)
def test_batch_size_and_workers_change_nothing(views: Views, split: ImageSplit) -> None:
    network = Tiny(7, 1)
    found = {measured([network], split, views, batch_size=size) for size in (1, 3, 10, 1000)}
    assert len(found) == 1


@pytest.mark.slow
def test_processes_that_read_change_nothing(split: ImageSplit) -> None:
    network, views = Tiny(7, 1), views_for("dense", CROP)
    alone = measured([network], split, views)
    assert measured([network], split, views, workers=2, batch_size=20) == alone


def test_top_five_of_few_classes_has_no_error(tmp_path: Path) -> None:
    split = write_images(tmp_path, ["a", "b", "c"], 3)
    found = measured([Tiny(3, 0)], split, views_for("center", CROP))
    assert found.top1_error > 0
    assert found.top5_error == 0


def test_progress_counts_images(split: ImageSplit) -> None:
    told: list[tuple[int, int]] = []
    evaluate(
        [Member(Tiny(7, 0), PLAIN)],
        split,
        views_for("10", CROP),
        CPU,
        batch_size=100,
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(10, 28), (20, 28), (28, 28)]


def test_another_number_of_classes_names_both(split: ImageSplit) -> None:
    with pytest.raises(UserError, match="tells 9 classes apart and the images have 7"):
        measured([Tiny(9, 0)], split, views_for("center", CROP))
    with pytest.raises(UserError, match="tells 7 classes apart and the images have 10"):
        measured([Tiny(7, 0)], split, views_for("center", CROP), classes=10)
    with pytest.raises(UserError, match="tells 5 classes apart and the images have 7"):
        measured([Tiny(7, 0), Tiny(5, 0)], split, views_for("center", CROP))


def test_scores_that_are_not_finite_are_no_result(split: ImageSplit) -> None:
    network = Tiny(7, 0)
    nn.init.constant_(network.fc.bias, float("nan"))
    with pytest.raises(UserError, match="not finite"):
        measured([network], split, views_for("center", CROP))


def test_a_file_that_is_no_image_is_named(tmp_path: Path) -> None:
    split = write_images(tmp_path, ["a", "b"], 2)
    (tmp_path / "b" / "1.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"b/1\.png"):
        measured([Tiny(2, 0)], split, views_for("center", CROP))


# --- torchvision's own way ------------------------------------------------------------------


def test_torchvisions_network_and_transforms_give_the_same(split: ImageSplit) -> None:
    _same_as_torchvision(split)


@pytest.mark.skipif(not REAL.is_dir(), reason="no Imagenette here")
def test_torchvisions_way_on_photographs() -> None:
    whole = split_from(REAL / "val", IMAGENETTE)
    some = slice(None, None, 50)
    _same_as_torchvision(
        make_split(
            whole.root,
            list(zip(whole.paths, whole.sizes.tolist(), whole.labels.tolist(), strict=True))[some],
        )
    )


def _same_as_torchvision(split: ImageSplit) -> None:
    classes = int(split.labels.max()) + 1
    torch.manual_seed(0)
    theirs = resnet18(num_classes=classes)
    # As trained networks do, it must tell the images apart: BN's statistics are theirs.
    preset = ImageClassification(crop_size=CROP, resize_size=37)
    x = torch.stack([preset(image) for image in opened(split)])
    theirs.train()(x)
    theirs.eval()
    ours = construct("resnet18-B", num_classes=classes)
    ours.load_state_dict(theirs.state_dict())
    ours.eval()
    view = views_for("center", CROP)
    pictures = torch.cat([cut(image, view)[0] for image in opened(split)])
    with torch.inference_mode():
        logits = theirs(x)
        torch.testing.assert_close(
            ours(torchvision_preprocessing()(pictures)), logits, rtol=1e-3, atol=1e-4
        )
    labels = split.labels.tolist()
    assert len(set(logits.argmax(1).tolist())) > 1
    found = evaluate([Member(ours, torchvision_preprocessing())], split, view, CPU, classes=classes)
    assert found.top1_error == errors(logits, labels, 1)
    assert found.top5_error == errors(logits, labels, 5)


# --- what comes before the network ----------------------------------------------------------


def statistics(crop: int) -> Statistics:
    generator = torch.Generator().manual_seed(0)
    mean = 255 * torch.rand(crop, crop, 3, generator=generator)
    return Statistics(mean, torch.tensor([50.0, 60.0, 70.0]), torch.ones(3), torch.eye(3))


def test_the_mean_image_is_for_its_size_and_its_average_for_others() -> None:
    known = statistics(8)
    pixel, channel = subtracting(known, "pixel"), subtracting(known, "channel")
    crops = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    whole = torch.randint(0, 256, (2, 3, 8, 11), dtype=torch.uint8)
    average = known.mean.mean((0, 1)).reshape(1, 3, 1, 1)
    torch.testing.assert_close(pixel(crops), crops - known.mean.permute(2, 0, 1))
    torch.testing.assert_close(pixel(whole), whole - average)
    torch.testing.assert_close(channel(crops), crops - average)
    divided = subtracting(known, "channel-std")(crops)
    torch.testing.assert_close(divided, (crops - average) / known.std.reshape(1, 3, 1, 1))
    assert divided.dtype == torch.float32


def test_an_unknown_mean_is_refused() -> None:
    with pytest.raises(UserError, match="unknown mean 'median': give one of pixel"):
        subtracting(statistics(8), "median")


# --- batch normalisation --------------------------------------------------------------------


class Normalised(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(x)  # type: ignore[no-any-return]


def test_statistics_are_recomputed_over_batches_of_all_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shades = {"a": 10, "b": 110, "c": 210}
    for name, shade in shades.items():
        (tmp_path / name).mkdir()
        for number in range(4):
            Image.new("RGB", (40, 40), (shade, shade, shade)).save(
                tmp_path / name / f"{number}.png"
            )
    monkeypatch.setattr(images, "BN_BATCH", 6)
    bare = Preprocessing(None, torch.zeros(3, 1, 1), None)
    model, told = Normalised(), list[tuple[int, int]]()
    recompute_bn(
        Member(model, bare),
        split_from(tmp_path, tuple(shades)),
        CROP,
        CPU,
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(6, 12), (12, 12)]
    torch.testing.assert_close(model.bn.running_mean, torch.full((3,), 110.0))
    # In each batch there are two images of every shade; a batch of one class would have 0.
    variance = torch.full((3,), 100.0**2 * 2 / 3)
    torch.testing.assert_close(model.bn.running_var, variance, rtol=1e-3, atol=0.0)
    assert not model.training


# --- the validation images alone ------------------------------------------------------------


def test_validation_images_need_no_training_images(tmp_path: Path) -> None:
    write_images(tmp_path / "val", ["b", "a"], 2)
    data = validation("image-folder", tmp_path)
    assert data.classes == ("a", "b") == class_folders(tmp_path / "val")
    assert data.test.paths == ("a/0.png", "a/1.png", "b/0.png", "b/1.png")
    assert len(data.train) == 0


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("imagenet", "2 classes and 4 validation images, ImageNet 1,000 classes and 50,000 val"),
        ("imagenette", "n01440764 is missing: Imagenette has ten classes"),
        ("cifar10", "'cifar10' is no data set of image files"),
    ],
)
def test_another_data_set_than_its_name_says(name: str, says: str, tmp_path: Path) -> None:
    write_images(tmp_path / "val", ["b", "a"], 2)
    with pytest.raises(UserError, match=says):
        validation(name, tmp_path)


def test_missing_validation_images(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="give --data-root DIR with"):
        validation("imagenet", tmp_path)
