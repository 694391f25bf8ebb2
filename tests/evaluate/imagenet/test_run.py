"""`evaluate`: weights from everywhere, recorded runs and ensembles, and bad input in one line."""

from __future__ import annotations

import functools
import json
import math
import os
import pickle
import shutil
import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image
from rich.console import Console
from torch import Tensor, nn
from torchvision.models import ResNet18_Weights  # type: ignore[import-untyped, unused-ignore]
from torchvision.models import resnet18 as torchvision_resnet18

from resnet_repro.cli import main
from resnet_repro.cli.evaluate import result_rows
from resnet_repro.cli.progress import Steps
from resnet_repro.data.imagefolder import listing
from resnet_repro.data.imagefolder.folders import split_from
from resnet_repro.data.imagefolder.split import ImageFolder
from resnet_repro.data.imagefolder.statistics import Statistics
from resnet_repro.errors import UserError
from resnet_repro.evaluate.imagenet import run as evaluation_command
from resnet_repro.evaluate.imagenet import scores as images
from resnet_repro.evaluate.imagenet import weights
from resnet_repro.evaluate.imagenet.crops import views_for
from resnet_repro.evaluate.imagenet.preprocessing import subtracting
from resnet_repro.evaluate.imagenet.run import Request
from resnet_repro.evaluate.imagenet.scores import Member, evaluate
from resnet_repro.evaluate.imagenet.weights import Published, load, load_run
from resnet_repro.evaluate.imagenet.weights_file import read_state
from resnet_repro.models import build
from resnet_repro.records import schema, store
from resnet_repro.records.evaluations import read_ensembles, read_evaluation
from resnet_repro.runtime.device import choose

CLASSES = tuple(f"n{i}" for i in range(6))
CROP = 32

pytestmark = pytest.mark.usefixtures("_one_thread")


def fails(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line the command prints for bad input."""
    capsys.readouterr()
    assert main(["evaluate", *words]) == 2
    out, error = capsys.readouterr()
    assert (out, error[:7], error.count("\n")) == ("", "error: ", 1)
    return error


def refused(call: Callable[[], object], *says: str) -> None:
    with pytest.raises(UserError) as caught:
        call()
    assert "\n" not in str(caught.value)
    for words in says:
        assert words in str(caught.value)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train/ and val/ with two blotchy images of each of six classes."""
    root, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for part in ("train", "val"):
        for name in CLASSES:
            (root / part / name).mkdir(parents=True)
            for number in range(2):
                coarse = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
                size = (int(rng.integers(30, 60)), 40)
                Image.fromarray(coarse).resize(size).save(root / part / name / f"{number}.png")
    return root


@functools.cache
def trained(name: str, seed: int, classes: int = 6) -> dict[str, Tensor]:
    """A state that tells images apart: BN has seen noise, the classifier is loud."""
    model = build(name, num_classes=classes, seed=seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.5
    x = 60 * torch.randn(16, 3, CROP, CROP, generator=torch.Generator().manual_seed(seed))
    for _ in range(5):
        model.train()(x)
    state: dict[str, Tensor] = model.state_dict()
    return state


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return trained("resnet18-B", 0)


@pytest.fixture
def file(state: dict[str, Tensor], tmp_path: Path) -> Path:
    path = tmp_path / "resnet18-B.pth"
    torch.save(state, path)
    return path


# --- weights --------------------------------------------------------------------------------


def same(found: dict[str, Tensor], state: dict[str, Tensor]) -> bool:
    return list(found) == list(state) and all(torch.equal(found[k], state[k]) for k in state)


def test_files_of_every_usual_form_are_read(state: dict[str, Tensor], tmp_path: Path) -> None:
    wrapped: list[Any] = [
        state,
        {"state_dict": {f"module.{k}": v for k, v in state.items()}, "epoch": 90},
        {"model": {f"_orig_mod.module.{k}": v for k, v in state.items()}, "lr": 0.1},
        {"model_state_dict": state},
        {"model_state": state, "epoch": 99, "cfg": "MODEL"},
        {"module": state, "global_steps": 3},
        {"net": {f"module.{k}": v for k, v in state.items()}, "acc": 91.7},
        {"state_dict": {f"model.{k}": v for k, v in state.items()}, "loops": {}},
        {f"net.{k}": v for k, v in state.items()},
        {"n_averaged": torch.tensor(3), **{f"module.{k}": v for k, v in state.items()}},
    ]
    for number, value in enumerate(wrapped):
        torch.save(value, tmp_path / f"{number}.pth")
        assert same(read_state(tmp_path / f"{number}.pth"), state)
    torch.save(state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert same(read_state(tmp_path / "old.pth"), state)
    safetensors.torch.save_file(state, tmp_path / "new.safetensors")
    found = read_state((tmp_path / "new.safetensors").rename(tmp_path / "new.SAFETENSORS"))
    assert same(dict(sorted(found.items())), dict(sorted(state.items())))


@torch.inference_mode()
def test_torchvisions_state_gives_torchvisions_logits(tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = torchvision_resnet18(num_classes=6).eval()
    torch.save(theirs.state_dict(), tmp_path / "theirs.pth")
    ours = load("resnet18-B", str(tmp_path / "theirs.pth"), 6)
    x = torch.randn(3, 3, 64, 64)
    torch.testing.assert_close(ours.model(x), theirs(x), rtol=1e-4, atol=1e-5)
    assert ours.published is None
    assert not ours.model.training


def test_counters_of_batches_may_be_absent(state: dict[str, Tensor], tmp_path: Path) -> None:
    without = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    torch.save(without, tmp_path / "older.pth")
    found = load("resnet18-B", str(tmp_path / "older.pth"), 6).model.state_dict()
    assert all(torch.equal(found[k], v) for k, v in without.items())


class Malicious:
    """Unpickled by an ordinary reader, it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.path,)


def test_code_in_a_file_is_refused_and_does_not_run(
    state: dict[str, Tensor], tmp_path: Path
) -> None:
    trace = tmp_path / "ran"
    bomb = {"state_dict": state, "args": Malicious(trace)}
    torch.save(bomb, tmp_path / "bomb.pth")
    (tmp_path / "bare.pth").write_bytes(pickle.dumps(bomb, protocol=2))
    (tmp_path / "newer.pth").write_bytes(pickle.dumps(bomb))
    refused(lambda: read_state(tmp_path / "newer.pth"), "is no whole file of weights")
    for name in ("bomb.pth", "bare.pth"):
        path = tmp_path / name
        refused(lambda path=path: read_state(path), str(path), "not loaded because they can run")  # type: ignore[misc]
        assert not trace.exists()
    torch.load(tmp_path / "bomb.pth", weights_only=False)
    assert trace.exists(), "the file is harmless, and this test shows nothing"


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.pth", b"no weights", "is no whole file of weights"),
        ("a.pth", b"", "is no whole file of weights"),
        ("a.safetensors", b"no weights at all", "is no whole file of weights"),
        ("a.pth", pickle.dumps([1, 2]), "is no whole file of weights"),
    ],
)
def test_files_that_hold_no_weights(name: str, content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    refused(lambda: read_state(tmp_path / name), says, "give a .safetensors, .pth or .pt file")


ODD: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "complex": (lambda tensor: tensor.to(torch.complex64), "complex"),
    "sparse": (lambda tensor: tensor.to_sparse(), "sparse"),
    "meta": (lambda tensor: tensor.to("meta"), "without values"),
    "quantised": (
        lambda tensor: torch.quantize_per_tensor(tensor, 0.1, 0, torch.qint8),
        "quantised",
    ),
    "whole": (lambda tensor: tensor.to(torch.int8), "of whole numbers"),
    "truth": (lambda tensor: tensor.to(torch.bool), "of whole numbers"),
    "nan": (lambda tensor: tensor * math.nan, "not finite throughout"),
    "float8": (lambda tensor: (tensor * math.nan).to(torch.float8_e4m3fn), "not finite"),
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_weights_are_dense_real_and_there(
    name: str, state: dict[str, Tensor], tmp_path: Path
) -> None:
    make, says = ODD[name]
    torch.save({**state, "fc.weight": make(state["fc.weight"])}, tmp_path / "a.pth")
    refused(lambda: read_state(tmp_path / "a.pth"), "'fc.weight' is", says)


def test_a_variance_below_zero_is_refused(state: dict[str, Tensor], tmp_path: Path) -> None:
    name = next(name for name in state if name.endswith("running_var"))
    torch.save({**state, name: -1 - state[name]}, tmp_path / "a.pth")
    refused(lambda: read_state(tmp_path / "a.pth"), f"{name!r} is negative, or no number")


@pytest.mark.timeout(60)  # unwrapping would go on for ever
def test_a_wrapper_of_itself_and_a_deep_one_are_refused(tmp_path: Path) -> None:
    value: dict[str, Any] = {}
    value["model"] = value
    deep: dict[str, Any] = {"fc.weight": torch.ones(2, 2)}
    for _ in range(9):
        deep = {"state_dict": deep}
    for wrapped, says in ((value, "more than 8 deep"), (deep, "more than 8 deep")):
        torch.save(wrapped, tmp_path / "a.pth")
        refused(lambda: read_state(tmp_path / "a.pth"), says)
    torch.save(deep["state_dict"], tmp_path / "a.pth")
    assert list(read_state(tmp_path / "a.pth")) == ["fc.weight"]


def test_a_prefix_of_some_names_is_told(state: dict[str, Tensor], tmp_path: Path) -> None:
    mixed = {**{f"model.{k}": v for k, v in state.items()}, "criterion.weight": torch.ones(2)}
    torch.save(mixed, tmp_path / "a.pth")
    says = "'criterion.weight' does not begin with 'model.' as other names do"
    refused(lambda: read_state(tmp_path / "a.pth"), says)


@pytest.mark.timeout(60)  # opening a fifo would wait for its writer
def test_what_lies_in_the_place_of_weights_is_named(tmp_path: Path) -> None:
    pointer = tmp_path / "pointer.safetensors"
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 44700000\n")
    refused(lambda: read_state(pointer), "pointer of Git LFS", "git lfs pull")
    os.mkfifo(tmp_path / "fifo.pth")
    refused(lambda: read_state(tmp_path / "fifo.pth"), "no weights file")


@pytest.mark.parametrize("value", [[1, 2], {}, {"lr": 0.1}, torch.ones(2), {"state_dict": {1: 2}}])
def test_files_of_something_else(value: object, tmp_path: Path) -> None:
    torch.save(value, tmp_path / "a.pth")
    refused(lambda: read_state(tmp_path / "a.pth"), "save the network's state_dict()")


def test_a_cut_file_and_a_missing_one(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1000])
    refused(lambda: read_state(file), str(file), "is no whole file")
    refused(lambda: read_state(file.with_name("b.pth")), "no weights file", "b.pth")


def test_weights_of_another_network_name_what_differs_and_what_fits(file: Path) -> None:
    refused(
        lambda: load("resnet34-B", str(file), 6),
        f"{file} does not fit resnet34-B: layer1.2.conv1.weight is missing",
        "it fits resnet18-B",
    )
    refused(
        lambda: load("resnet50", str(file), 6),
        "layer1.0.conv1.weight is 64 x 64 x 3 x 3 instead of 64 x 64 x 1 x 1",
        "it fits resnet18-B",
    )
    refused(lambda: load("resnet18-A", str(file), 6), "none of its parameters", "resnet18-B")
    refused(lambda: load("resnet18-B", str(file), 10), "tells 6 classes", "images have 10")
    torch.save({"weight": torch.ones(3)}, file)
    refused(lambda: load("resnet18-A", str(file), 6), "it fits none of our ImageNet networks")


def test_networks_of_the_same_parameters_are_both_named() -> None:
    shapes = build("resnet18-A", num_classes=6).state_dict()
    refused(lambda: weights.fit("vgg16", shapes, "x", 6), "it fits plain18 and resnet18-A")


@pytest.mark.parametrize(
    ("network", "source", "says"),
    [
        ("resnet18-A", "torchvision", "torchvision has no weights for resnet18-A: it has for"),
        ("resnet50", "torchvision", "resnet50-v1.5"),
        ("resnet50-v1.5", "torchvision:V9", "give one of IMAGENET1K_V1, IMAGENET1K_V2"),
        ("vgg16", "torchvision:IMAGENET1K_FEATURES", "give one of IMAGENET1K_V1"),
        ("resnet20", "torchvision", "resnet20 is a CIFAR network"),
        ("resnet34", "torchvision", "resnet34-B"),
    ],
)
def test_what_torchvision_does_not_publish(network: str, source: str, says: str) -> None:
    refused(lambda: load(network, source, 1000), says)


def test_every_network_torchvision_publishes_is_one_of_ours() -> None:
    from torchvision.models import get_model

    for ours, theirs in weights.TORCHVISION.items():
        with torch.device("meta"):
            shapes = get_model(theirs, weights=None).state_dict()
        assert not weights._differences(ours, shapes, 1000)


def test_a_download_that_fails_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*args: object, **kwargs: object) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", unreachable)
    refused(
        lambda: load("resnet18-B", "torchvision", 1000),
        "no route to host",
        "resnet18-f37072fd.pth",
        "download it elsewhere and give the file as --weights",
    )


# --- recorded runs --------------------------------------------------------------------------


def statistics() -> Statistics:
    mean = 100 + 50 * torch.rand(CROP, CROP, 3, generator=torch.Generator().manual_seed(3))
    return Statistics(mean, torch.full((3,), 60.0), torch.ones(3), torch.eye(3))


def record(
    results: Path,
    arm: str = "resnet18-A",
    seed: int = 0,
    *,
    network: str | None = None,
    dataset: str = "image-folder",
    **recipe: object,
) -> Path:
    """A finished run with weights in half precision and statistics."""
    run = schema.RunId(dataset, arm, "smoke", seed)
    folder = run.folder(results)
    recipe = {
        "iterations": 4,
        "batch_size": 32,
        "crop": CROP,
        "mean": "pixel",
        "flip": True,
        "init": "fan_out",
        "bn_statistics": "moving",
        **recipe,
    }
    spec = schema.Spec(network or arm, dataset, "digest", recipe, 1, seed)
    folder.mkdir(parents=True)
    half = {
        k: v.half() if k.endswith((".weight", ".bias")) else v
        for k, v in trained(arm, seed).items()
    }
    safetensors.torch.save_file(half, folder / "weights.safetensors")
    statistics().save(folder / "statistics.safetensors")
    execution = schema.Execution(
        {}, "cpu", "a processor", "fp32", False, False, True, 1, 1, "unknown", False, "run", "then"
    )
    store.write_spec(folder, run, spec)
    store.write_execution(folder, execution)
    nothing = (None,) * 7
    files = {"weights.safetensors": store.file_digest(folder / "weights.safetensors")}
    store.write_result(folder, schema.Result("done", spec.hash, 4, 1, *nothing, files=files))
    return folder


def options(root: Path, *words: str) -> list[str]:
    return ["evaluate", "--data-root", str(root), "--workers", "0", "--device", "cpu", *words]


@pytest.mark.parametrize(
    ("crops", "name"), [("center", "center"), ("10", "ten_crop"), ("dense", "dense")]
)
def test_a_runs_evaluation_is_filed_beside_it(
    crops: str, name: str, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = record(tmp_path)
    assert main(options(root, "--run", str(folder), "--crops", crops, "--precision", "fp32")) == 0
    shown = capsys.readouterr().out
    found = read_evaluation(folder / "evaluations" / f"{name}.json")
    assert f"wrote {folder.resolve() / 'evaluations' / name}.json" in shown
    split = split_from(root / "val", CLASSES)
    run = load_run(folder)
    member = Member(run.model, subtracting(statistics(), "pixel"))
    scores = evaluate([member], split, views_for(crops, CROP), torch.device("cpu"))
    assert found.values == {
        "images": 12,
        "top1_error": scores.top1_error,
        "top5_error": scores.top5_error,
    }
    assert f"{scores.top1_error:.3f}" in shown
    assert found.spec_hash == store.read_spec(folder).hash
    told = found.settings
    assert (told["crops"], told["crop"], told["bn"]) == (crops, CROP, "moving")
    assert told["sizes"] == list(views_for(crops, CROP).sizes)
    assert (told["split"], told["dataset_digest"]) == ("val", split.digest)
    command = f"--run image-folder/resnet18-A/smoke/seed0 --crops {crops}"
    assert str(found.execution["command"]).endswith(command)
    assert str(tmp_path) not in json.dumps(found.execution)


def test_what_is_unusual_is_filed_under_another_name(root: Path, tmp_path: Path) -> None:
    folder = record(tmp_path)
    words = ("--run", str(folder), "--sizes", "32,40", "--bn", "recomputed")
    assert main(options(root, *words)) == 0
    found = read_evaluation(folder / "evaluations" / "center+sizes=32,40+bn=recomputed.json")
    assert (found.settings["sizes"], found.settings["bn"]) == ([32, 40], "recomputed")


def test_recomputed_statistics_are_of_the_training_images(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, seen = record(tmp_path), list[Tensor]()
    original = images.evaluate

    def spy(members: list[Member], *args: Any, **kwargs: Any) -> Any:
        seen.append(members[0].model.get_buffer("bn1.running_mean").clone())
        return original(members, *args, **kwargs)

    monkeypatch.setattr(images, "evaluate", spy)
    assert main(options(root, "--run", str(folder))) == 0
    assert main(options(root, "--run", str(folder), "--bn", "recomputed")) == 0
    state = load_run(folder).model
    assert torch.equal(seen[0], state.get_buffer("bn1.running_mean"))
    first = state.get_submodule("conv1")
    member = Member(first, subtracting(statistics(), "pixel"))
    dataset = images._Pictures(split_from(root / "train", CLASSES), views_for("center", CROP))
    pictures = torch.cat([dataset[i][1][0] for i in range(12)])
    with torch.inference_mode():
        expected = first(member.preprocessing(pictures)).mean((0, 2, 3))
    torch.testing.assert_close(seen[1], expected, rtol=1e-3, atol=1e-2)


def test_a_run_without_statistics_takes_them_from_the_training_images(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = record(tmp_path / "results")
    (folder / "statistics.safetensors").unlink()
    cache = ("--cache-dir", str(tmp_path / "cache"))
    assert main(options(root, "--run", str(folder), *cache)) == 0
    assert "reading all 24 images" in capsys.readouterr().err
    assert list((tmp_path / "cache").rglob("*.safetensors"))
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "val").symlink_to(root / "val")
    error = fails(capsys, "--run", str(folder), "--data-root", str(tmp_path / "only"))
    assert "train" in error


def test_several_runs_are_an_ensemble(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [record(tmp_path, "resnet18-A"), record(tmp_path, "resnet18-B", 1)]
    runs = [word for folder in folders for word in ("--run", str(folder))]
    assert main(options(root, *runs, "--crops", "10")) == 0
    ((dataset, path, found),) = read_ensembles(tmp_path)
    assert (dataset, path.parent) == ("image-folder", tmp_path.resolve() / dataset / "ensembles")
    assert found.members == ["resnet18-A/smoke/seed0", "resnet18-B/smoke/seed1"]
    members = [
        Member(load_run(folder).model, subtracting(statistics(), "pixel")) for folder in folders
    ]
    split = split_from(root / "val", CLASSES)
    scores = evaluate(members, split, views_for("10", CROP), torch.device("cpu"))
    assert found.number("top1_error") == scores.top1_error
    assert found.spec_hash == ""
    assert not list(tmp_path.rglob("evaluations"))
    # The same runs in another order are the same ensemble.
    capsys.readouterr()
    assert main(options(root, *runs[2:], *runs[:2], "--crops", "10")) == 0
    assert len(read_ensembles(tmp_path)) == 1


def test_runs_that_cannot_be_evaluated(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = record(tmp_path)
    cases = [
        ([record(tmp_path, seed=4, network="resnet20")], "none of the data sets that CIFAR"),
        ([tmp_path], "is no recorded run: give a folder"),
        ([good, good], "a run is named twice"),
        ([good, record(tmp_path, seed=1, crop=64)], "--crop: the runs have 32"),
        ([good, record(tmp_path, dataset="imagenette")], "--dataset: the runs have image-folder"),
        ([record(tmp_path, seed=2, crop=None)], "its recipe says no crop"),
        ([record(tmp_path, seed=5, mean=3)], "at `$.mean`"),
        ([record(tmp_path, seed=3, network="resnet34-A")], "does not fit resnet34-A"),
    ]
    for folders, says in cases:
        words = [word for folder in folders for word in ("--run", str(folder))]
        assert says in fails(capsys, *words, "--data-root", str(root))
    run = ("--run", str(good), "--data-root", str(root))
    assert "--crop: the runs have 32" in fails(capsys, *run, "--crop", "64")
    assert "--dataset: the runs have" in fails(capsys, *run, "--dataset", "imagenet")
    assert "--mean goes with --arch" in fails(capsys, *run, "--mean", "pixel")
    (good / "result.json").unlink()
    assert "is not finished" in fails(capsys, *run)


def test_weights_that_were_changed_or_are_gone(tmp_path: Path) -> None:
    folder = record(tmp_path)
    path = folder / "weights.safetensors"
    safetensors.torch.save_file({"a": torch.ones(1)}, path)
    refused(lambda: load_run(folder), "changed since result.json was written")
    path.unlink()
    refused(lambda: load_run(folder), "keeps no weights")


# --- files and torchvision's weights --------------------------------------------------------


def test_a_file_is_evaluated_printed_and_written(
    file: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "val").symlink_to(root / "val")
    out = tmp_path / "out.json"
    words = ["--arch", "resnet18-B", "--weights", str(file), "--dataset", "image-folder"]
    words += ["--crop", "32", "--batch-size", "6", "--json", "--out", str(out)]
    assert main(options(tmp_path / "only", *words)) == 0
    shown, progress = capsys.readouterr()
    found = json.loads(shown)
    assert found == json.loads(out.read_text())
    assert found["networks"] == ["resnet18-B"]
    assert found["values"]["images"] == 12
    assert found["settings"]["members"] == [
        {"network": "resnet18-B", "weights": file.name, "sha256": store.file_digest(file)}
    ]
    assert str(tmp_path) not in out.read_text()
    assert found["torchvision"] is None
    assert progress.splitlines() == ["validation images: 6/12", "validation images: 12/12"]


def test_another_mean_is_taken_from_the_training_images(
    file: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--arch", "resnet18-B", "--weights", str(file), "--dataset", "image-folder"]
    words += ["--crop", "32", "--mean", "channel", "--cache-dir", str(tmp_path), "--json"]
    assert main(options(root, *words)) == 0
    shown, said = capsys.readouterr()
    assert json.loads(shown)["settings"]["mean"] == "channel"
    assert "reading all 24 images" in said


@pytest.fixture
def damaged(root: Path, tmp_path: Path) -> Path:
    """The images and, in the first class of each part, one that is none."""
    for part in ("train", "val"):
        shutil.copytree(root / part, tmp_path / "damaged" / part)
        (tmp_path / "damaged" / part / CLASSES[0] / "bad.png").write_bytes(b"no image")
    return tmp_path / "damaged"


@pytest.mark.parametrize("more", [[], ["--bn", "recomputed"], ["--mean", "pixel"]])
def test_files_that_are_no_image_are_fatal_or_left_out(
    more: list[str],
    file: Path,
    root: Path,
    damaged: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Without training images, with them, and where their mean is kept from before."""
    words = ["--arch", "resnet18-B", "--weights", str(file), "--dataset", "image-folder", "--json"]
    words += ["--crop", "32", "--cache-dir", str(tmp_path / "cache"), *more]
    assert main(options(damaged, *words)) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "bad.png" in error
    assert "--corrupt skip" in error
    assert main(options(damaged, *words, "--corrupt", "skip")) == 0
    shown, said = capsys.readouterr()
    read = ["train", "val"] if more else ["val"]
    for part in ("train", "val"):
        name = str(damaged / part / CLASSES[0] / "bad.png")
        assert said.count(name) == read.count(part)
    found = json.loads(shown)
    assert found["execution"]["skipped_images"] == [f"{p}/{CLASSES[0]}/bad.png" for p in read]
    assert found["execution"]["command"].endswith(" --corrupt skip")
    assert main(options(root, *words)) == 0
    whole = json.loads(capsys.readouterr().out)
    assert found["settings"].pop("left_out") == 1
    assert (found["values"], found["settings"]) == (whole["values"], whole["settings"])
    assert whole["execution"]["skipped_images"] == []


def test_several_networks_are_an_ensemble(
    file: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.safetensors"
    safetensors.torch.save_file(trained("plain18", 1), other)
    words = ["--arch", "resnet18-B", "--weights", str(file), "--arch", "plain18"]
    words += ["--weights", str(other), "--dataset", "image-folder", "--crop", "32"]
    assert main(options(root, *words)) == 0
    assert "resnet18-B + plain18" in capsys.readouterr().out


def test_beside_torchvisions_weights_stands_what_it_publishes(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: dict[str, object] = {}
    state = trained("resnet18-B", 0, classes=1000)

    def cached(url: str, **how: object) -> dict[str, Tensor]:
        print("Downloading")  # as torch.hub does, on standard output
        asked.update(how, url=url)
        return state

    def thousand(*args: object, **how: object) -> ImageFolder:
        split = split_from(root / "val", CLASSES)
        return ImageFolder("imagenet", split, split, tuple(str(n) for n in range(1000)))

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", cached)
    monkeypatch.setattr(listing, "validation", thousand)
    request = Request(networks=(("resnet18-B", "torchvision"),), data_root=root)
    steps = Steps(Console(quiet=True))
    shown = evaluation_command.evaluate(request, choose("cpu"), root, steps.say, steps.step)
    columns, (row,) = result_rows(shown)
    found = dict(zip(columns, map(str, row), strict=True))
    told = ResNet18_Weights.IMAGENET1K_V1.meta["_metrics"]["ImageNet-1K"]
    for top, name in (("top-1", "acc@1"), ("top-5", "acc@5")):
        theirs = 100 - told[name]
        assert float(found[f"torchvision {top} (center) %"]) == pytest.approx(theirs)
        difference = float(found[f"{top} error %"]) - theirs
        assert float(found[f"{top} difference"]) == pytest.approx(difference, abs=0.0011)
    assert found["shorter side"] == "256"
    assert asked["weights_only"] is True
    assert asked["check_hash"] is True
    capsys.readouterr()
    words = ["--arch", "resnet18-B", "--weights", "torchvision", "--json"]
    assert main(options(root, *words)) == 0
    published = json.loads(capsys.readouterr().out)["torchvision"]
    assert published["name"] == "IMAGENET1K_V1"


def test_torchvisions_newer_weights_are_tested_at_their_own_size() -> None:
    from resnet_repro.evaluate.imagenet.run import Request

    newer = Published("IMAGENET1K_V2", 19.0, 5.0, 232)
    assert evaluation_command._views(Request(), 224, [newer]).sizes == (232,)
    assert evaluation_command._views(Request(crops="10"), 224, [newer]).sizes == (256,)
    assert evaluation_command._views(Request(), 224, [newer, None]).sizes == (256,)
    assert evaluation_command._views(Request(sizes=(240,)), 224, [newer]).sizes == (240,)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "give networks (--arch and --weights) or recorded runs (--run)"),
        (["--arch", "resnet18-B"], "1 --arch and 0 --weights: give one for each"),
        (["--arch", "resnet18-B", "--weights", "x", "--run", "y"], "or recorded runs"),
        (["--arch", "resnet20", "--weights", "x"], "resnet20 is a CIFAR network"),
        (["--arch", "resnet34", "--weights", "x"], "does not say which shortcut"),
        (["--arch", "alexnet", "--weights", "x"], "unknown network 'alexnet'"),
        (["--arch", "resnet18-B", "--weights", "x.pth"], "no weights file x.pth"),
        (["--arch", "resnet18-B", "--weights", "FILE", "--sizes", "20"], "shorter side 20 is"),
        (["--arch", "resnet18-B", "--weights", "FILE", "--sizes", "a"], "give whole numbers"),
        (["--arch", "resnet18-B", "--weights", "FILE", "--crops", "11"], "'center', '10', 'dense'"),
        (["--arch", "resnet18-B", "--weights", "FILE", "--batch-size", "0"], "--batch-size"),
    ],
)
def test_bad_input_gets_one_line(
    words: list[str], says: str, file: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(file) if word == "FILE" else word for word in words]
    fixed = ["--data-root", str(root), "--crop", "32"]
    if "--run" not in given:
        fixed += ["--dataset", "image-folder"]
    assert says in fails(capsys, *given, *fixed)


def test_data_that_are_not_there(file: Path, tmp_path: Path, capsys: Any) -> None:
    words = ["--arch", "resnet18-B", "--weights", str(file), "--data-root", str(tmp_path)]
    assert "give --data-root DIR with DIR/val/<class>/" in fails(capsys, *words)
    (tmp_path / "val" / "n0").mkdir(parents=True)
    assert "holds no images" in fails(capsys, *words)
    (tmp_path / "val" / "n0" / "a.jpg").write_bytes(b"no image")
    assert "holds 1 classes and 1 validation images" in fails(capsys, *words)
