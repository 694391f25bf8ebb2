"""The same photographs in every form: class folders, Parquet shards, WebDataset tars, Kaggle's."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped, unused-ignore]
import pyarrow.parquet as pq  # type: ignore[import-untyped, unused-ignore]
import pytest

from resnet_repro.data.image_file import MAX_BYTES
from resnet_repro.data.imagefolder import places
from resnet_repro.data.imagefolder.decode import read_image
from resnet_repro.data.imagefolder.listing import (
    IMAGENETTE,
    describe,
    find_form,
    load,
    validation,
)
from resnet_repro.data.imagefolder.places import Place, read_place
from resnet_repro.data.imagefolder.split import ImageFolder, ImageSplit
from resnet_repro.data.imagefolder.statistics import examine
from resnet_repro.errors import UserError
from resnet_repro.sweep import doctor
from tests.conftest import REPO, refused, silent
from tests.helpers.photographs import (
    FORMS,
    make_imagenette,
    to_kaggle,
    to_parquet,
    to_webdataset,
)

REAL = REPO.parent / "shared" / "data" / "imagenette160"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_imagenette(tmp_path_factory.mktemp("forms") / "folders", train=3, val=2)


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def copy(folders: Path, tmp_path: Path, form: str) -> Path:
    return FORMS[form](folders, tmp_path / "copy")


def listed(name: str, root: Path, **more: Path) -> ImageFolder:
    return load(name, root, say=silent, **more)


def contents(split: ImageSplit) -> list[bytes]:
    return [read_place(split.place(i)) for i in range(len(split))]


class TestEveryForm:
    def test_the_same_images_in_the_same_order(self, folders: Path, copy: Path, form: str) -> None:
        first, other = listed("imagenette", folders), listed("imagenette", copy)
        assert (first.form, other.form) == ("class folders", form)
        assert (other.digest, other.classes) == (first.digest, IMAGENETTE)
        assert other.root.is_relative_to(copy)
        for one, two in ((first.train, other.train), (first.test, other.test)):
            assert two.paths == one.paths
            assert two.labels.tolist() == one.labels.tolist()
            assert two.sizes.tolist() == one.sizes.tolist()
            assert contents(two) == contents(one)
            assert [two.place_of(path) for path in two.paths] == [
                two.place(i) for i in range(len(two))
            ]

    def test_the_validation_images_alone(self, folders: Path, copy: Path) -> None:
        first = validation("imagenette", folders)
        other = validation("imagenette", copy, say=silent)
        assert len(other.train) == 0
        assert (other.test.digest, other.classes) == (first.test.digest, first.classes)

    def test_a_damaged_image_is_left_out(self, folders: Path, tmp_path: Path, form: str) -> None:
        own = shutil.copytree(folders, tmp_path / "own")
        bad = [own / part / IMAGENETTE[4] / f"{IMAGENETTE[4]}_1.JPEG" for part in ("train", "val")]
        for path in bad:
            path.write_bytes(path.read_bytes()[:300])
        told: list[tuple[ImageFolder, list[str]]] = []
        for root in (own, FORMS[form](own, tmp_path / "copy")):
            said: list[str] = []
            data = listed("imagenette", root)
            kept, statistics = examine(data, 28, root / "cache", "skip", workers=0, say=said.append)
            told.append((kept, [*said, str(statistics.mean.sum())]))
        (first, one), (other, two) = told
        assert first.skipped == other.skipped == tuple(str(p.relative_to(own)) for p in bad)
        assert first.digest == other.digest
        assert contents(first.train) == contents(other.train)
        assert one[-1] == two[-1]
        assert sum(bad[0].name in line and "cannot be read" in line for line in two) == 2

    def test_doctor_names_the_form(self, copy: Path, form: str) -> None:
        (found,) = [f for f in doctor.examine(copy, ()) if f.what == "photographs"]
        assert found.found.startswith(f"{copy}: {form}")
        assert describe(copy.parent / "none") == ""

    @pytest.mark.skipif(not REAL.is_dir(), reason="no photographs beside the repository")
    def test_real_photographs(self, tmp_path: Path, form: str) -> None:
        for part in ("train", "val"):
            for path in sorted((REAL / part).glob("*/*"))[::25]:
                place = tmp_path / "few" / part / path.parent.name / path.name
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, place)
        first = listed("imagenette", tmp_path / "few")
        other = listed("imagenette", FORMS[form](tmp_path / "few", tmp_path / "copy"))
        assert other.digest == first.digest
        assert contents(other.train) == contents(first.train)
        assert read_image(other.test.place(3)) == read_image(first.test.place(3))


class TestIndex:
    @pytest.mark.parametrize("make", [to_parquet, to_webdataset])
    def test_shards_are_read_once(
        self, folders: Path, tmp_path: Path, make: Callable[[Path, Path], Path]
    ) -> None:
        copy, said = make(folders, tmp_path / "copy"), list[str]()
        shown = [
            load("imagenette", copy, cache=tmp_path / "cache", say=said.append) for _ in range(2)
        ]
        assert len(said) == 2  # of each split
        assert shown[0].digest == shown[1].digest
        assert contents(shown[1].test) == contents(shown[0].test)
        for path in (tmp_path / "cache" / "shards").iterdir():
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 1
            path.write_bytes(content)
        again = load("imagenette", copy, cache=tmp_path / "cache", say=said.append)
        assert again.digest == shown[0].digest
        assert sum("made anew" in line for line in said) == 2
        shard = sorted(copy.rglob("*-train-*" if make is to_webdataset else "train-*"))[0]
        os.utime(shard, ns=(0, 0))
        load("imagenette", copy, cache=tmp_path / "cache", say=said.append)
        assert len(said) == 7

    def test_row_groups_are_read_in_turn(
        self, folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data = listed("imagenette", to_parquet(folders, tmp_path / "copy"))
        read: list[tuple[str, int]] = []
        whole = places.read_group

        def counted(path: Path, group: int, columns: list[str]) -> object:
            read.append((path.name, group))
            return whole(path, group, columns)

        monkeypatch.setattr(places, "read_group", counted)
        places._images.cache_clear()
        examine(data, 28, tmp_path / "cache", "fail", workers=0, say=silent)
        assert len(read) == len(set(read)) == 2 * 5 + 2 * 4

    @pytest.mark.timeout(60)
    def test_a_fifo_in_its_place(self, folders: Path, tmp_path: Path) -> None:
        copy, said = to_parquet(folders, tmp_path / "copy"), list[str]()
        first = load("imagenette", copy, cache=tmp_path / "cache", say=silent)
        for path in (tmp_path / "cache" / "shards").iterdir():
            path.unlink()
            os.mkfifo(path)
        again = load("imagenette", copy, cache=tmp_path / "cache", say=said.append)
        assert again.digest == first.digest
        assert sum("no regular file" in line for line in said) == 2

    def test_names_of_another_encoding(self, folders: Path, tmp_path: Path) -> None:
        copy = to_webdataset(folders, tmp_path / "copy")
        shard = copy / "imagenet-train-000000.tar"
        rewritten(shard, lambda name, data: (f"caf\udce9{name}", data))
        digests = {
            load("image-folder", copy, cache=tmp_path / "cache", say=silent).digest
            for _ in range(2)
        }
        assert len(digests) == 1


class TestClasses:
    @pytest.mark.parametrize(
        ("names", "says"),
        [
            (["a", "b"], "no name tells the class of"),
            ([*"abcdefghi", 1], "no texts"),
            ([*"abcdefghi", ".."], "no name tells the class of"),
            ([*"abcdefghi", "x\x1b"], "is no name of a class"),
            ([*"abcdefghi", ""], "no name tells the class of"),
        ],
    )
    def test_names_that_are_none(
        self, folders: Path, tmp_path: Path, names: list[object], says: str
    ) -> None:
        own = tmp_path / "own"
        for part in ("train", "val"):
            for label, path in enumerate(sorted((folders / part).glob("*/*_0.JPEG"))):
                place = own / part / str(label) / f"{label}.jpg"
                place.parent.mkdir(parents=True)
                shutil.copy(path, place)
        copy = to_parquet(own, tmp_path / "hub", named=False)
        note = json.dumps({"info": {"features": {"label": {"names": names}}}})
        for path in copy.rglob("*.parquet"):
            table = pq.read_table(path).replace_schema_metadata({"huggingface": note})
            pq.write_table(table, path)
        refused(lambda: listed("image-folder", copy), str(copy), says)

    def test_files_without_the_class_at_the_end(self, folders: Path, tmp_path: Path) -> None:
        copy = to_parquet(folders, tmp_path / "copy", named=False)
        assert listed("imagenette", copy).digest == listed("imagenette", folders).digest

    def test_names_of_another_kind(self, folders: Path, tmp_path: Path) -> None:
        own = tmp_path / "own"
        for part in ("train", "val"):
            for label, path in enumerate(sorted((folders / part).glob("*/*_0.JPEG"))):
                place = own / part / f"word {label}" / f"{label}.jpg"
                place.parent.mkdir(parents=True)
                shutil.copy(path, place)
        hub = to_parquet(own, tmp_path / "hub", named=False)
        first = listed("image-folder", own)
        assert listed("image-folder", hub).digest == first.digest
        tars = to_webdataset(own, tmp_path / "tars")
        other = listed("image-folder", tars)
        assert other.classes == tuple(str(n) for n in range(10))
        assert contents(other.train) == contents(first.train)
        refused(lambda: listed("imagenet", tars), "n01440764_10026", "--dataset image-folder")

    def test_a_number_of_two_classes(self, folders: Path, tmp_path: Path) -> None:
        copy = to_parquet(folders, tmp_path / "copy")
        path = copy / "data" / "train-00001-of-00002.parquet"
        table = pq.read_table(path)
        numbers = [(n + 1) % 10 for n in table["label"].to_pylist()]
        pq.write_table(table.set_column(1, "label", pa.array(numbers)), path)
        refused(lambda: listed("imagenette", copy), str(copy), "two classes")

    def test_an_image_that_is_there_twice(self, folders: Path, tmp_path: Path) -> None:
        copy = to_parquet(folders, tmp_path / "copy")
        both = [copy / "data" / f"train-0000{n}-of-00002.parquet" for n in (0, 1)]
        tables = [pq.read_table(path) for path in both]
        pq.write_table(pa.concat_tables([tables[1], tables[0].slice(2, 1)]), both[1])
        refused(lambda: listed("image-folder", copy), *(path.name for path in both), "twice")

    def test_splits_with_other_classes(self, folders: Path, tmp_path: Path) -> None:
        own = shutil.copytree(folders, tmp_path / "own")
        shutil.rmtree(own / "val" / IMAGENETTE[9])
        for form, make in FORMS.items():
            copy = make(own, tmp_path / form)
            refused(lambda copy=copy: listed("image-folder", copy), IMAGENETTE[9], "missing")  # type: ignore[misc]


class TestParquetRefusals:
    @pytest.fixture
    def shard(self, folders: Path, tmp_path: Path) -> Path:
        return to_parquet(folders, tmp_path / "copy") / "data" / "train-00001-of-00002.parquet"

    def refuse(self, shard: Path, *words: str) -> None:
        refused(lambda: listed("imagenette", shard.parent.parent), *words)

    def test_missing(self, shard: Path) -> None:
        shard.unlink()
        self.refuse(shard, str(shard), "is missing")

    def test_a_split_that_is_missing(self, shard: Path) -> None:
        for path in shard.parent.glob("validation*"):
            path.unlink()
        self.refuse(shard, str(shard.with_name("validation-00000")), "is missing")

    def test_truncated(self, shard: Path) -> None:
        shard.write_bytes(shard.read_bytes()[:-100])
        self.refuse(shard, str(shard), "is damaged")

    @pytest.mark.timeout(60)
    def test_a_fifo(self, shard: Path) -> None:
        shard.unlink()
        os.mkfifo(shard)
        self.refuse(shard, str(shard), "no regular file")

    @pytest.mark.parametrize(
        ("columns", "words"),
        [
            ({"img": [{"bytes": b"x", "path": "x"}], "label": [0]}, "holds no columns image"),
            ({"image": [b"x"], "label": [0]}, "holds no columns image"),
            ({"image": [{"bytes": b"x", "path": "x"}], "label": [-1]}, "the label -1"),
            ({"image": [{"bytes": b"x", "path": "x"}], "label": ["0"]}, "the label '0'"),
            ({"image": [{"bytes": b"x", "path": None}, {"bytes": b"x", "path": "x"}],
              "label": [0, 0]}, "row 0 has no path"),
            ({"image": [{"bytes": None, "path": "y"}, {"bytes": b"x", "path": "x"}],
              "label": [0, 0]}, "row 0 has no bytes"),
        ],
    )  # fmt: skip
    def test_other_contents(
        self, shard: Path, columns: dict[str, list[object]], words: str
    ) -> None:
        pq.write_table(pa.table(columns), shard)
        self.refuse(shard, str(shard), words)

    def test_a_row_group_that_is_too_large(
        self, shard: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(places, "MAX_GROUP_BYTES", 100)
        self.refuse(shard, "at most 100 are read", "smaller ones")

    def test_one_that_is_damaged_or_gone_later(self, shard: Path) -> None:
        data = listed("imagenette", shard.parent.parent)
        of = [data.train.place(i) for i in range(len(data.train))]
        (place,) = [p for p in of if getattr(p, "path", None) == shard][:1]
        places._images.cache_clear()
        shard.write_bytes(b"PAR1" + bytes(100))
        refused(lambda: read_image(place), str(shard), "cannot be read")
        shard.unlink()
        refused(lambda: read_image(place), str(shard), "no regular file")


def rewritten(path: Path, change: Callable[[str, bytes], tuple[str, bytes] | None]) -> None:
    with tarfile.open(path) as archive:
        members = [
            (member.name, (archive.extractfile(member) or io.BytesIO()).read())
            for member in archive
        ]
    with tarfile.open(path, "w") as archive:
        for name, content in members:
            if changed := change(name, content):
                member = tarfile.TarInfo(changed[0])
                member.size = len(changed[1])
                archive.addfile(member, io.BytesIO(changed[1]))


class TestTarRefusals:
    @pytest.fixture
    def shard(self, folders: Path, tmp_path: Path) -> Path:
        return to_webdataset(folders, tmp_path / "copy") / "imagenet-train-000000.tar"

    def refuse(self, shard: Path, *words: str) -> None:
        refused(lambda: listed("imagenette", shard.parent), *words)

    def test_missing(self, shard: Path) -> None:
        shard.unlink()
        self.refuse(shard, str(shard), "is missing")

    @pytest.mark.timeout(60)
    def test_a_fifo(self, shard: Path) -> None:
        shard.unlink()
        os.mkfifo(shard)
        self.refuse(shard, str(shard), "no regular file")

    def test_cut_short_anywhere(self, shard: Path) -> None:
        """Also between two files, which looks like an end to whoever does not look for one."""
        whole = shard.read_bytes()
        with tarfile.open(shard) as archive:
            ends = [member.offset for member in archive.getmembers()][3:]
        for end in (*ends, ends[0] + 100, ends[0] + 512, ends[-1] + 600, 0, 100):
            shard.write_bytes(whole[:end])
            self.refuse(shard, str(shard), "is damaged or no tar")
        shard.write_bytes(whole[: ends[2]] + b"x" * 512 + whole[ends[2] + 512 :])
        self.refuse(shard, str(shard), "is damaged or no tar")

    @pytest.mark.parametrize("content", [b"", b"x", b"-1", b"1.5", b"9" * 12, "²".encode()])
    def test_labels_that_are_none(self, shard: Path, content: bytes) -> None:
        rewritten(shard, lambda name, data: (name, content if name.endswith("cls") else data))
        self.refuse(shard, str(shard), "labels are numbers")

    @pytest.mark.parametrize(
        ("suffix", "words"), [("cls", "has no label (.cls)"), ("jpg", "has no image")]
    )
    def test_half_a_sample(self, shard: Path, suffix: str, words: str) -> None:
        with tarfile.open(shard) as archive:
            key = archive.getnames()[0].removesuffix(".jpg")
        lost = f"{key}.{suffix}"
        rewritten(shard, lambda name, data: None if name == lost else (name, data))
        self.refuse(shard, f"{shard}: {key} {words}")

    def test_a_key_twice_and_a_link(self, shard: Path) -> None:
        with tarfile.open(shard, "a") as archive:
            first = archive.getmembers()[0]
            archive.addfile(twin_of(first), io.BytesIO(bytes(first.size)))
        self.refuse(shard, str(shard), first.name, "twice")
        with tarfile.open(shard, "w") as archive:
            link = tarfile.TarInfo("x.jpg")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(link)
        self.refuse(shard, str(shard), "x.jpg", "no regular file")

    def test_hidden_companions_are_no_images(self, shard: Path) -> None:
        before = listed("imagenette", shard.parent).digest
        with tarfile.open(shard, "a") as archive:
            archive.addfile(tarfile.TarInfo("._n01440764_0.jpg"), io.BytesIO())
        assert listed("imagenette", shard.parent).digest == before

    def test_one_that_is_cut_short_later(self, shard: Path) -> None:
        data = listed("imagenette", shard.parent)
        whole = [data.train.place(i) for i in range(len(data.train))]
        last = max((p for p in whole if getattr(p, "path", None) == shard), key=offset)
        os.truncate(shard, offset(last) + 10)
        refused(lambda: read_image(last), str(shard), "the file ends within it")

    def test_two_copies(self, shard: Path) -> None:
        shutil.copytree(shard.parent, shard.parent / "again")
        self.refuse(shard, str(shard.parent / "again"), "several folders")
        shutil.rmtree(shard.parent / "again")
        shutil.copy(shard, shard.with_name("other-train-000002.tar"))
        self.refuse(shard, "several downloads")


def offset(place: Place) -> int:
    return int(getattr(place, "offset", -1))


def twin_of(member: tarfile.TarInfo) -> tarfile.TarInfo:
    twin = tarfile.TarInfo(member.name)
    twin.size = member.size
    return twin


class TestKaggleRefusals:
    @pytest.fixture
    def copy(self, folders: Path, tmp_path: Path) -> Path:
        return to_kaggle(folders, tmp_path / "copy")

    def test_the_table(self, copy: Path) -> None:
        table = copy / "LOC_val_solution.csv"
        lines = table.read_text().splitlines()
        for other, word in (
            (lines[:-1], "does not name"),
            ([*lines, "x,n01440764 1 2 3 4"], "is missing"),
            ([*lines, lines[-1]], "line 22"),
            ([*lines, "x,"], "line 22"),
            ([*lines, '"' + "x" * 200_000], "is damaged"),
            (lines[1:], "ImageId"),
        ):
            table.write_text("\n".join(other) + "\n")
            refused(lambda: listed("imagenette", copy), str(copy), word)
        table.unlink()
        refused(lambda: listed("imagenette", copy), str(table))

    def test_a_table_with_a_byte_order_mark(self, copy: Path) -> None:
        before, table = listed("imagenette", copy).digest, copy / "LOC_val_solution.csv"
        table.write_text("\ufeff" + table.read_text())
        assert listed("imagenette", copy).digest == before

    def test_two_files_of_one_image(self, copy: Path) -> None:
        path = min((copy / "ILSVRC/Data/CLS-LOC/val").iterdir())
        shutil.copy(path, path.with_suffix(".png"))
        refused(lambda: listed("imagenette", copy), path.name, "keep one of them")

    def test_a_class_that_is_missing(self, copy: Path) -> None:
        shutil.rmtree(copy / "ILSVRC/Data/CLS-LOC/train" / IMAGENETTE[2])
        refused(lambda: listed("image-folder", copy), IMAGENETTE[2], "missing")


def test_of_several_forms_class_folders_are_read(folders: Path, tmp_path: Path) -> None:
    copy = to_parquet(folders, tmp_path / "copy")
    to_webdataset(folders, copy / "tars")
    assert find_form(copy) == "Parquet shards"
    shutil.copytree(folders / "val", copy / "val")
    assert find_form(copy) == "class folders"
    with pytest.raises(UserError, match="no imagenette in"):
        listed("imagenette", copy)


def test_an_image_of_which_the_place_says_too_much(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(np.arange(100, dtype=np.uint8).tobytes())
    assert read_place(places.Span(path, 10, 3, "x")) == bytes([10, 11, 12])
    huge = places.Span(path, 0, MAX_BYTES + 1, "x")
    refused(lambda: read_image(huge), str(path), "at most")
