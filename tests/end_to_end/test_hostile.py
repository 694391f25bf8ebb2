"""Damaged, forged and unwritable files: one line, status 2, nothing lost, nothing executed."""

from __future__ import annotations

import errno
import json
import os
import pickle
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from resnet_repro import paths
from resnet_repro.cli import main
from resnet_repro.data import cifar10, load
from resnet_repro.data.cifar10_forms import ARCHIVE, BATCHES_FOLDER
from resnet_repro.data.dataset import Dataset
from resnet_repro.data.imagefolder import statistics
from resnet_repro.data.imagefolder.decode import read_image
from resnet_repro.data.imagefolder.split import ImageFolder
from resnet_repro.errors import UserError
from resnet_repro.evaluate.imagenet.weights_file import read_state
from resnet_repro.paper import artifacts
from resnet_repro.records import evaluations
from resnet_repro.records.probes import PROBES
from resnet_repro.report.comparison import compare_records
from resnet_repro.sweep import plan, status
from resnet_repro.train import checkpoint
from resnet_repro.train.loop import Stopped, Watch, train
from tests.conftest import silent
from tests.data.test_cifar10 import (
    EXPECTED,
    PER_CLASS,
    batches,
    random_split,
    trust,
    trust_archive,
    write_archive,
    write_batches,
    write_class_folders,
    write_shards,
)
from tests.helpers.photographs import make_imagenette
from tests.helpers.training_jobs import smoke_job

ARM = "resnet20-w8"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, digits: Dataset) -> Path:
    """A results folder with one finished run of the demo's arm."""
    folder = tmp_path_factory.mktemp("finished")
    train(smoke_job(folder, digits, ARM), digits, Watch())
    return folder / "results"


@pytest.fixture
def results(finished: Path, tmp_path: Path) -> Path:
    """A copy of it to damage."""
    shutil.copytree(finished, tmp_path / "results")
    return tmp_path / "results"


def record(results: Path) -> Path:
    return results / "digits" / ARM / "smoke" / "seed0"


def stopped_at(digits: Dataset, folder: Path, *iterations: int) -> list[Path]:
    """Stop a run at these iterations; its checkpoints, the oldest first."""
    job = smoke_job(folder, digits, ARM)
    seen: list[int] = []
    for iteration in iterations:
        watch = Watch(step=seen.append, stop=partial(lambda last: seen[-1] >= last, iteration))
        with pytest.raises(Stopped):
            train(job, digits, watch)
    return sorted(job.checkpoints.glob("*.checkpoint"))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) * 2 // 3] ^= 4
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("damage", [truncate, flip_a_bit])
def test_a_damaged_checkpoint_costs_the_steps_since_the_one_before(
    tmp_path: Path, digits: Dataset, finished: Path, damage: Callable[[Path], None]
) -> None:
    older, newer = stopped_at(digits, tmp_path, 3, 6)
    damage(newer)
    said: list[str] = []
    train(smoke_job(tmp_path, digits, ARM), digits, Watch(say=said.append))
    assert said[0] == f"{newer.name} is damaged; going back to {older.name}"
    assert "resumed at iteration 3" in said[1]
    for name in ("metrics.csv", "weights.safetensors"):
        ours = record(tmp_path / "results") / name
        assert ours.read_bytes() == (record(finished) / name).read_bytes()


def test_with_every_checkpoint_damaged_the_run_starts_again(
    tmp_path: Path, digits: Dataset, finished: Path
) -> None:
    for path in stopped_at(digits, tmp_path, 3, 6):
        truncate(path)
    said: list[str] = []
    train(smoke_job(tmp_path, digits, ARM), digits, Watch(say=said.append))
    assert said[1].endswith("going back to the start")
    assert said[2].endswith("so it starts again")
    ours = record(tmp_path / "results") / "metrics.csv"
    assert ours.read_bytes() == (record(finished) / "metrics.csv").read_bytes()


class Bomb:
    """Creates a file when unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return os.mkdir, (self.path,)


def test_a_pickle_in_the_place_of_a_checkpoint_is_not_executed(
    tmp_path: Path, digits: Dataset
) -> None:
    (path,) = stopped_at(digits, tmp_path, 3)
    path.write_bytes(pickle.dumps(Bomb(str(tmp_path / "boom"))))
    said: list[str] = []
    train(smoke_job(tmp_path, digits, ARM), digits, Watch(say=said.append))
    assert "is damaged" in said[0]
    assert not (tmp_path / "boom").exists()


def test_a_pickle_with_the_right_checksum_is_not_executed_either(tmp_path: Path) -> None:
    payload = pickle.dumps(Bomb(str(tmp_path / "boom")))
    forged = files_digest(payload).encode() + b"\n" + payload
    (tmp_path / "00000003.checkpoint").write_bytes(forged)
    assert checkpoint.load_newest(lambda text: None, tmp_path) is None
    assert not (tmp_path / "boom").exists()


def files_digest(payload: bytes) -> str:
    import hashlib

    return hashlib.sha256(payload).hexdigest()


def one_line(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main(list(words)) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith("error: ")
    return error


def test_a_record_with_a_wrong_hash_is_refused_everywhere_and_kept(
    results: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = record(results) / "spec.json"
    spec = json.loads(path.read_text())
    spec["spec"]["recipe"]["lr"] = 0.05
    path.write_text(json.dumps(spec))
    before = {p: p.read_bytes() for p in results.rglob("*") if p.is_file()}
    where = ["--results-dir", str(results)]
    words = ["run", "demo", "--arms", ARM, "--protocol", "smoke", *where]
    assert "does not fit its spec" in one_line(capsys, *words, "--cache-dir", str(tmp_path))
    out = ["--figures-dir", str(tmp_path / "f"), "--tables-dir", str(tmp_path / "t")]
    assert "does not fit its spec" in one_line(capsys, "report", *where, *out)
    assert main(["verify", *where]) == 1
    assert "does not fit its spec" in capsys.readouterr().out.replace("\n", " ")
    assert {p: p.read_bytes() for p in results.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("name", ["metrics.csv", "timing.csv", "gradients.csv", "layers.csv"])
def test_a_table_cut_in_the_middle_is_named(
    name: str, results: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = record(results) / name
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b",")])  # within the last row
    where = ["--results-dir", str(results)]
    out = ["--figures-dir", str(tmp_path / "f"), "--tables-dir", str(tmp_path / "t")]
    assert name in one_line(capsys, "report", *where, *out)
    assert not (tmp_path / "t").exists()
    found = status.verify(results)["problems"]
    assert any(name in item["problem"] and "cut short" in item["problem"] for item in found)
    assert any("changed since" in item["problem"] for item in found)


def test_verify_finds_what_was_changed_by_hand(results: Path) -> None:
    path = record(results) / "result.json"
    value = json.loads(path.read_text())
    value["test_error"] = 6.43
    path.write_text(json.dumps(value))
    (problem,) = status.verify(results)["problems"]
    assert "its last test_error is not the one in result.json" in problem["problem"]


def test_verify_finds_missing_files_and_wrong_places(results: Path) -> None:
    (record(results) / "layers.csv").unlink()
    shutil.copytree(record(results), record(results).parent / "seed1")
    problems = [item["problem"] for item in status.verify(results)["problems"]]
    assert any("layers.csv: named in result.json and not there" in p for p in problems)
    assert any("seed1 holds the run digits/resnet20-w8/smoke/seed0" in p for p in problems)


def test_a_record_filed_under_another_protocol_is_refused(results: Path) -> None:
    """Else a short run's numbers could be set beside the paper's as if they were its own."""
    (record(results).parent).rename(results / "digits" / ARM / "demo")
    (problem,) = status.verify(results)["problems"]
    assert "holds the run digits/resnet20-w8/smoke/seed0" in problem["problem"]
    with pytest.raises(UserError, match="lies where its labels say"):
        compare_records(artifacts.load("demo").artifact, paths.RECORDED, results)


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("result.json", "files", None),
        ("result.json", "test_error", "6.43"),
        ("result.json", "test_error", float("nan")),
        ("result.json", "iterations", 1.5),
        ("execution.json", "threads", "two"),
        ("execution.json", "versions", ["torch"]),
    ],
)
def test_a_field_of_another_type_is_named(
    name: str, field: str, value: object, results: Path
) -> None:
    path = record(results) / name
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
    (problem,) = status.verify(results)["problems"]
    assert name in problem["problem"]
    assert status.status(results)["runs"][0]["state"] == "broken"


def test_iterations_must_increase(results: Path) -> None:
    path = record(results) / "metrics.csv"
    head, *rows = path.read_text().splitlines()
    path.write_text("\n".join([head, rows[1], rows[0], rows[2]]) + "\n")
    problems = [item["problem"] for item in status.verify(results)["problems"]]
    assert any("iterations do not increase" in p for p in problems)


def test_a_full_disk_loses_nothing(
    tmp_path: Path,
    digits: Dataset,
    finished: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """ENOSPC while the record is written: one line, status 2, and the run goes on later."""
    words = ["run", "demo", "--arms", ARM, "--protocol", "smoke", "--device", "cpu"]
    words += ["--results-dir", str(tmp_path / "results"), "--cache-dir", str(tmp_path / "cache")]
    words += ["--checkpoint-every", "0", "--precision", "fp32"]  # as the undisturbed run
    with monkeypatch.context() as patch:
        written = []

        def fsync(handle: int) -> None:
            written.append(handle)
            if len(written) > 12:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        patch.setattr(os, "fsync", fsync)
        error = one_line(capsys, *words)
        assert "No space left on device" in error
        assert "make room" in error
    assert not list(tmp_path.rglob("*.tmp"))
    assert main(words) == 0
    assert "resumed at iteration" in capsys.readouterr().out
    for name in ("metrics.csv", "layers.csv"):
        ours = record(tmp_path / "results") / name
        assert ours.read_bytes() == (record(finished) / name).read_bytes()


def test_a_folder_that_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")  # a folder below a file: fails for root, too
    words = ["run", "demo", "--arms", ARM, "--protocol", "smoke", "--device", "cpu"]
    cache, results = tmp_path / "file" / "cache", tmp_path / "results"
    error = one_line(capsys, *words, "--results-dir", str(results), "--cache-dir", str(cache))
    assert "cannot write in" in error
    out = ["--figures-dir", str(tmp_path / "file"), "--tables-dir", str(tmp_path / "t")]
    assert main([*words, "--results-dir", str(results), "--cache-dir", str(tmp_path)]) == 0
    assert "cannot write" in one_line(capsys, "report", "--results-dir", str(results), *out)


corruptions = st.one_of(
    st.tuples(st.just("cut"), st.integers(0, 10_000), st.just(b"")),
    st.tuples(st.just("overwrite"), st.integers(0, 10_000), st.binary(min_size=1, max_size=8)),
    st.tuples(st.just("insert"), st.integers(0, 10_000), st.binary(min_size=1, max_size=8)),
    st.tuples(st.just("replace"), st.just(0), st.binary(max_size=200)),
)


def corrupt(path: Path, kind: str, at: int, junk: bytes) -> None:
    content = path.read_bytes()
    at %= len(content)
    tail = {"cut": len(content), "overwrite": at + len(junk), "insert": at, "replace": len(content)}
    head = b"" if kind == "replace" else content[:at]
    path.write_bytes(head + junk + content[tail[kind] :])


NAMES = [
    *("spec.json", "execution.json", "result.json", "weights.safetensors"),
    *("metrics.csv", "timing.csv", "gradients.csv", "layers.csv"),
]


@settings(max_examples=120)
@given(name=st.sampled_from(NAMES), corruption=corruptions)
def test_no_corruption_of_a_record_gives_anything_but_a_named_problem(
    finished: Path,
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    corruption: tuple[str, int, bytes],
) -> None:
    results = tmp_path_factory.mktemp("corrupt") / "results"
    shutil.copytree(finished, results)
    path = record(results) / name
    before = path.read_bytes()
    corrupt(path, *corruption)
    changed = path.read_bytes() != before
    found = status.verify(results)["problems"]
    if changed and name.endswith((".csv", ".safetensors")):
        assert found
    assert all("\n" not in item["problem"] for item in found)
    request = plan.Request(artifacts.load("demo").artifact, protocol="smoke", results=results)
    for value in (
        status.status(results),
        status.list_artifacts([results]),
        status.plan_json(plan.plan(request, "cpu")),
    ):
        json.dumps(value, allow_nan=False)
    try:
        compare_records(artifacts.load("demo").artifact, paths.RECORDED, results)
    except UserError as error:
        assert "\n" not in str(error)  # noqa: PT017
    shutil.rmtree(results.parent)


@settings(max_examples=60)
@given(corruption=corruptions)
def test_no_corruption_of_a_checkpoint_is_loaded(
    tmp_path_factory: pytest.TempPathFactory, corruption: tuple[str, int, bytes]
) -> None:
    folder = tmp_path_factory.mktemp("checkpoints")
    whole = checkpoint.Checkpoint(5, {"weight": torch.arange(6.0).reshape(2, 3)}, {"lr": 0.1})
    checkpoint.save(folder, whole)
    (path,) = folder.glob("*.checkpoint")
    before = path.read_bytes()
    corrupt(path, *corruption)
    found = checkpoint.load_newest(lambda text: None, folder)
    if path.read_bytes() == before:
        assert found is not None
        assert torch.equal(found.tensors["weight"], whole.tensors["weight"])
        assert found.rest == {"lr": 0.1}
    else:
        assert found is None


FORMS = ("parquet", "folders", "batches", "archive")


def damaged_copy(root: Path, form: str, corruption: tuple[str, int, bytes]) -> dict[str, bytes]:
    """Write a tiny CIFAR-10 in one form and damage one of its files.

    Returns the batch files as they are now, for whoever is to trust their checksums.
    """
    tiny = {name: random_split(n, seed) for seed, (name, n) in enumerate(PER_CLASS.items())}
    blobs = batches(tiny)
    if form == "parquet":
        corrupt(next(write_shards(root, tiny).glob("train-00001*.parquet")), *corruption)
    elif form == "folders":
        corrupt(next((write_class_folders(root, tiny) / "train" / "cat").iterdir()), *corruption)
    elif form == "batches":
        path = write_batches(root / BATCHES_FOLDER, blobs) / "data_batch_3"
        corrupt(path, *corruption)
        blobs["data_batch_3"] = path.read_bytes()
    else:
        corrupt(write_archive(root, blobs), *corruption)
    return blobs


@settings(max_examples=80)
@given(form=st.sampled_from(FORMS), corruption=corruptions)
def test_no_corruption_of_a_data_set_gives_anything_but_one_line(
    tmp_path_factory: pytest.TempPathFactory, form: str, corruption: tuple[str, int, bytes]
) -> None:
    """Checksums are made to fit, so that what reads the bytes meets the damage itself."""
    root = tmp_path_factory.mktemp("data")
    blobs = damaged_copy(root, form, corruption)
    with pytest.MonkeyPatch.context() as patch:
        trust(patch, blobs)
        if form == "archive":
            trust_archive(patch, root / ARCHIVE)
        try:
            found = cifar10.load(root, expected=EXPECTED)
            assert (len(found.train), len(found.test)) == EXPECTED
        except UserError as error:
            assert "\n" not in str(error)  # noqa: PT017
    shutil.rmtree(root)


@settings(max_examples=60)
@given(corruption=corruptions)
def test_no_corruption_of_counts_gives_anything_but_a_named_problem(
    tmp_path_factory: pytest.TempPathFactory, corruption: tuple[str, int, bytes]
) -> None:
    results = tmp_path_factory.mktemp("counts") / "results"
    (results / "counts").mkdir(parents=True)
    shutil.copy(paths.RECORDED / "counts" / "resnet50.json", results / "counts")
    corrupt(results / "counts" / "resnet50.json", *corruption)
    found = status.verify(results)["problems"]
    try:
        compare_records(artifacts.load("table1").artifact, paths.RECORDED, results)
        assert found == []
    except UserError as error:
        assert "\n" not in str(error)  # noqa: PT017
        assert found
    shutil.rmtree(results.parent)


def parsed(path: Path) -> object:
    """What JSON a file holds; None without any."""
    try:
        return json.loads(path.read_bytes().decode())
    except ValueError:
        return None


@settings(max_examples=60)
@given(name=st.sampled_from(list(PROBES)), corruption=corruptions)
def test_no_corruption_of_a_study_is_believed(
    tmp_path_factory: pytest.TempPathFactory, name: str, corruption: tuple[str, int, bytes]
) -> None:
    results = tmp_path_factory.mktemp("study") / "results"
    place = Path("cifar10") / "plain20" / "short" / "seed0"
    shutil.copytree(paths.RECORDED / place, results / place)
    path = evaluations.evaluation_path(results / place, name)
    before = parsed(path)
    corrupt(path, *corruption)
    found = status.verify(results)["problems"]
    assert all("\n" not in item["problem"] for item in found)
    assert bool(found) == (parsed(path) != before)  # a blank more or less is no matter
    shutil.rmtree(results.parent)


CROP = 28


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> ImageFolder:
    root = make_imagenette(tmp_path_factory.mktemp("photographs"), train=2, val=1)
    truncate(sorted((root / "train").glob("*/*"))[0])
    found = load("imagenette", root)
    assert isinstance(found, ImageFolder)
    return found


def examined(data: ImageFolder, cache: Path) -> tuple[ImageFolder, statistics.Statistics]:
    return statistics.examine(data, CROP, cache, "skip", workers=0, say=silent)


@settings(max_examples=60)
@given(corruption=corruptions)
def test_no_corruption_of_kept_statistics_is_believed(
    photographs: ImageFolder,
    tmp_path_factory: pytest.TempPathFactory,
    corruption: tuple[str, int, bytes],
) -> None:
    cache = tmp_path_factory.mktemp("cache")
    rest, whole = examined(photographs, cache)
    (path,) = (cache / "statistics").iterdir()
    corrupt(path, *corruption)
    rest_again, again = examined(photographs, cache)
    assert rest_again.skipped == rest.skipped != ()
    for name, tensor in vars(whole).items():
        assert torch.equal(getattr(again, name), tensor), name
    shutil.rmtree(cache)


@settings(max_examples=80)
@given(corruption=corruptions)
def test_no_corruption_of_a_photograph_gives_anything_but_one_line(
    photographs: ImageFolder,
    tmp_path_factory: pytest.TempPathFactory,
    corruption: tuple[str, int, bytes],
) -> None:
    path = tmp_path_factory.mktemp("photograph") / "one.JPEG"
    shutil.copy(photographs.train.root / photographs.train.paths[1], path)
    corrupt(path, *corruption)
    try:
        assert read_image(path).mode == "RGB"
    except UserError as error:
        assert "\n" not in str(error)  # noqa: PT017
        assert str(path) in str(error)  # noqa: PT017


@settings(max_examples=80)
@given(suffix=st.sampled_from([".safetensors", ".pth"]), corruption=corruptions)
def test_no_corruption_of_weights_gives_anything_but_one_line(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, corruption: tuple[str, int, bytes]
) -> None:
    path = tmp_path_factory.mktemp("weights") / f"weights{suffix}"
    state = {"conv1.weight": torch.ones(4, 3, 3, 3), "fc.bias": torch.zeros(10)}
    if suffix == ".pth":
        torch.save(state, path)
    else:
        save_file(state, path)
    before = path.read_bytes()
    corrupt(path, *corruption)
    try:
        found = read_state(path)
    except UserError as error:
        assert "\n" not in str(error)  # noqa: PT017
        assert str(path) in str(error)  # noqa: PT017
        assert path.read_bytes() != before
    else:
        assert all(isinstance(tensor, torch.Tensor) for tensor in found.values())
