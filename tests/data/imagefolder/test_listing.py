"""Image files: what is listed, what is refused, how they are cut, and who loads them."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import multiprocessing
import os
import signal
import struct
import subprocess
import sys
import tarfile
import time
import zlib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms.v2 import functional as F  # type: ignore[import-untyped, unused-ignore]

from resnet_repro import data
from resnet_repro.data import image_file
from resnet_repro.data.cifar10_forms import decode_images
from resnet_repro.data.image_file import MAX_PIXELS, decode_by_pillow, decode_jpeg, decoder
from resnet_repro.data.imagefolder import folders
from resnet_repro.data.imagefolder.decode import (
    centre_crop,
    loader,
    read_image,
    resize_shorter,
    resized_crop,
    resized_size,
    scaled_size,
    to_tensor,
)
from resnet_repro.data.imagefolder.folders import ARCHIVES, DEVKIT, class_folders, split_from
from resnet_repro.data.imagefolder.listing import IMAGENETTE, load
from resnet_repro.data.imagefolder.split import without
from resnet_repro.data.imagefolder.statistics import examine
from resnet_repro.errors import UserError
from resnet_repro.records.datasets import DATASETS, PHOTOGRAPHS, Facts
from tests.conftest import REPO, environment, refused, silent
from tests.helpers.loaded_items import Keys
from tests.helpers.photographs import make_imagenette

REAL = REPO.parent / "shared" / "data" / "imagenette160"


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise(8, 8).save(path, "JPEG")
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_imagenette(tmp_path / "images", train=2, val=1)


class TestListing:
    def test_paths_labels_and_classes(self, root: Path) -> None:
        found = load("imagenette", root)
        assert found.classes == IMAGENETTE
        assert (len(found.train), len(found.test)) == (20, 10)
        assert found.train.paths == tuple(sorted(found.train.paths))
        assert found.train.root == root / "train"
        for split in (found.train, found.test):
            assert split.labels.dtype == np.int64
            for path, label in zip(split.paths, split.labels, strict=True):
                assert path.split("/")[0] == IMAGENETTE[label]
                assert (split.root / path).is_file()

    def test_only_images_are_listed(self, tmp_path: Path) -> None:
        for name in ("a.JPEG", "b.jpg", "c.Png", "d.webp"):
            put(tmp_path / "cat" / name)
        for name in (".hidden.jpg", "notes.txt", "jpg"):
            put(tmp_path / "cat" / name)
        (tmp_path / "cat" / "folder.jpg").mkdir()
        put(tmp_path / ".cache" / "x.jpg")
        put(tmp_path / "loose.jpg")
        assert class_folders(tmp_path) == ("cat",)
        expected = ("cat/a.JPEG", "cat/b.jpg", "cat/c.Png", "cat/d.webp")
        assert split_from(tmp_path, ["cat"]).paths == expected

    @pytest.mark.timeout(60)  # opening a fifo would wait for its writer
    def test_what_is_named_as_an_image_and_is_none_is_one_that_cannot_be_read(
        self, root: Path
    ) -> None:
        whole = load("imagenette", root)
        folder = root / "val" / IMAGENETTE[3]
        (folder / "gone.JPEG").symlink_to("nothing.JPEG")
        (folder / "loop.JPEG").symlink_to("loop.JPEG")
        os.mkfifo(folder / "pipe.JPEG")
        (folder / "linked.JPEG").symlink_to(root / "val" / whole.test.paths[0])
        found = load("imagenette", root)
        names = [f"{IMAGENETTE[3]}/{name}.JPEG" for name in ("gone", "loop", "pipe")]
        assert set(names) < set(found.test.paths)
        assert found.digest != whole.digest
        for name in names:
            refused(lambda name=name: read_image(root / "val" / name), name, "--corrupt skip")  # type: ignore[misc]
        with pytest.raises(UserError, match="3 of 34 images cannot be read"):
            examine(found, 28, root / "cache", "fail", workers=0, say=silent)
        kept = examine(found, 28, root / "cache", "skip", workers=0, say=silent)[0]
        assert kept.skipped == tuple(f"val/{name}" for name in names)
        assert len(kept.test) == len(whole.test) + 1

    def test_a_class_that_is_a_link_to_nothing_is_named(self, root: Path) -> None:
        link = root / "train" / "n01440764x"
        for target in ("nothing", "n01440764x"):
            link.unlink(missing_ok=True)
            link.symlink_to(target)
            refused(lambda: class_folders(root / "train"), str(link), "link to nothing")
        link.unlink()
        (root / "train" / IMAGENETTE[0]).rename(root / "away")
        (root / "train" / IMAGENETTE[0]).symlink_to(root / "away")
        assert class_folders(root / "train") == IMAGENETTE

    def test_the_digest_is_that_of_names_and_sizes(self, root: Path) -> None:
        split = load("imagenette", root).train
        lines = [f"{path} {(split.root / path).stat().st_size}\n" for path in split.paths]
        assert split.digest == hashlib.sha256("".join(lines).encode()).hexdigest()

    def test_the_digest_tells_data_sets_apart(self, root: Path) -> None:
        first = load("imagenette", root)
        moved = root.rename(root.with_name("elsewhere"))
        assert load("imagenette", moved).digest == first.digest
        path = moved / "val" / first.test.paths[0]
        path.write_bytes(path.read_bytes()[:-1])
        cut = load("imagenette", moved)
        assert cut.digest != first.digest
        assert cut.train.digest == first.train.digest
        path.rename(path.with_name("other.JPEG"))
        assert load("imagenette", moved).digest not in (first.digest, cut.digest)

    def test_leaving_images_out(self, root: Path) -> None:
        split = load("imagenette", root).train
        rest = without(split, {split.paths[3]})
        assert rest.paths == split.paths[:3] + split.paths[4:]
        assert rest.labels.tolist() == [n // 2 for n in range(20) if n != 3]
        (split.root / split.paths[3]).unlink()
        assert rest.digest == load("imagenette", root).train.digest
        refused(lambda: without(split, set(split.paths[4:6])), IMAGENETTE[2])

    def test_the_default_root(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RESNET_REPRO_DATA", str(root))
        assert data.load("imagenette").digest == load("imagenette", root).digest

    def test_every_name_is_known(self, root: Path) -> None:
        assert set(PHOTOGRAPHS) < set(DATASETS)
        refused(lambda: data.load("mnist"), *DATASETS)
        assert data.load("image-folder", root).name == "image-folder"

    @pytest.mark.skipif(not REAL.is_dir(), reason="no photographs beside the repository")
    def test_real_photographs(self) -> None:
        found = load("imagenette", REAL)
        assert np.bincount(found.train.labels).tolist() == [400] * 10
        assert np.bincount(found.test.labels).tolist() == [100] * 10


class TestRefusals:
    def test_no_data(self, tmp_path: Path) -> None:
        for name in PHOTOGRAPHS:
            refused(lambda name=name: load(name, tmp_path), name, str(tmp_path), "--data-root")  # type: ignore[misc]
        refused(lambda: load("imagenet", tmp_path), *ARCHIVES.values(), DEVKIT)

    def test_a_split_without_classes(self, root: Path) -> None:
        (root / "train").rename(root / "gone")
        (root / "train").mkdir()
        refused(lambda: load("image-folder", root), str(root / "train"), "no class folders")

    @pytest.mark.parametrize("part", ["train", "val"])
    def test_a_class_in_one_split_only(self, root: Path, part: str) -> None:
        (root / part / IMAGENETTE[4]).rename(root / "gone")
        missing = str(root / part / IMAGENETTE[4])
        refused(lambda: load("image-folder", root), missing, "is missing:")
        (root / part / IMAGENETTE[5]).rename(root / "gone too")
        refused(lambda: load("image-folder", root), missing, "and 1 more")

    def test_an_empty_class(self, root: Path) -> None:
        folder = root / "val" / IMAGENETTE[4]
        for path in folder.iterdir():
            path.rename(path.with_suffix(".txt"))
        refused(lambda: load("imagenette", root), str(folder), "no images")

    def test_a_class_that_cannot_be_read(self, root: Path) -> None:
        (root / "train" / "file").write_text("")
        refused(lambda: split_from(root / "train", ["file"]), "cannot read", "file")
        refused(lambda: split_from(root / "train", ["none"]), "none is missing")
        refused(lambda: class_folders(root / "none"), "cannot read")

    def test_imagenette_has_ten_classes(self, root: Path) -> None:
        for part in ("train", "val"):
            put(root / part / "n09999999" / "x.jpg")
        refused(lambda: load("imagenette", root), "n09999999", "image-folder")
        assert len(load("image-folder", root).classes) == 11
        for part in ("train", "val"):
            (root / part / IMAGENETTE[9]).rename(root / f"gone from {part}")
        refused(lambda: load("imagenette", root), IMAGENETTE[9], "missing")

    def test_imagenet_is_whole(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        refused(lambda: load("imagenet", root), "10 classes, 20", "1,281,167", "image-folder")
        monkeypatch.setitem(DATASETS, "imagenet", Facts(10, 20, 10))
        assert load("imagenet", root).name == "imagenet"
        monkeypatch.setitem(DATASETS, "imagenet", Facts(10, 20, 11))
        refused(lambda: load("imagenet", root), "11 validation")


def tar(path: Path, members: dict[str, bytes]) -> bytes:
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path.read_bytes()


# torchvision's way of unpacking is deprecated in some versions of Python.
@pytest.mark.filterwarnings("ignore:Python 3.14:DeprecationWarning")
class TestArchives:
    """The archives in miniature: two classes, three and two images."""

    CLASSES = ("n00000001", "n00000002")

    @pytest.fixture
    def root(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        import scipy.io
        from torchvision.datasets import imagenet  # type: ignore[import-untyped, unused-ignore]

        root = tmp_path / "archives"
        root.mkdir()
        picture = put(tmp_path / "x.jpg").read_bytes()
        fields = [("id", "i4"), ("wnid", "O"), ("words", "O"), ("gloss", "O"), ("children", "i4")]
        rows = [(n + 1, wnid, f"word {n}", "gloss", 0) for n, wnid in enumerate(self.CLASSES)]
        meta = tmp_path / "meta.mat"
        scipy.io.savemat(str(meta), {"synsets": np.array(rows, dtype=fields)})
        folder = "ILSVRC2012_devkit_t12/data"
        truth = f"{folder}/ILSVRC2012_validation_ground_truth.txt"
        tar(root / DEVKIT, {f"{folder}/meta.mat": meta.read_bytes(), truth: b"2\n1\n"})
        inner = {
            f"{wnid}.tar": tar(tmp_path / "inner.tar", {f"{wnid}_{i}.JPEG": picture for i in names})
            for wnid, names in zip(self.CLASSES, ((1, 2), (3,)), strict=True)
        }
        tar(root / ARCHIVES["train"], inner)
        tar(root / ARCHIVES["val"], {f"ILSVRC2012_val_{i}.JPEG": picture for i in (1, 2)})
        sums = {
            key: (name, hashlib.md5((root / name).read_bytes()).hexdigest())
            for key, name in (*ARCHIVES.items(), ("devkit", DEVKIT))
        }
        monkeypatch.setattr(imagenet, "ARCHIVE_META", sums)
        monkeypatch.setitem(DATASETS, "imagenet", Facts(2, 3, 2))
        return root

    def test_they_are_unpacked_once(self, root: Path) -> None:
        (root / folders._UNPACKING / "train").mkdir(parents=True)  # of an earlier attempt
        said: list[str] = []
        found = load("imagenet", root, say=said.append)
        assert len(said) == 2
        assert found.classes == self.CLASSES
        assert found.train.paths == (
            "n00000001/n00000001_1.JPEG",
            "n00000001/n00000001_2.JPEG",
            "n00000002/n00000002_3.JPEG",
        )
        # The ground truth gives the first image to the second class.
        assert found.test.paths == (
            "n00000001/ILSVRC2012_val_2.JPEG",
            "n00000002/ILSVRC2012_val_1.JPEG",
        )
        names = {path.name for path in root.iterdir()}
        assert names == {"train", "val", DEVKIT, *ARCHIVES.values()}
        assert load("imagenet", root, say=said.append).digest == found.digest
        assert len(said) == 2

    def test_the_missing_split_alone_is_unpacked(self, root: Path) -> None:
        load("imagenet", root, say=silent)
        (root / "val").rename(root / "gone")
        (root / ARCHIVES["train"]).unlink()
        said: list[str] = []
        load("imagenet", root, say=said.append)
        assert len(said) == 1
        assert ARCHIVES["val"] in said[0]

    @pytest.mark.parametrize("name", [ARCHIVES["train"], DEVKIT])
    def test_a_damaged_archive_leaves_nothing(self, root: Path, name: str) -> None:
        content = (root / name).read_bytes()
        (root / name).write_bytes(content[:-600] + b"x" * 600)
        refused(lambda: load("imagenet", root, say=silent), "cannot unpack", name)
        names = {path.name for path in root.iterdir()}
        assert names == {DEVKIT, *ARCHIVES.values()}

    def test_without_the_devkit(self, root: Path) -> None:
        (root / DEVKIT).unlink()
        refused(lambda: load("imagenet", root, say=silent), DEVKIT, "missing")

    def test_other_data_sets_leave_them_alone(self, root: Path) -> None:
        refused(lambda: load("imagenette", root), "no imagenette")
        assert not (root / "train").exists()


def jpeg(image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


END = b"\xff\xd9"  # a JPEG's last two bytes


def png(width: int, height: int, rows: bytes = b"", interlaced: bool = False) -> bytes:
    """A PNG that claims such a size and holds next to nothing."""

    def chunk(name: bytes, body: bytes) -> bytes:
        whole = name + body
        return struct.pack(">I", len(body)) + whole + struct.pack(">I", zlib.crc32(whole))

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, interlaced)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", size)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


class TestReading:
    @pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
    @pytest.mark.parametrize("mode", ["RGB", "L", "P", "CMYK", "RGBA"])
    def test_forms_and_modes(self, tmp_path: Path, form: str, mode: str) -> None:
        if (form, mode) in {("JPEG", "P"), ("JPEG", "RGBA"), ("PNG", "CMYK")}:
            pytest.skip("there are no such files")
        path = tmp_path / "x.JPEG"  # whatever the contents
        image = noise(9, 7).convert(mode)
        image.save(path, form)
        found = read_image(path)
        assert (found.mode, found.size) == ("RGB", (9, 7))
        if (form, mode) in {("PNG", "RGB"), ("PNG", "L"), ("PNG", "P")}:
            np.testing.assert_array_equal(np.asarray(found), np.asarray(image.convert("RGB")))
        assert to_tensor(found).shape == (3, 7, 9)
        assert to_tensor(found).dtype == torch.uint8

    def test_damage(self, tmp_path: Path) -> None:
        path = tmp_path / "x.JPEG"
        noise(64, 64).save(path, "JPEG")
        whole = path.read_bytes()
        for content in (b"", b"text\n" * 40, whole[: len(whole) // 2], whole[:20]):
            path.write_bytes(content)
            refused(lambda: read_image(path), str(path), "cannot be read")
        noise(8, 8).save(path, "BMP")
        refused(lambda: read_image(path), str(path))
        path.unlink()
        refused(lambda: read_image(path), str(path))
        path.mkdir()
        refused(lambda: read_image(path), str(path))

    @pytest.mark.parametrize("mode", ["RGB", "CMYK", "L"])
    @pytest.mark.parametrize("progressive", [False, True])
    def test_data_that_stop_early(self, tmp_path: Path, mode: str, progressive: bool) -> None:
        """Also where an end marker follows, before which Pillow alone fills up with grey."""
        path = tmp_path / "x.JPEG"
        whole = jpeg(noise(64, 64).convert(mode), progressive=progressive)
        for content in (whole[:-2], whole[: len(whole) // 2], whole[: len(whole) // 2] + END):
            path.write_bytes(content)
            refused(lambda: read_image(path), str(path), "mature end of", "--corrupt skip")

    @pytest.mark.parametrize("form", ["plain", "interlaced"])
    def test_a_png_with_fewer_rows_than_it_says(self, tmp_path: Path, form: str) -> None:
        """Whose compressed data end as they should: Pillow leaves the rest black."""
        interlaced = form == "interlaced"
        rows = b"".join(b"\0" + bytes([7] * 3 * 8) for _ in range(8))
        if interlaced:
            sizes = ((1, 1), (1, 1), (2, 1), (2, 2), (4, 2), (4, 4), (8, 4))
            rows = b"".join((b"\0" + bytes([7] * 3 * w)) * h for w, h in sizes)
        path = tmp_path / "x.png"
        path.write_bytes(png(8, 8, rows, interlaced))
        assert np.asarray(read_image(path)).tolist() == [[[7] * 3] * 8] * 8
        path.write_bytes(png(8, 8, rows[:-75], interlaced))
        refused(lambda: read_image(path), str(path), "rows stop early")

    def test_warnings_that_concern_no_pixel(self, tmp_path: Path) -> None:
        path, whole = tmp_path / "x.JPEG", jpeg(noise(64, 64))
        path.write_bytes(whole)
        right = np.asarray(read_image(path))
        for content in (whole[:-2] + b"\0\0" + END, whole + b"more"):
            path.write_bytes(content)
            np.testing.assert_array_equal(np.asarray(read_image(path)), right)

    def test_16_bits_keep_the_upper_8(self, tmp_path: Path) -> None:
        values = np.random.default_rng(0).integers(0, 65536, (32, 32)).astype(np.uint16)
        path = tmp_path / "x.png"
        Image.fromarray(values).save(path)
        expected = np.repeat(values[..., None] >> 8, 3, axis=2)
        np.testing.assert_array_equal(np.asarray(read_image(path)), expected)
        np.testing.assert_array_equal(decode_images([path], ["x"])[0], expected.transpose(2, 0, 1))

    def test_absurd_sizes_are_refused_before_decoding(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "x.JPEG"
        claims = bytearray(jpeg(noise(8, 8)))
        at = claims.index(b"\xff\xc0") + 5  # height and width of the frame
        claims[at : at + 4] = struct.pack(">HH", 9500, 9500)
        for content in (bytes(claims), png(9500, 9500), png(60_000, 60_000)):
            path.write_bytes(content)
            refused(lambda: read_image(path), str(path), "pixels", "--corrupt skip")
        assert MAX_PIXELS < 9500 * 9500
        noise(8, 8).save(path, "JPEG")
        monkeypatch.setattr(image_file, "MAX_BYTES", 99)
        refused(lambda: read_image(path), str(path), "at most 99 are read")

    def test_corrupt_exif_is_no_matter(self, tmp_path: Path) -> None:
        noise(8, 8).save(tmp_path / "x.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\xff" * 9)
        assert read_image(tmp_path / "x.jpg").size == (8, 8)


class TestDecoders:
    """simplejpeg and Pillow give the same pixels."""

    @pytest.fixture
    def _pillow_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(image_file, "simplejpeg", None)

    @pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
    @pytest.mark.parametrize("quality", [10, 75, 95])
    @pytest.mark.parametrize("progressive", [False, True])
    def test_forms_of_jpeg(self, subsampling: str, quality: int, progressive: bool) -> None:
        image = noise(61, 45).resize((83, 65))
        for form in (image, image.convert("L")):
            data = jpeg(form, subsampling=subsampling, quality=quality, progressive=progressive)
            found = decode_jpeg(data)
            assert found is not None
            np.testing.assert_array_equal(np.asarray(found), np.asarray(decode_by_pillow(data)))

    @pytest.mark.skipif(not REAL.is_dir(), reason="no photographs beside the repository")
    def test_real_photographs(self) -> None:
        split = load("imagenette", REAL).train
        for path in split.paths[::20]:
            data = (split.root / path).read_bytes()
            found = decode_jpeg(data)
            assert found is not None
            np.testing.assert_array_equal(np.asarray(found), np.asarray(decode_by_pillow(data)))

    def test_what_pillow_must_read(self) -> None:
        assert decode_jpeg(jpeg(noise(8, 8).convert("CMYK"))) is None
        assert decode_jpeg(png(8, 8)) is None
        assert decode_jpeg(b"\xff\xd8\xff no image") is None

    def test_names(self) -> None:
        assert decoder() == f"simplejpeg {version('simplejpeg')}, pillow {version('pillow')}"

    @pytest.mark.usefixtures("_pillow_alone")
    def test_without_simplejpeg(self, tmp_path: Path) -> None:
        assert decoder() == f"pillow {version('pillow')}"
        path = tmp_path / "x.JPEG"
        whole = jpeg(noise(64, 64))
        path.write_bytes(whole)
        np.testing.assert_array_equal(
            np.asarray(read_image(path)), np.asarray(decode_by_pillow(whole))
        )
        path.write_bytes(whole[: len(whole) // 2])
        refused(lambda: read_image(path), str(path), "cannot be read")


LAST = 1 - 2.0**-53  # the greatest fraction below 1


def close(ours: Image.Image, theirs: Image.Image, mean: float) -> None:
    """Equal but for rounding, off by `mean` grey levels on average.

    Where the ratio of sizes is a simple fraction, many values lie halfway between two levels. A
    square of noise cut one pixel away would be off by dozens of levels.
    """
    assert ours.size == theirs.size
    off = np.abs(np.asarray(ours).astype(int) - np.asarray(theirs))
    assert off.max() <= 2
    assert off.mean() < mean


class TestCutting:
    @given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 300))
    def test_sizes_are_torchvisions(self, width: int, height: int, side: int) -> None:
        found = resized_size((width, height), side)
        if max(found) < 2000:
            assert F.resize(Image.new("RGB", (width, height)), [side]).size == found
        assert min(found) == side

    @given(
        width=st.integers(20, 160),
        height=st.integers(20, 160),
        side=st.integers(32, 120),
        top=st.floats(0, 1, exclude_max=True),
        left=st.floats(0, 1, exclude_max=True),
    )
    def test_a_crop_is_that_of_the_resized_image(
        self, width: int, height: int, side: int, top: float, left: float
    ) -> None:
        image = noise(width, height)
        whole = resize_shorter(image, side)
        torchvisions = F.pil_to_tensor(F.resize(image, [side]))  # bilinear, antialiased
        assert torch.equal(to_tensor(whole), torchvisions)
        x, y = int(left * (whole.width - 31)), int(top * (whole.height - 31))
        close(resized_crop(image, side, top, left, 32), F.crop(whole, y, x, 32, 32), 0.4)
        close(centre_crop(image, side, 32), F.center_crop(whole, [32, 32]), 0.4)

    @pytest.mark.skipif(not REAL.is_dir(), reason="no photographs beside the repository")
    def test_on_real_photographs(self) -> None:
        paths = load("imagenette", REAL).test.paths[::100]
        rng = np.random.default_rng(0)
        for path in paths:
            image = read_image(REAL / "val" / path)
            side, top, left = int(rng.integers(128, 241)), float(rng.random()), float(rng.random())
            whole = resize_shorter(image, side)
            x, y = int(left * (whole.width - 111)), int(top * (whole.height - 111))
            close(resized_crop(image, side, top, left, 112), F.crop(whole, y, x, 112, 112), 0.06)
            central = F.center_crop(resize_shorter(image, 128), [112, 112])
            close(centre_crop(image, 128, 112), central, 0.06)

    def test_every_place_is_reached(self) -> None:
        image = noise(13, 10)
        pixels = np.asarray(image)
        # Not resized, a crop shows from where it comes.
        for y in range(4):
            for x in range(7):
                crop = resized_crop(image, 10, (y + 0.5) / 4, (x + 0.5) / 7, 7)
                np.testing.assert_array_equal(np.asarray(crop), pixels[y : y + 7, x : x + 7])
        for fraction, y, x in ((0.0, 0, 0), (LAST, 3, 6)):
            crop = resized_crop(image, 10, fraction, fraction, 7)
            np.testing.assert_array_equal(np.asarray(crop), pixels[y : y + 7, x : x + 7])

    @given(st.integers(0, 10**6))
    def test_no_fraction_leads_beyond_the_last_place(self, room: int) -> None:
        assert int(LAST * (room + 1)) == room

    @given(st.integers(1, 1000))
    def test_sizes_scale_with_the_crop(self, crop: int) -> None:
        assert scaled_size(224, crop) == crop
        sizes = [scaled_size(size, crop) for size in (224, 256, 384, 480, 640)]
        assert sizes == sorted(sizes)
        assert scaled_size(480, crop) == pytest.approx(crop * 15 / 7, abs=0.5)


def load_all(batches: list[list[Any]], workers: int, **more: Any) -> Iterator[Any]:
    return loader(Keys(), batches, workers=workers, collate=list, **more)


def ended(before: set[Any], patience: float = 20.0) -> bool:
    """Whether the processes that have begun since have ended."""
    limit = time.monotonic() + patience
    while time.monotonic() < limit:
        if set(multiprocessing.active_children()) <= before:
            return True
        time.sleep(0.05)
    return False


def alive(pid: int) -> bool:
    """Whether there is such a process; one that has ended, but was not waited for, is none."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with contextlib.suppress(OSError):
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    return True


class TestLoader:
    @pytest.mark.parametrize("workers", [0, 2])
    def test_batches_come_in_order(self, workers: int) -> None:
        before = torch.get_rng_state()
        batches = [[n, n + 1] for n in range(0, 40, 2)]
        assert list(load_all(batches, workers)) == batches
        assert torch.equal(torch.get_rng_state(), before)

    def test_tensors_are_stacked(self) -> None:
        (batch,) = loader([torch.ones(2), torch.zeros(2)], [[1, 0]], workers=0)
        assert batch.tolist() == [[0, 0], [1, 1]]

    @pytest.mark.parametrize("workers", [0, 1])
    def test_a_users_error_is_one_line(self, workers: int) -> None:
        batches = load_all([[1], ["bad"], [2]], workers)
        assert next(batches) == [1]
        refused(functools.partial(next, batches), "the file bad is no image: replace it")

    @pytest.mark.parametrize("workers", [0, 1])
    def test_a_defect_keeps_its_name(self, workers: int) -> None:
        with pytest.raises(RuntimeError, match="ours"):
            list(load_all([["defect"]], workers))

    @pytest.mark.usefixtures("_no_handler_of_torchs")
    def test_a_killed_worker_ends_the_run(self) -> None:
        before = set(multiprocessing.active_children())
        batches = load_all([[n] for n in range(10**6)], 2)
        next(batches)
        (victim, _) = set(multiprocessing.active_children()) - before
        assert victim.pid is not None
        os.kill(victim.pid, signal.SIGKILL)
        refused(lambda: list(batches), "a process that loads images died", "fewer workers")
        assert ended(before)

    def test_a_stuck_worker_ends_the_run(self) -> None:
        before = set(multiprocessing.active_children())
        batches = load_all([["stuck"]], 1, patience=0.5)
        refused(lambda: next(batches), "no images came")
        assert ended(before)

    def test_giving_up_ends_the_workers(self) -> None:
        before = set(multiprocessing.active_children())
        batches = load_all([[n] for n in range(1000)], 1)
        next(batches)
        assert not set(multiprocessing.active_children()) <= before
        del batches
        assert ended(before)

    def test_control_c_is_left_to_the_first_process(self) -> None:
        before = set(multiprocessing.active_children())
        batches = load_all([[n] for n in range(100)], 1)
        next(batches)
        (worker,) = set(multiprocessing.active_children()) - before
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGINT)
        assert len(list(batches)) == 99

    @pytest.mark.slow
    def test_workers_end_with_the_process(self) -> None:
        code = (
            "import itertools, multiprocessing\n"
            "from tests.helpers.loaded_items import Keys\n"
            "from resnet_repro.data.imagefolder.decode import loader\n"
            "batches = loader(Keys(), ([n] for n in itertools.count()), workers=2, collate=list)\n"
            "next(batches)\n"
            "print(*[p.pid for p in multiprocessing.active_children()], flush=True)\n"
            "input()\n"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            workers = [int(word) for word in process.stdout.readline().split()]
            assert len(workers) == 2
            assert all(alive(pid) for pid in workers)
            process.kill()
        limit = time.monotonic() + 60
        while any(alive(pid) for pid in workers):
            assert time.monotonic() < limit
            time.sleep(0.1)
