"""The data sets: three forms give one data set, and bad copies are refused in one line."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import resource
import struct
import subprocess
import sys
import tarfile
import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped, unused-ignore]
import pyarrow.parquet as pq  # type: ignore[import-untyped, unused-ignore]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.datasets import CIFAR10  # type: ignore[import-untyped, unused-ignore]

from resnet_repro import data
from resnet_repro.data import cifar10, digits
from resnet_repro.data.cifar10_forms import ARCHIVE, BATCHES_FOLDER, CLASSES
from resnet_repro.data.dataset import Dataset, Images, Labels, Split, hold_out, make_split
from resnet_repro.errors import UserError
from resnet_repro.records.datasets import DATASETS

REAL = Path(__file__).parents[3] / "shared" / "data" / "cifar10"
PER_CLASS = {"train": 4, "test": 2}
EXPECTED = (40, 20)

Tiny = dict[str, tuple[Images, Labels]]


def random_split(per_class: int, seed: int) -> tuple[Images, Labels]:
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(10), per_class))
    images = rng.integers(0, 256, (len(labels), 3, 32, 32), dtype=np.uint8)
    return images, labels


@pytest.fixture(scope="module")
def tiny() -> Tiny:
    return {s: random_split(n, seed) for seed, (s, n) in enumerate(PER_CLASS.items())}


def load(root: Path) -> Dataset:
    return cifar10.load(root, expected=EXPECTED)


def refused(call: Callable[[], object], *words: str) -> None:
    """Check that `call` raises UserError with one line that holds all the words."""
    with pytest.raises(UserError) as caught:
        call()
    message = str(caught.value)
    assert message
    assert "\n" not in message
    for word in words:
        assert word in message


def encoded(image: Images, form: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image.transpose(1, 2, 0)).save(buffer, form, lossless=True)
    return buffer.getvalue()


def write_class_folders(root: Path, tiny: Tiny) -> Path:
    for split, (images, labels) in tiny.items():
        for i, (image, label) in enumerate(zip(images, labels, strict=True)):
            folder = root / split / CLASSES[label]
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{i}.png").write_bytes(encoded(image))
    return root


def write_shard(path: Path, blobs: list[bytes], labels: list[int], column: str = "img") -> None:
    cells = [{"bytes": blob, "path": f"{i}.webp"} for i, blob in enumerate(blobs)]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({column: cells, "label": labels}), path)


def write_shards(root: Path, tiny: Tiny, shards: int = 2, column: str = "img") -> Path:
    for split, (images, labels) in tiny.items():
        for k in range(shards):
            write_shard(
                root / f"{split}-{k:05d}-of-{shards:05d}.parquet",
                [encoded(image, "WEBP") for image in images[k::shards]],
                labels[k::shards].tolist(),
                column,
            )
    return root


class Python2Pickler(pickle._Pickler):
    """Writes all strings as Python 2 did, as in the official batches."""

    dispatch: ClassVar[dict[type, Any]] = dict(pickle._Pickler.dispatch)

    def save_string(self, text: str | bytes) -> None:
        raw = text.encode("latin1") if isinstance(text, str) else text
        self.write(b"T" + struct.pack("<i", len(raw)) + raw)  # type: ignore[attr-defined, unused-ignore]

    dispatch[str] = save_string
    dispatch[bytes] = save_string


def python2_pickle(value: object) -> bytes:
    buffer = io.BytesIO()
    Python2Pickler(buffer, protocol=2).dump(value)
    return buffer.getvalue().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def python3_pickle(value: object) -> bytes:
    return pickle.dumps(value, protocol=2)


def batches(tiny: Tiny, dump: Callable[[object], bytes] = python2_pickle) -> dict[str, bytes]:
    """The seven files of the archive, by name."""

    def batch(images: Images, labels: Labels) -> bytes:
        return dump({"data": images.reshape(len(images), -1), "labels": labels.tolist()})

    images, labels = tiny["train"]
    files = {f"data_batch_{k + 1}": batch(images[k::5], labels[k::5]) for k in range(5)}
    files["test_batch"] = batch(*tiny["test"])
    files["batches.meta"] = dump({"label_names": list(CLASSES)})
    return files


def trust(monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes]) -> None:
    """Make the official checksums those of `files`."""
    sums = {name: hashlib.md5(blob).hexdigest() for name, blob in files.items()}
    train = [[name, sums[name]] for name in sums if name.startswith("data_")]
    monkeypatch.setattr(CIFAR10, "train_list", train)
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
    meta = {"filename": "batches.meta", "key": "label_names", "md5": sums["batches.meta"]}
    monkeypatch.setattr(CIFAR10, "meta", meta)


def trust_archive(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    monkeypatch.setattr(CIFAR10, "tgz_md5", hashlib.md5(path.read_bytes()).hexdigest())


def write_batches(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, blob in files.items():
        (folder / name).write_bytes(blob)
    return folder


def write_archive(root: Path, files: dict[str, bytes], prefix: str = BATCHES_FOLDER) -> Path:
    with tarfile.open(root / ARCHIVE, "w:gz") as tar:
        for name, blob in files.items():
            member = tarfile.TarInfo(f"{prefix}/{name}")
            member.size = len(blob)
            tar.addfile(member, io.BytesIO(blob))
    return root / ARCHIVE


# --- the three forms ------------------------------------------------------------------------


def test_all_forms_give_the_same_data(
    tmp_path: Path, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = batches(tiny)
    trust(monkeypatch, files)
    (tmp_path / "archive").mkdir()
    trust_archive(monkeypatch, write_archive(tmp_path / "archive", files))
    write_batches(tmp_path / "extracted" / BATCHES_FOLDER, files)
    write_shards(tmp_path / "hub" / "plain_text", tiny)
    roots = [
        tmp_path / "archive",
        tmp_path / "extracted",
        tmp_path / "extracted" / BATCHES_FOLDER,
        tmp_path / "hub",
        tmp_path / "hub" / "plain_text",
        write_shards(tmp_path / "image" / "a" / "b", tiny, shards=1, column="image").parents[1],
        write_class_folders(tmp_path / "folders", tiny),
    ]
    right = {split: make_split(*tiny[split]) for split in tiny}
    for root in roots:
        found = load(root)
        assert found.name == "cifar10"
        assert found.classes == CLASSES
        for split, want in ((found.train, right["train"]), (found.test, right["test"])):
            assert split.digest == want.digest
            assert split.images.dtype == np.uint8
            assert split.labels.dtype == np.int64
            np.testing.assert_array_equal(split.images, want.images)
            np.testing.assert_array_equal(split.labels, want.labels)


def test_batches_pickled_by_python_3_are_read_too(
    tmp_path: Path, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = batches(tiny, python3_pickle)
    trust(monkeypatch, files)
    found = load(write_batches(tmp_path / BATCHES_FOLDER, files))
    assert found.train.digest == make_split(*tiny["train"]).digest


def test_images_of_other_modes_are_converted(tmp_path: Path, tiny: Tiny) -> None:
    write_class_folders(tmp_path, tiny)
    path = next((tmp_path / "train" / "cat").iterdir())
    path.unlink()
    Image.new("L", (32, 32), 77).save(path.with_suffix(".webp"), lossless=True)
    assert (load(tmp_path).train.images == 77).all(axis=(1, 2, 3)).sum() == 1


# --- copies that are not to be trusted ------------------------------------------------------


class Bomb:
    """Unpickled without care, creates the file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return open, (str(self.path), "w")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", ["data_batch_3", "batches.meta"])
def test_a_pickle_that_would_run_code_is_refused(
    tmp_path: Path, tiny: Tiny, monkeypatch: pytest.MonkeyPatch, packed: bool, name: str
) -> None:
    mark = tmp_path / "executed"
    bomb = pickle.dumps({"data": Bomb(mark)}, protocol=2)
    pickle.loads(bomb)["data"].close()
    assert mark.exists(), "the bomb must be a live one"
    mark.unlink()

    files = batches(tiny)
    trust(monkeypatch, files)
    files[name] = bomb
    if packed:
        archive = write_archive(tmp_path, files)
        refused(lambda: load(tmp_path), ARCHIVE, "MD5")
        trust_archive(monkeypatch, archive)
    else:
        write_batches(tmp_path / BATCHES_FOLDER, files)
    refused(lambda: load(tmp_path), name, "MD5")
    trust(monkeypatch, files)
    refused(lambda: load(tmp_path), name, "open")
    assert not mark.exists()


def test_only_one_encoding_is_let_through() -> None:
    from resnet_repro.data.cifar10_forms import _unpickle

    blob = pickle.dumps({"data": b"\xff"}, protocol=2)
    assert _unpickle("batch", blob) == {"data": b"\xff"}
    refused(lambda: _unpickle("batch", blob.replace(b"latin1", b"rot_13")), "batch", "rot_13")


def test_nothing_is_extracted_from_the_archive(
    tmp_path: Path, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    files = batches(tiny)
    trust(monkeypatch, files)
    trust_archive(monkeypatch, write_archive(root, {**files, "../../escaped": b"x"}))
    load(root)
    assert [p.name for p in tmp_path.rglob("*")] == ["root", ARCHIVE]


def damaged(blob: bytes) -> list[bytes]:
    return [b"", blob[:10], blob[: len(blob) // 2], blob[:-9], b"not this" * 40]


def test_damaged_archives(tmp_path: Path, tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    files = batches(tiny)
    trust(monkeypatch, files)
    path = write_archive(tmp_path, files)
    whole = path.read_bytes()
    for blob in damaged(whole):
        path.write_bytes(blob)
        refused(lambda: load(tmp_path), ARCHIVE, "MD5")
    for blob in damaged(whole)[:3]:
        path.write_bytes(blob)
        trust_archive(monkeypatch, path)
        refused(lambda: load(tmp_path), ARCHIVE, "again")
    trust_archive(monkeypatch, write_archive(tmp_path, {"test_batch": files["test_batch"]}))
    refused(lambda: load(tmp_path), ARCHIVE, "data_batch_1")


def test_damaged_batches(tmp_path: Path, tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    files = batches(tiny)
    short = {"data": np.zeros((8, 3072), np.uint8), "labels": [0] * 7}
    others = [[1], {}, short, {**short, "labels": [0] * 7 + [10]}, {"data": [0], "labels": [0]}]
    for blob in damaged(files["test_batch"]) + [python2_pickle(other) for other in others]:
        changed = {**files, "test_batch": blob}
        trust(monkeypatch, changed)
        write_batches(tmp_path / BATCHES_FOLDER, changed)
        refused(lambda: load(tmp_path), "test_batch")
    (tmp_path / BATCHES_FOLDER / "data_batch_2").unlink()
    refused(lambda: load(tmp_path), "data_batch_2", "missing")


def test_classes_in_another_order(
    tmp_path: Path, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = batches(tiny)
    files["batches.meta"] = python2_pickle({"label_names": sorted(CLASSES, reverse=True)})
    trust(monkeypatch, files)
    write_batches(tmp_path / BATCHES_FOLDER, files)
    refused(lambda: load(tmp_path), "batches.meta", "order")


def test_damaged_shards(tmp_path: Path, tiny: Tiny) -> None:
    write_shards(tmp_path, tiny)
    path = tmp_path / "train-00001-of-00002.parquet"
    for blob in damaged(path.read_bytes()):
        path.write_bytes(blob)
        refused(lambda: load(tmp_path), path.name, "download")
    path.unlink()
    refused(lambda: load(tmp_path), path.name, "missing")


def test_shards_with_other_contents(tmp_path: Path, tiny: Tiny) -> None:
    write_shards(tmp_path, tiny, shards=1)
    path = tmp_path / "test-00000-of-00001.parquet"
    good = encoded(tiny["test"][0][0])
    write_shard(path, [good], [10])
    refused(lambda: load(tmp_path), path.name, "10")
    write_shard(path, [good, good[:-30]], [0, 0])
    refused(lambda: load(tmp_path), path.name, "row 1")
    write_shard(path, [good], [0], column="picture")
    refused(lambda: load(tmp_path), path.name, "img")
    pq.write_table(pa.table({"img": [1], "label": [0]}), path)
    refused(lambda: load(tmp_path), path.name, "img")
    pq.write_table(pa.table({"img": [{"bytes": None, "path": "x.png"}], "label": [0]}), path)
    refused(lambda: load(tmp_path), path.name, "img")
    path.unlink()
    refused(lambda: load(tmp_path), path.name, "missing")


def test_shards_that_leave_a_choice(tmp_path: Path, tiny: Tiny) -> None:
    write_shards(tmp_path / "a", tiny)
    write_shards(tmp_path / "b", tiny)
    refused(lambda: load(tmp_path), str(tmp_path / "a"), str(tmp_path / "b"))
    write_shards(tmp_path / "a", tiny, shards=1)
    refused(lambda: load(tmp_path / "a"), "several downloads")
    shard = tmp_path / "b" / "test-00001-of-00002.parquet"
    shard.with_name("test-00001-of-00002-0a1b.parquet").write_bytes(shard.read_bytes())
    refused(lambda: load(tmp_path / "b"), "several downloads")


def relaid(root: Path, shards: Path, form: str) -> Path:
    """The shards (one a split) as another tool lays them out; the folder of the copy."""
    for path in shards.glob("*.parquet"):
        split = path.name.partition("-")[0]
        place = {
            "cache": root / "datasets--x" / "snapshots" / ("0" * 40) / "plain_text" / path.name,
            "converted": root / "plain_text" / split / "0000.parquet",
            "plain": root / f"{split}.parquet",
        }[form]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(path)
    return root


@pytest.mark.parametrize("form", ["cache", "converted", "plain"])
def test_layouts_of_the_hub(tmp_path: Path, tiny: Tiny, form: str) -> None:
    shards = write_shards(tmp_path / "shards", tiny, shards=1)
    root = relaid(tmp_path / "root", shards, form)
    digest = load(shards).digest
    assert load(root).digest == digest
    if form == "cache":
        assert load(root / "datasets--x").digest == digest
    missing = next(
        path for path in root.rglob("*.parquet") if "test" in str(path.relative_to(root))
    )
    missing.unlink()
    refused(lambda: load(root), str(missing), "missing")


def test_converted_shards_are_counted(tmp_path: Path, tiny: Tiny) -> None:
    shards = write_shards(tmp_path / "shards", tiny)
    for path in shards.glob("*.parquet"):
        split, number = path.name[:-8].split("-")[:2]
        place = tmp_path / "root" / "plain_text" / split / f"{number[1:]}.parquet"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(path)
    assert load(tmp_path / "root").digest == load(shards).digest
    (tmp_path / "root" / "plain_text" / "train" / "0000.parquet").unlink()
    refused(lambda: load(tmp_path / "root"), "train/0000.parquet", "missing")


def test_several_snapshots_are_named(tmp_path: Path, tiny: Tiny) -> None:
    shards = write_shards(tmp_path / "shards", tiny, shards=1)
    root = relaid(tmp_path / "root", shards, "cache") / "datasets--x"
    other = root / "snapshots" / ("1" * 40)
    (root / "snapshots" / ("0" * 40)).rename(other)
    relaid(tmp_path / "root", shards, "cache")
    refused(lambda: load(root), "0" * 40, "1" * 40, "name one")
    assert load(other).digest == load(shards).digest


def test_parquet_files_that_are_not_taken_are_named(tmp_path: Path) -> None:
    for name in ("a", "b", "c", "d"):
        write_shard(tmp_path / f"{name}.parquet", [b""], [0])
    refused(
        lambda: load(tmp_path),
        "a.parquet, b.parquet, c.parquet and 1 more not taken",
        "which split",
    )


@pytest.mark.parametrize("blob", [300_000, 3])
def test_a_few_bytes_that_ask_for_gigabytes(tmp_path: Path, blob: int) -> None:
    """Equal images, or labels, are written once and would be read as often as the file says."""
    rows = 50_000 if blob > 3 else 2_000_000
    zeros = pa.array(np.zeros(rows, dtype=np.int32))
    images = pa.DictionaryArray.from_arrays(zeros, pa.array([bytes(blob)]))
    cells = pa.StructArray.from_arrays([images], ["bytes"])
    path = tmp_path / "train.parquet"
    pq.write_table(
        pa.table({"img": cells, "label": zeros.cast(pa.int64())}), path, compression="zstd"
    )
    assert path.stat().st_size < 20_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(lambda: load(tmp_path), str(path))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 2**20  # KiB: 1 GiB


@pytest.mark.timeout(60)  # opening a fifo would wait for its writer
def test_what_lies_in_the_place_of_a_file(tmp_path: Path, tiny: Tiny) -> None:
    write_shards(tmp_path / "a", tiny, shards=1)
    shard = tmp_path / "a" / "test-00000-of-00001.parquet"
    write_class_folders(tmp_path / "b", tiny)
    image = min((tmp_path / "b" / "test" / "frog").iterdir())
    for path in (shard, image):
        path.unlink()
        os.mkfifo(path)
        root = path.parents[-len(tmp_path.parts) - 1]
        refused(lambda root=root: load(root), str(path), "no regular file")  # type: ignore[misc]
    image.unlink()
    image.symlink_to(image)
    refused(lambda: load(tmp_path / "b"), str(image), "cannot be read")


def test_names_that_begin_with_a_dot_are_no_images(tmp_path: Path, tiny: Tiny) -> None:
    write_class_folders(tmp_path, tiny)
    digest = load(tmp_path).digest
    for path in list((tmp_path / "train" / "cat").iterdir()):
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7 Mac OS X")
    (tmp_path / "train" / "cat" / ".DS_Store").write_bytes(bytes(99))
    assert load(tmp_path).digest == digest


def test_class_folders_are_held_to_what_photographs_are(tmp_path: Path, tiny: Tiny) -> None:
    """Data that stop early before an end marker; 16 bits: see `imagefolder/test_listing.py`."""
    write_class_folders(tmp_path, tiny)
    path = min((tmp_path / "test" / "frog").iterdir())
    buffer = io.BytesIO()
    Image.fromarray(tiny["test"][0][0].transpose(1, 2, 0)).save(buffer, "JPEG")
    path.write_bytes(buffer.getvalue()[:-200] + b"\xff\xd9")
    refused(lambda: load(tmp_path), str(path), "mature end of")


def test_damaged_class_folders(tmp_path: Path, tiny: Tiny) -> None:
    write_class_folders(tmp_path, tiny)
    path = min((tmp_path / "test" / "frog").iterdir())
    good = path.read_bytes()
    for blob in damaged(good)[:3] + [b"only text\n"]:
        path.write_bytes(blob)
        refused(lambda: load(tmp_path), str(path), "replace")
    Image.new("RGB", (31, 32)).save(path)
    refused(lambda: load(tmp_path), str(path), "31x32", "32x32")
    path.unlink()
    refused(lambda: load(tmp_path), "incomplete", "40", "19", "20")
    path.mkdir()
    refused(lambda: load(tmp_path), str(path))
    (tmp_path / "test" / "frog").rename(tmp_path / "frog")
    refused(lambda: load(tmp_path), str(tmp_path / "test" / "frog"), "missing")


def test_missing_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "train" / "n01440764").mkdir(parents=True)
    ways = ("--download --data-root", "parquet", "train/airplane")
    for root in (tmp_path, tmp_path / "absent", tmp_path / "file"):
        refused(lambda root=root: load(root), str(root), *ways)  # type: ignore[misc]
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RESNET_REPRO_DATA", raising=False)
    refused(lambda: data.load("cifar10"), *ways)


def test_default_root(tmp_path: Path, tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RESNET_REPRO_DATA", raising=False)
    assert cifar10.default_root() == Path("data")
    monkeypatch.setenv("RESNET_REPRO_DATA", "~/sets")
    assert cifar10.default_root() == tmp_path / "sets"
    write_shards(tmp_path / "sets", tiny)
    assert cifar10.load(None, expected=EXPECTED).digest == load(Path("~/sets")).digest


@pytest.mark.parametrize(
    "error", [urllib.error.URLError("no\nnetwork"), RuntimeError("corrupted"), OSError("full")]
)
def test_failed_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*args: object) -> None:
        raise error

    monkeypatch.setattr("torchvision.datasets.utils.download_url", fail)
    refused(lambda: cifar10.download(tmp_path), ARCHIVE, str(tmp_path))


def test_download_keeps_an_intact_archive(
    tmp_path: Path, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = write_archive(tmp_path, batches(tiny))
    trust_archive(monkeypatch, archive)
    monkeypatch.setattr(CIFAR10, "url", "http://invalid.invalid/nothing")
    assert cifar10.download(tmp_path) == archive


# --- splits ---------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(0, 12))
def test_a_split_does_not_depend_on_the_order_of_its_images(rng: Any, count: int) -> None:
    bits = np.random.default_rng(rng.randrange(2**32))
    images = bits.integers(0, 2, (count, 1, 1, 2), dtype=np.uint8)  # few values: with duplicates
    labels = bits.integers(0, 3, count)
    order = rng.sample(range(count), count)
    first = make_split(images, labels)
    second = make_split(images[order], labels[order])
    assert first.digest == second.digest
    np.testing.assert_array_equal(first.images, second.images)
    np.testing.assert_array_equal(first.labels, second.labels)


def members(split: Split) -> set[bytes]:
    return {i.tobytes() + bytes([y]) for i, y in zip(split.images, split.labels, strict=True)}


@settings(max_examples=20, deadline=None)
@given(per_class=st.integers(1, 3), seed=st.integers(0, 2**32))
def test_held_out_images_are_stratified_and_disjoint(tiny: Tiny, per_class: int, seed: int) -> None:
    whole = make_split(*tiny["train"])
    rest, held = hold_out(whole, per_class, seed)
    assert np.bincount(held.labels).tolist() == [per_class] * 10
    assert np.bincount(rest.labels).tolist() == [PER_CLASS["train"] - per_class] * 10
    assert members(rest).isdisjoint(members(held))
    assert members(rest) | members(held) == members(whole)
    assert hold_out(whole, per_class, seed)[1].digest == held.digest
    assert hold_out(whole, per_class, seed + 1)[1].digest != held.digest


def test_holding_out_validation_images(tmp_path: Path, tiny: Tiny) -> None:
    whole = load(write_class_folders(tmp_path, tiny))
    part = cifar10.hold_out_validation(whole, per_class=1)
    assert part.name == "cifar10-45k"
    assert part.classes == CLASSES
    assert (len(part.train), len(part.test)) == (30, 10)
    assert members(part.train) | members(part.test) == members(whole.train)
    assert part.digest != whole.digest
    refused(lambda: cifar10.hold_out_validation(whole), "incomplete")


def test_digits() -> None:
    found = data.load("digits")
    assert found.name == "digits"
    assert found.classes == tuple("0123456789")
    assert found.train.images.shape == (1437, 1, 16, 16)
    assert found.test.images.shape == (360, 1, 16, 16)
    assert found.train.images.dtype == np.uint8
    assert (found.train.images.min(), found.train.images.max()) == (0, 255)
    assert np.bincount(found.test.labels).tolist() == [36] * 10
    assert members(found.train).isdisjoint(members(found.test))
    assert found.digest == digits.load().digest
    assert found.digest == "febb4ba4694739b7b9a6bbc840a8e5c9e9621a2fdd0125fd3ebf2433fe67f654"


# --- by name --------------------------------------------------------------------------------


def test_loading_by_name(tmp_path: Path, tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    refused(lambda: data.load("mnist"), "mnist", *DATASETS)
    write_class_folders(tmp_path, tiny)
    for name in ("cifar10", "cifar10-45k"):
        refused(lambda name=name: data.load(name, tmp_path), "50000")  # type: ignore[misc]


def test_importing_the_data_sets_does_not_import_torch() -> None:
    code = "import sys, resnet_repro.data; sys.exit('torch' in sys.modules)"
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir(), reason="no copy of CIFAR-10 beside the repository")
def test_the_real_data() -> None:
    whole = cifar10.load(REAL)
    train = "85873b872f38cafb7c6f99d016364dd8b372513d1215f9193d0b9b89a0375650"
    test = "6470cca17226483ffed24316d69a85df9d1fa3b1b854800df40814bd424738a0"
    assert (whole.train.digest, whole.test.digest) == (train, test)
    mean = whole.train.images.mean(axis=(0, 2, 3)) / 255
    np.testing.assert_allclose(mean, [0.49140, 0.48216, 0.44653], atol=5e-6)

    part = cifar10.hold_out_validation(whole)
    assert np.bincount(part.train.labels).tolist() == [4500] * 10
    assert np.bincount(part.test.labels).tolist() == [500] * 10
    assert part.digest == "eb83a41c2177054fd3cdfd6a98529f2af5cacf37ba3bbdbb223ff903e570073a"
