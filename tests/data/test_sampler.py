"""Chance: the same on every machine, at every point of resumption, and fair."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from resnet_repro.data.dataset import Dataset, make_split
from resnet_repro.data.in_memory import InMemoryLoader, training_mean
from resnet_repro.data.sampler import epoch_sampler


def pixels(data: Dataset, **changes: object) -> InMemoryLoader:
    settings: dict[str, object] = {
        "seed": 3,
        "batch_size": 128,
        "pad": 4,
        "flip": True,
        "mean": "pixel",
        "device": torch.device("cpu"),
    }
    return InMemoryLoader(data, **(settings | changes))  # type: ignore[arg-type]


def test_the_stream_is_pinned() -> None:
    """What a seed draws must never change: records name it by the seed alone."""
    chance = epoch_sampler(seed=7, epoch=2, count=1000, offsets=81, flips=True)
    words = np.concatenate([chance.image, chance.offset, chance.flip]).astype("<i8").tobytes()
    assert hashlib.sha256(words).hexdigest() == (
        "6e09d8b7e8142ed7893d2386a798a7e50f310a6d51b8cf8e54b83b49050df139"
    )


@given(st.integers(0, 2**32), st.integers(0, 1000), st.integers(1, 300))
def test_an_epoch_shows_every_image_once(seed: int, epoch: int, count: int) -> None:
    chance = epoch_sampler(seed, epoch, count, 81, True)
    assert sorted(chance.image) == list(range(count))
    assert chance.offset.min() >= 0
    assert chance.offset.max() <= 80
    assert set(chance.flip) <= {0, 1}


@given(st.integers(0, 50), st.integers(1, 60), st.integers(1, 40))
def test_every_batch_is_full_and_batches_tile_the_stream(
    iteration: int, batch: int, count: int
) -> None:
    """A batch may cross into the next epoch, or several when it is larger than the data set."""
    labels = np.arange(count, dtype=np.int64)
    images = np.zeros((count, 1, 4, 4), dtype=np.uint8)
    data = Dataset(
        "numbers", make_split(images, labels), make_split(images, labels), ("only labels matter",)
    )
    source = InMemoryLoader(
        data,
        seed=5,
        batch_size=batch,
        pad=1,
        flip=False,
        mean="pixel",
        device=torch.device("cpu"),
    )
    first, last = iteration * batch // count, (iteration + 1) * batch // count
    epochs = [epoch_sampler(5, e, count, 9, False).image for e in range(first, last + 1)]
    start = iteration * batch - first * count
    expected = data.train.labels[np.concatenate(epochs)[start : start + batch]]
    for _ in range(2):  # once more: asked again it is the same
        assert source.train_batch(iteration)[1].tolist() == expected.tolist()
        source.train_batch(iteration + 1)


def test_epochs_and_seeds_differ() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        return list(epoch_sampler(seed, epoch, 100, 81, True).image)

    assert len({tuple(order(s, e)) for s in range(3) for e in range(3)}) == 9


def test_each_of_the_81_offsets_comes_at_its_rate() -> None:
    """Chi-squared over a million draws; a crop that never draws the last offset fails."""
    draws = [epoch_sampler(0, epoch, 50_000, 81, True) for epoch in range(20)]
    counts = np.bincount(np.concatenate([d.offset for d in draws]), minlength=81)
    assert len(counts) == 81
    expected = counts.sum() / 81
    chi2 = float(((counts - expected) ** 2 / expected).sum())
    assert 40 < chi2 < 130  # 80 degrees of freedom: 99.9 % of fair streams lie in 44 ... 125
    flips = np.concatenate([d.flip for d in draws])
    assert abs(flips.mean() - 0.5) < 0.002
    # Offset and flip are drawn apart from each other.
    joint = np.bincount(np.concatenate([d.offset * 2 + d.flip for d in draws]), minlength=162)
    assert joint.min() > 0.9 * joint.mean()


def test_images_of_one_batch_have_their_own_crops(tiny_data: Dataset) -> None:
    chance = epoch_sampler(3, 0, 300, 81, True)
    assert len(set(chance.offset[:128].tolist())) > 40


def test_a_batch_is_the_same_whenever_it_is_asked_for(tiny_data: Dataset) -> None:
    straight, resumed = pixels(tiny_data), pixels(tiny_data)
    batches = [straight.train_batch(i) for i in range(8)]  # 300 images: crosses epochs
    for i in (5, 7, 2, 6):
        x, labels = resumed.train_batch(i)
        assert torch.equal(x, batches[i][0])
        assert torch.equal(labels, batches[i][1])


def test_a_batch_is_cropped_and_flipped_as_written_plainly(tiny_data: Dataset) -> None:
    source = pixels(tiny_data)
    images = tiny_data.train.images.astype(np.float32)
    centred = images - images.mean(axis=0, dtype=np.float64).astype(np.float32)
    padded = np.pad(centred, ((0, 0), (0, 0), (4, 4), (4, 4)))
    x, labels = source.train_batch(2)
    draws = [epoch_sampler(3, e, 300, 81, True) for e in (0, 1)]
    stream = [np.concatenate([getattr(d, f) for d in draws]) for f in ("image", "offset", "flip")]
    for k in range(128):
        image, offset, flip = (int(column[256 + k]) for column in stream)
        top, left = divmod(offset, 9)
        expected = padded[image, :, top : top + 32, left : left + 32]
        if flip:
            expected = expected[:, :, ::-1]
        torch.testing.assert_close(x[k], torch.from_numpy(expected.copy()))
        assert labels[k] == tiny_data.train.labels[image]


def test_all_corners_of_the_padding_are_reached(tiny_data: Dataset) -> None:
    source = pixels(tiny_data)
    whole = torch.zeros(4, dtype=torch.int64)
    corner = source.crop(whole, torch.tensor([0, 8, 72, 80]), whole)
    image = source.crop(whole[:1], torch.tensor([40]), whole[:1])[0]
    assert torch.equal(corner[0][:, 4:, 4:], image[:, :28, :28])
    assert torch.equal(corner[3][:, :28, :28], image[:, 4:, 4:])
    assert corner[0][:, :4].abs().max() == 0  # the border is zero after the mean is gone


def test_the_mean_uses_no_test_image(tiny_data: Dataset) -> None:
    other = Dataset(
        tiny_data.name,
        tiny_data.train,
        type(tiny_data.test)(255 - tiny_data.test.images, tiny_data.test.labels, "other"),
        tiny_data.classes,
    )
    assert torch.equal(pixels(tiny_data).mean, pixels(other).mean)
    expected = tiny_data.train.images.mean(axis=0, dtype=np.float64).transpose(1, 2, 0)
    torch.testing.assert_close(pixels(tiny_data).mean, torch.from_numpy(expected).float())


def test_channel_means_are_of_their_own_channels() -> None:
    """A slip elsewhere: one channel's mean three times over."""
    images = np.zeros((4, 3, 32, 32), dtype=np.uint8)
    images[:, 0], images[:, 1], images[:2, 2] = 10, 20, 60
    mean, scale = training_mean(images, "channel")
    assert mean[5, 6].tolist() == [10.0, 20.0, 30.0]
    assert scale is None
    mean, scale = training_mean(images, "channel-std")
    assert scale is not None
    assert scale.tolist() == [0.0, 0.0, 30.0]


def test_the_test_view_is_the_whole_image(tiny_data: Dataset) -> None:
    source = pixels(tiny_data)
    batches = list(source.test_batches())
    x, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    expected = tiny_data.test.images.astype(np.float32).transpose(0, 2, 3, 1)
    torch.testing.assert_close(x.permute(0, 2, 3, 1), torch.from_numpy(expected) - source.mean)
    assert labels.tolist() == tiny_data.test.labels.tolist()


@pytest.mark.gpu
def test_batches_are_the_same_on_the_gpu(tiny_data: Dataset) -> None:
    on_cpu, on_gpu = pixels(tiny_data), pixels(tiny_data, device=torch.device("cuda"))
    for i in range(5):
        assert torch.equal(on_cpu.train_batch(i)[0], on_gpu.train_batch(i)[0].cpu())
