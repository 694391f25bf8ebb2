"""What is found out about photographs beforehand, and the stream of batches made of them."""

from __future__ import annotations

import dataclasses
import functools
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from resnet_repro.data.imagefolder import loader
from resnet_repro.data.imagefolder import statistics as image_statistics
from resnet_repro.data.imagefolder.decode import (
    centre_crop,
    read_image,
    resize_shorter,
    scaled_size,
)
from resnet_repro.data.imagefolder.listing import IMAGENETTE, load
from resnet_repro.data.imagefolder.loader import ImageFolderLoader, draw_views
from resnet_repro.data.imagefolder.split import ImageFolder
from resnet_repro.data.imagefolder.statistics import Say, Statistics, examine
from resnet_repro.data.source import statistics_chunks
from tests.conftest import refused, silent
from tests.helpers.photographs import make_imagenette

KNOWN_SIDES = [367, 364, 265]
KNOWN_FLIPS = [0, 1, 1]
KNOWN_TOPS = [0.6745897143922408, 0.8583729875957637, 0.5911598162707318]
KNOWN_COLOUR = [0.01256366806852154, 0.1993997173158188, 0.0013904331359685237]
CROP = 28
SIDE = scaled_size(256, CROP)

pytestmark = pytest.mark.usefixtures("_one_thread")


def statistics(
    data: ImageFolder, crop: int, cache: Path, *, workers: int = 0, say: Say = lambda line: None
) -> Statistics:
    return examine(data, crop, cache, "fail", workers=workers, say=say)[1]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_imagenette(tmp_path_factory.mktemp("photographs"), train=4, val=2)


@pytest.fixture(scope="module")
def photographs(root: Path) -> ImageFolder:
    return load("imagenette", root)


@pytest.fixture(scope="module")
def found(photographs: ImageFolder, tmp_path_factory: pytest.TempPathFactory) -> Statistics:
    cache = tmp_path_factory.mktemp("cache")
    return statistics(photographs, CROP, cache)


def equal(one: Statistics, other: Statistics) -> bool:
    pairs = zip(*(dataclasses.astuple(s) for s in (one, other)), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def centres(data: ImageFolder) -> np.ndarray:
    """The training images' centre crops, (N, CROP, CROP, 3)."""
    images = [read_image(data.train.root / path) for path in data.train.paths]
    return np.stack([np.asarray(centre_crop(image, SIDE, CROP)) for image in images])


class TestStatistics:
    def test_against_numpy(self, photographs: ImageFolder, found: Statistics) -> None:
        pixels = centres(photographs).astype(np.float64)
        np.testing.assert_allclose(found.mean, pixels.mean(0), rtol=1e-6)
        flat = pixels.reshape(-1, 3)
        np.testing.assert_allclose(found.std, flat.std(0), rtol=1e-6)
        vectors, values = found.eigenvectors.double(), found.eigenvalues.double()
        covariance = vectors @ values.diag() @ vectors.T
        np.testing.assert_allclose(covariance, np.cov(flat.T, bias=True), rtol=1e-4, atol=1e-3)

    def test_order_and_sign_of_the_eigenvectors(self, found: Statistics) -> None:
        assert found.eigenvalues.tolist() == sorted(found.eigenvalues.tolist(), reverse=True)
        assert float(found.eigenvalues.min()) >= 0
        largest = found.eigenvectors.abs().argmax(0)
        assert (found.eigenvectors[largest, torch.arange(3)] > 0).all()

    def test_workers_change_nothing(
        self, photographs: ImageFolder, found: Statistics, tmp_path: Path
    ) -> None:
        assert equal(statistics(photographs, CROP, tmp_path, workers=2), found)

    def test_images_of_one_colour(self, tmp_path: Path) -> None:
        for part in ("train", "val"):
            (tmp_path / part / "grey").mkdir(parents=True)
            Image.new("RGB", (30, 40), (7, 8, 9)).save(tmp_path / part / "grey" / "x.png")
        data = load("image-folder", tmp_path)
        found = statistics(data, CROP, tmp_path / "cache")
        assert found.mean.mean((0, 1)).tolist() == [7, 8, 9]
        assert found.std.tolist() == [0, 0, 0]
        assert found.eigenvalues.tolist() == [0, 0, 0]

    def test_saved_and_loaded(self, found: Statistics, tmp_path: Path) -> None:
        path = tmp_path / "statistics.safetensors"
        found.save(path)
        assert equal(Statistics.load(path), found)
        whole = path.read_bytes()
        for content in (b"", whole[:-8], whole[:40], b"text" * 100):
            path.write_bytes(content)
            refused(lambda: Statistics.load(path), str(path), "delete it")
        path.unlink()
        refused(lambda: Statistics.load(path), str(path))
        for change in ({"std": torch.zeros(2)}, {"mean": torch.full((4, 4, 3), torch.nan)}):
            dataclasses.replace(found, **change).save(path)
            refused(lambda: Statistics.load(path), str(path), next(iter(change)))


class TestCache:
    """What a pass has found is used as long as it holds."""

    @pytest.fixture
    def passes(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """Grows with every pass over the images."""
        made: list[int] = []

        def counted(data: ImageFolder, *rest: Any) -> Any:
            made.append(len(data.train))
            return genuine(data, *rest)

        genuine = image_statistics._examine
        monkeypatch.setattr(image_statistics, "_examine", counted)
        return made

    @pytest.fixture
    def own(self, tmp_path: Path) -> ImageFolder:
        """Images that a test may change."""
        return load("imagenette", make_imagenette(tmp_path / "images", train=1, val=1))

    def test_one_pass_for_a_data_set_and_a_crop(
        self, own: ImageFolder, tmp_path: Path, passes: list[int]
    ) -> None:
        run = functools.partial(statistics, cache=tmp_path)
        first = run(own, CROP)
        assert equal(run(own, CROP), first)
        assert len(passes) == 1
        files = [path.name for path in (tmp_path / "statistics").iterdir()]
        assert files == [f"{own.digest[:32]}-{CROP}.safetensors"]
        run(own, 14)
        assert len(passes) == 2
        (own.train.root / own.train.paths[0]).rename(own.train.root / IMAGENETTE[0] / "other.JPEG")
        run(load("imagenette", own.train.root.parent), CROP)
        assert len(passes) == 3

    def test_a_damaged_file_is_computed_anew(
        self, own: ImageFolder, tmp_path: Path, passes: list[int]
    ) -> None:
        said: list[str] = []
        run = functools.partial(statistics, own, cache=tmp_path, say=said.append)
        first = run(CROP)
        run(14)
        path = tmp_path / "statistics" / f"{own.digest[:32]}-{CROP}.safetensors"
        other = path.with_name(f"{own.digest[:32]}-14.safetensors")
        for number, content in enumerate((b"", path.read_bytes()[:-5], other.read_bytes())):
            path.write_bytes(content)
            assert equal(run(CROP), first)
            assert len(passes) == 3 + number
            assert any(str(path) in line and "anew" in line for line in said)
            said.clear()
        first.save(path)  # right tensors, but whose?
        assert equal(run(CROP), first)
        assert len(passes) == 6

    def test_damaged_images(self, own: ImageFolder, tmp_path: Path, passes: list[int]) -> None:
        root = own.train.root.parent
        # A second image of the class, so that it isn't left empty.
        for part in ("train", "val"):
            (root / part / IMAGENETTE[3] / "bad.JPEG").write_bytes(b"no image")
        listed = load("imagenette", root)
        names = [str(root / part / IMAGENETTE[3] / "bad.JPEG") for part in ("train", "val")]
        for passed in (1, 1):  # the second time from the cache
            said: list[str] = []
            refused(
                lambda said=said: examine(  # type: ignore[misc]
                    listed, CROP, tmp_path, "fail", workers=0, say=said.append
                ),
                "2 of 22 images",
                names[0],
                "--corrupt skip",
            )
            assert [sum(name in line for line in said) for name in names] == [1, 1]
            assert len(passes) == passed
        rest, found = examine(listed, CROP, tmp_path, "skip", workers=0, say=silent)
        assert rest.skipped == tuple(
            f"{part}/{IMAGENETTE[3]}/bad.JPEG" for part in ("train", "val")
        )
        assert (rest.train.paths, rest.test.paths) == (own.train.paths, own.test.paths)
        assert rest.digest == own.digest != listed.digest
        assert equal(found, statistics(own, CROP, tmp_path / "own"))

    def test_an_image_mended_at_the_same_length(
        self, own: ImageFolder, tmp_path: Path, passes: list[int]
    ) -> None:
        path = own.train.root / own.train.paths[0]
        whole = path.read_bytes()
        path.write_bytes(b"x" * len(whole))
        refused(lambda: examine(own, CROP, tmp_path, "fail", workers=0, say=silent), "1 of 20")
        path.write_bytes(whole)
        rest, _ = examine(own, CROP, tmp_path, "fail", workers=0, say=silent)
        assert rest is own
        assert len(passes) == 2

    def test_a_class_without_a_good_image(self, own: ImageFolder, tmp_path: Path) -> None:
        (own.train.root / own.train.paths[0]).write_bytes(b"")
        listed = load("imagenette", own.train.root.parent)
        refused(
            lambda: examine(listed, CROP, tmp_path, "skip", workers=0, say=silent), IMAGENETTE[0]
        )
        for path in own.train.paths:
            (own.train.root / path).write_bytes(b"")
        listed = load("imagenette", own.train.root.parent)
        refused(
            lambda: examine(listed, CROP, tmp_path, "skip", workers=0, say=silent), "no training"
        )

    def test_progress(
        self, own: ImageFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(image_statistics, "_INTERVAL", 0.0)
        monkeypatch.setattr(image_statistics, "_BATCH", 8)
        said: list[str] = []
        statistics(own, CROP, tmp_path, say=said.append)
        assert [line.split(",")[0] for line in said[1:]] == [
            f"{n} of 20 images" for n in (8, 16, 20)
        ]


Seeds = st.integers(0, 2**64 - 1)


class TestViews:
    @given(Seeds, st.integers(0, 10**6), st.integers(1, 300), st.sampled_from([14, 28, 112, 224]))
    def test_ranges(self, seed: int, iteration: int, batch: int, crop: int) -> None:
        views = draw_views(seed, iteration, batch, crop, True, 0.1)
        assert (scaled_size(256, crop) <= views.side).all()
        assert (views.side <= scaled_size(480, crop)).all()
        for fraction in (views.top, views.left):
            assert fraction.shape == (batch,)
            assert (fraction >= 0).all()
            assert (fraction < 1).all()
        assert set(views.flip.tolist()) <= {0, 1}
        assert views.colour.shape == (batch, 3)
        assert np.isfinite(views.colour).all()

    @given(Seeds, st.integers(0, 10**6))
    def test_switches_leave_the_rest_alone(self, seed: int, iteration: int) -> None:
        views = draw_views(seed, iteration, 20, CROP, True, 0.1)
        plain = draw_views(seed, iteration, 20, CROP, False, 0.0)
        assert not plain.flip.any()
        assert not plain.colour.any()
        for name in ("side", "top", "left"):
            np.testing.assert_array_equal(getattr(views, name), getattr(plain, name))

    def test_distributions(self) -> None:
        views = draw_views(0, 0, 40_000, 224, True, 0.1)
        sides = np.bincount(views.side - 256)
        assert len(sides) == 225  # 256 ... 480, both drawn
        assert sides.min() > 100
        assert sides.max() < 260
        for fraction in (views.top, views.left):
            tenths = np.bincount((10 * fraction).astype(int), minlength=10)
            np.testing.assert_allclose(tenths, 4000, atol=250)
        assert abs(views.flip.mean() - 0.5) < 0.01
        np.testing.assert_allclose(views.colour.mean(0), 0, atol=0.002)
        np.testing.assert_allclose(views.colour.std(0), 0.1, atol=0.002)
        drawn = [views.side, views.top, views.left, views.flip, *views.colour.T]
        correlation = np.corrcoef(np.stack(drawn)) - np.eye(7)
        assert np.abs(correlation).max() < 0.02

    def test_iterations_and_seeds_differ(self) -> None:
        tops = {draw_views(seed, i, 1, CROP, True, 0.1).top[0] for seed in (0, 1) for i in range(9)}
        assert len(tops) == 18

    def test_known_values(self) -> None:
        # They decide what a seed means: a change here makes other runs of the same seeds.
        views = draw_views(5, 7, 3, 224, True, 0.1)
        assert views.side.tolist() == KNOWN_SIDES
        assert views.flip.tolist() == KNOWN_FLIPS
        np.testing.assert_allclose(views.top, KNOWN_TOPS, rtol=1e-12)
        np.testing.assert_allclose(views.colour[0], KNOWN_COLOUR, rtol=1e-9)


Make = Callable[..., ImageFolderLoader]


@pytest.fixture
def make(photographs: ImageFolder, found: Statistics) -> Iterator[Make]:
    made: list[ImageFolderLoader] = []

    def stream(**changes: Any) -> ImageFolderLoader:
        settings: dict[str, Any] = {
            "seed": 3,
            "batch_size": 6,
            "crop": CROP,
            "flip": True,
            "pca_std": 0.1,
            "mean": "pixel",
            "device": torch.device("cpu"),
            "workers": 0,
        }
        data = changes.pop("data", photographs)
        made.append(ImageFolderLoader(data, found, **settings | changes))
        return made[-1]

    yield stream
    for each in made:
        each.close()


def same(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> bool:
    return torch.equal(one[0], other[0]) and torch.equal(one[1], other[1])


class TestStream:
    def test_shapes(self, make: Make) -> None:
        stream = make()
        assert (stream.count, stream.test_count) == (40, 20)
        x, labels = stream.train_batch(0)
        assert x.shape == (6, 3, CROP, CROP)
        assert x.dtype == torch.float32
        assert x.is_contiguous(memory_format=torch.channels_last)
        assert labels.dtype == torch.int64

    def test_every_epoch_has_every_image_once(self, make: Make, photographs: ImageFolder) -> None:
        # 40 images, 6 a batch: 20 batches are three epochs, and some lie on a border.
        stream = make(crop=CROP)
        labels = torch.cat([stream.train_batch(i)[1] for i in range(20)])
        for epoch in labels.split(40):
            assert sorted(epoch.tolist()) == photographs.train.labels.tolist()
        assert labels[:40].tolist() != labels[40:80].tolist()

    def test_a_batch_larger_than_the_data_set(self, make: Make) -> None:
        _, labels = make(batch_size=100).train_batch(0)
        assert np.bincount(labels[:80]).tolist() == [8] * 10

    def test_any_iteration_can_be_the_first(self, make: Make) -> None:
        stream = make()
        batches = [stream.train_batch(i) for i in range(9)]
        for start in (8, 5, 0):
            again = make()
            for i in range(start, 9):
                assert same(again.train_batch(i), batches[i])
        assert same(stream.train_batch(2), batches[2])  # a jump back
        assert same(stream.train_batch(2), batches[2])
        assert same(stream.train_batch(3), batches[3])

    @pytest.mark.slow  # six processes start
    def test_workers_change_nothing(self, make: Make) -> None:
        alone, helped = make(), make(workers=2)
        for i in (4, 5, 6, 7, 2, 3):
            assert same(alone.train_batch(i), helped.train_batch(i))
        plain = zip(alone.test_batches(), helped.test_batches(), strict=True)
        assert all(same(one, other) for one, other in plain)

    @pytest.mark.parametrize("world", [2, 3])
    def test_the_processes_share_a_batch(self, make: Make, world: int) -> None:
        whole = make()
        parts = [make(rank=rank, world=world) for rank in range(world)]
        for i in (0, 1, 6, 3):
            each = [part.train_batch(i) for part in parts]
            together = torch.cat([x for x, _ in each]), torch.cat([y for _, y in each])
            assert same(together, whole.train_batch(i))

    def test_uneven_shares_are_refused(self, make: Make) -> None:
        with pytest.raises(ValueError, match="6 by 4"):
            make(world=4)
        with pytest.raises(ValueError, match="crop 14"):
            make(crop=14)

    def test_seeds_differ(self, make: Make) -> None:
        assert not torch.equal(make(seed=1).train_batch(0)[0], make(seed=2).train_batch(0)[0])

    def test_the_views_are_the_drawn_ones(
        self, make: Make, photographs: ImageFolder, found: Statistics
    ) -> None:
        stream = make(batch_size=40)
        x, labels = stream.train_batch(0)
        views = draw_views(3, 0, 40, CROP, True, 0.1)
        order = stream._order(0)
        assert labels.tolist() == photographs.train.labels[order].tolist()
        vectors, deviations = found.eigenvectors.numpy(), found.eigenvalues.sqrt().numpy()
        assert set(views.flip.tolist()) == {0, 1}
        for n in range(40):
            image = read_image(photographs.train.root / photographs.train.paths[order[n]])
            side = int(views.side[n])
            whole = np.asarray(resize_shorter(image, side))
            top = int(views.top[n] * (whole.shape[0] - CROP + 1))
            left = int(views.left[n] * (whole.shape[1] - CROP + 1))
            crop = whole[top : top + CROP, left : left + CROP].astype(np.float32)
            crop = crop - found.mean.numpy()
            if views.flip[n]:
                crop = crop[:, ::-1]
            expected = crop + vectors @ (views.colour[n] * deviations)
            off = np.abs(x[n].permute(1, 2, 0).numpy() - expected)
            assert off.max() < 2.01
            assert off.mean() < 0.4

    @pytest.mark.parametrize("mean", ["pixel", "channel", "channel-std"])
    def test_an_image_at_a_time_is_as_all_at_once(
        self, make: Make, mean: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stream = make(mean=mean)
        here = stream.train_batch(0)
        monkeypatch.setattr(stream, "device", torch.device("cuda"))  # tensors stay where they are
        assert same(stream.batch_at(torch.tensor(0)), here)

    def test_decoders_give_the_same_batches(
        self, make: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """So a run may go on with another decoder than it began with."""
        ours = make().train_batch(0)
        monkeypatch.setattr("resnet_repro.data.image_file.simplejpeg", None)
        assert same(make().train_batch(0), ours)

    def test_images_of_a_batch_are_cut_differently(
        self, make: Make, photographs: ImageFolder
    ) -> None:
        path = photographs.train.paths[0]
        one = dataclasses.replace(
            photographs.train, paths=(path,), labels=photographs.train.labels[:1]
        )
        data = dataclasses.replace(photographs, train=one)
        x, labels = make(data=data, batch_size=12, pca_std=0.0, flip=False).train_batch(0)
        assert labels.tolist() == [0] * 12
        assert len({image.numpy().tobytes() for image in x}) > 9

    def test_the_mean(self, make: Make, found: Statistics) -> None:
        def batch(mean: str) -> Tensor:
            return make(mean=mean, flip=False, pca_std=0.0).train_batch(0)[0].permute(0, 2, 3, 1)

        channel = found.mean.mean((0, 1))
        raw = batch("pixel") + found.mean
        assert torch.equal(raw.round().clamp(0, 255), raw.round())
        torch.testing.assert_close(batch("channel"), raw - channel, rtol=0, atol=1e-3)
        expected = (raw - channel) / found.std
        torch.testing.assert_close(batch("channel-std"), expected, rtol=0, atol=1e-4)

    def test_without_augmentation_of_colours(self, make: Make) -> None:
        plain, shifted = (make(pca_std=std, flip=False).train_batch(0)[0] for std in (0, 0.1))
        shift = (shifted - plain).flatten(2)
        assert float(shift.std(2).max()) < 1e-3  # one shift an image and channel
        assert float(shift.mean(2).abs().min()) > 0

    @pytest.mark.parametrize("world", [1, 3])
    def test_the_validation_images(
        self, make: Make, photographs: ImageFolder, found: Statistics, world: int
    ) -> None:
        expected: dict[bytes, int] = {}
        for path, label in zip(photographs.test.paths, photographs.test.labels, strict=True):
            image = centre_crop(read_image(photographs.test.root / path), SIDE, CROP)
            x = torch.from_numpy(np.array(image)).float() - found.mean
            expected[x.numpy().tobytes()] = int(label)
        seen = []
        for rank in range(world):
            for x, labels in make(rank=rank, world=world).test_batches():
                assert x.shape[1:] == (3, CROP, CROP)
                rows = [row.numpy().tobytes() for row in x.permute(0, 2, 3, 1).contiguous()]
                seen += list(zip(rows, labels.tolist(), strict=True))
        assert len(seen) == 20
        assert dict(seen) == expected

    @pytest.mark.parametrize("world", [1, 2])
    def test_chunks_of_training_images(
        self,
        make: Make,
        photographs: ImageFolder,
        found: Statistics,
        world: int,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """The same chunks, whole and of all classes, however many processes share them."""
        monkeypatch.setattr("resnet_repro.data.imagefolder.loader.PLAIN_BATCH", 9)
        images = centres(photographs)
        chosen = statistics_chunks(len(images), 20, 4)
        parts = [list(make(rank=rank, world=world).chunk_batches(20, 4)) for rank in range(world)]
        assert {len(batch) for part in parts for batch in part} <= {4, 8}
        expected = [
            [images[image].tobytes() for image in chunk]
            for rank in range(world)
            for chunk in chosen[rank::world]
        ]
        together = torch.cat([b for part in parts for b in part]).permute(0, 2, 3, 1) + found.mean
        ours = [row.round().to(torch.uint8).numpy().tobytes() for row in together]
        assert ours == [image for chunk in expected for image in chunk]
        assert all(len(set(photographs.train.labels[chunk])) > 1 for chunk in chosen)

    def test_a_batch_is_there_until_the_next_is_prepared(self, make: Make) -> None:
        stream = make()
        one = stream.train_batch(0)
        kept = one[0].clone(), one[1].clone()
        stream.prepare(1)
        assert same(one, kept)

    def test_a_file_that_goes_bad(self, make: Make, tmp_path: Path) -> None:
        data = load("imagenette", make_imagenette(tmp_path / "images", train=1, val=1))
        path = data.train.root / data.train.paths[0]
        whole = path.read_bytes()
        path.write_bytes(b"x")
        stream = make(data=data, batch_size=10)
        for _ in range(2):
            refused(lambda: stream.prepare(0), str(path))
        path.write_bytes(whole)
        stream.prepare(0)

    @pytest.mark.usefixtures("_no_handler_of_torchs")
    def test_a_killed_worker_ends_the_run(self, make: Make) -> None:
        before = set(multiprocessing.active_children())
        stream = make(workers=1)
        stream.prepare(0)
        (victim,) = set(multiprocessing.active_children()) - before
        assert victim.pid is not None
        os.kill(victim.pid, signal.SIGKILL)

        def train() -> None:
            for i in range(1, 1000):
                stream.prepare(i)

        refused(train, "a process that loads images died")

    def test_closing_ends_the_workers(self, make: Make) -> None:
        before = set(multiprocessing.active_children())
        stream = make(workers=1)
        first = stream.train_batch(0)
        assert not set(multiprocessing.active_children()) <= before
        stream.close()
        assert set(multiprocessing.active_children()) <= before
        assert same(stream.train_batch(0), first)

    def test_shared_memory_for_what_is_loaded_ahead(
        self, make: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Batches of training and, as it goes on, of a test; by every process of the machine."""
        asked: list[tuple[int, ...]] = []
        monkeypatch.setattr(loader, "check_shared_memory", lambda *s: asked.append(s))
        monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
        make(workers=3, world=2, rank=1)
        assert asked == [(3, (3 + loader.PLAIN_BATCH) * CROP * CROP * 3, 2)]

    @pytest.mark.gpu
    def test_on_a_gpu(self, make: Make) -> None:
        here, there = make(), make(device=torch.device("cuda"), workers=2)
        for i in (0, 1, 2, 9):
            x, labels = there.train_batch(i)
            assert x.device.type == "cuda"
            expected, right = here.train_batch(i)
            torch.testing.assert_close(x.cpu(), expected, rtol=0, atol=1e-3)
            assert torch.equal(labels.cpu(), right)
