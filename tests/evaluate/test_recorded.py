"""Recorded CIFAR nets: tested again, loaded with their preprocessing, exported, pushed."""

from __future__ import annotations

import base64
import importlib.util
import json
import math
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor

from resnet_repro import paths
from resnet_repro.cli import main
from resnet_repro.data import load
from resnet_repro.data.dataset import Dataset
from resnet_repro.data.in_memory import InMemoryLoader
from resnet_repro.data.means import FILE, mean_of, write_means
from resnet_repro.evaluate.export import export, load_exported, push
from resnet_repro.evaluate.imagenet import weights
from resnet_repro.evaluate.recorded import (
    Classifier,
    Preprocessing,
    load_network,
    load_recorded,
    networks_kept,
)
from resnet_repro.records import store
from resnet_repro.records.datasets import DATASETS
from tests.conftest import REAL_CIFAR10, REPO, refused
from tests.helpers.digits_runs import train_on_digits

RESNET20 = paths.RECORDED / "cifar10" / "resnet20" / "short" / "seed0"


@pytest.fixture(scope="module")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on the digits that keeps its weights."""
    runs = train_on_digits(tmp_path_factory.mktemp("runs"), ["resnet8"])
    return runs / "resnet8" / "smoke" / "seed0"


def error(net: Classifier, data: Dataset) -> float:
    """In %, of the test images as they lie on disk."""
    wrong = net(torch.from_numpy(data.test.images)).argmax(1) != torch.from_numpy(data.test.labels)
    return float(100 * wrong.float().mean())


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 1, 32, 32), (2, 3, 64, 64)])
def test_images_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"\(N, 3, 32, 32\) is what this net takes"):
        Preprocessing(torch.zeros(3, 32, 32))(torch.zeros(shape))


# Tested again


def test_evaluate_gives_the_recorded_error(
    digits_run: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    before = sorted(path for path in digits_run.rglob("*"))
    words = ["evaluate", "--run", str(digits_run), "--device", "cpu", "--json"]
    assert main([*words, "--out", str(tmp_path / "out.json")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert json.loads((tmp_path / "out.json").read_text()) == found
    [told] = found["tested"]
    recorded = weights.finished_run(digits_run).result.half_precision_test_error
    assert told["recorded_test_error"] == recorded
    assert told["test_error"] == pytest.approx(recorded, abs=1e-9)
    assert told["images"] == len(load("digits").test)
    assert sorted(path for path in digits_run.rglob("*")) == before


@pytest.mark.parametrize(
    "words",
    [
        ["--crops", "10"], ["--sizes", "256"], ["--crop", "224"], ["--bn", "recomputed"],
        ["--mean", "pixel"], ["--dataset", "imagenet"], ["--corrupt", "skip"],
        ["--precision", "bf16"],
    ],
)  # fmt: skip
def test_what_is_of_photographs_alone_is_refused(
    words: list[str], digits_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "--run", str(digits_run), *words]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {words[0]} goes with photographs")
    assert said.count("\n") == 1


def test_a_run_is_found_by_its_name(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["export", "cifar10/resnet20/short/seed0", "--out", str(tmp_path / "x")]) == 0
    assert main(["export", "cifar10/resnet21/short/seed0", "--out", str(tmp_path / "y")]) == 2
    said = capsys.readouterr().err
    assert "cifar10/resnet21/short/seed0 is no recorded run: give a folder" in said
    assert "a name such as cifar10/resnet20/short/seed0" in said


@pytest.mark.skipif(not REAL_CIFAR10.is_dir(), reason="CIFAR-10 is not here")
@pytest.mark.slow
def test_a_committed_net_has_its_recorded_error_on_cifar_10() -> None:
    """From the bytes of the images, which also tests the kept mean image."""
    data = load("cifar10", REAL_CIFAR10)
    net = load_network("resnet20")
    with torch.no_grad():
        found = error(net, data)
    folder = paths.RECORDED / net.run
    recorded = weights.finished_run(folder).result.half_precision_test_error
    assert found == pytest.approx(recorded, abs=0.02)  # one image or two at the border


# Preprocessing


@pytest.mark.parametrize("kind", ["pixel", "channel", "channel-std"])
def test_preprocessing_is_that_of_training(kind: str, digits: Dataset) -> None:
    source = InMemoryLoader(
        digits, seed=0, batch_size=8, pad=1, flip=False, mean=kind, device=torch.device("cpu")
    )
    expected, _ = next(source.test_batches())
    found = Preprocessing(*mean_of("digits", digits.digest, kind))
    images = torch.from_numpy(digits.test.images[: len(expected)])
    assert torch.equal(found(images), expected)
    assert torch.equal(found(images.float()), expected)


def test_another_copy_of_the_data_is_refused() -> None:
    refused(lambda: mean_of("digits", "0" * 64, "pixel"), "another copy of digits", "--data-root")


@pytest.mark.skipif(not REAL_CIFAR10.is_dir(), reason="CIFAR-10 is not here")
@pytest.mark.slow
def test_the_kept_mean_is_cifar_10s(tmp_path: Path) -> None:
    write_means(load("cifar10", REAL_CIFAR10), tmp_path / "means")
    assert (tmp_path / "means").read_bytes() == FILE.read_bytes()


# torch.hub


def test_the_hub_lists_what_the_records_keep() -> None:
    found = importlib.util.spec_from_file_location("hubconf", REPO / "hubconf.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    listed = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
    assert sorted(listed) == sorted(networks_kept())
    assert len(listed) > 0
    for name in module.dependencies:
        assert importlib.util.find_spec(name) is not None


def test_the_hub_loads_a_net_with_weights_and_preprocessing() -> None:
    net = torch.hub.load(str(REPO), "plain20", source="local")
    assert not net.training
    assert net.run == "cifar10/plain20/paper/seed0"  # the paper's protocol goes before others
    kept = safetensors.torch.load_file(paths.RECORDED / net.run / "weights.safetensors")
    state = net.network.state_dict()
    assert all(torch.equal(state[name], tensor.float()) for name, tensor in kept.items())
    assert net.preprocessing.mean.shape == (3, 32, 32)
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    assert net(images).shape == (2, len(net.classes))


def test_what_is_not_kept_is_named() -> None:
    refused(lambda: load_network("resnet110"), "no weights of resnet110", "resnet32: short")
    refused(lambda: load_network("resnet20", "nosuch"), "resnet20 under protocol nosuch")


# Export


def test_an_exported_net_is_the_recorded_one(digits_run: Path, tmp_path: Path) -> None:
    target = export(digits_run, tmp_path / "net")
    assert sorted(p.name for p in target.iterdir()) == [
        "README.md", "config.json", "model.safetensors",
    ]  # fmt: skip
    assert [p.name for p in tmp_path.iterdir()] == ["net"]
    stored = safetensors.torch.load_file(target / "model.safetensors")
    assert all(t.dtype != torch.float16 for t in stored.values())
    data = load("digits")
    recorded = weights.finished_run(digits_run).result.half_precision_test_error
    with torch.no_grad():
        a, b = error(load_recorded(digits_run), data), error(load_exported(target), data)
    assert a == b == pytest.approx(recorded, abs=1e-4)


def test_the_card_is_made_from_the_record(tmp_path: Path) -> None:
    from huggingface_hub import ModelCard

    record = weights.finished_run(RESNET20)
    target = export(RESNET20, tmp_path / "net")
    card = ModelCard.load(target / "README.md")
    assert card.data.license == "mit"
    assert card.data.datasets == ["uoft-cs/cifar10"]
    results = {r.metric_type: r.metric_value for r in card.data.eval_results or ()}
    error = record.result.half_precision_test_error
    assert error is not None
    assert results == {"error": error, "accuracy": pytest.approx(100 - error)}
    for told in (
        f"{error:.2f} %",
        "n = 1, seed 0",
        "short: 8,000 of the paper's 64,000 iterations, each of 128 images",
        record.execution.commit,
        record.execution.device_name,
        record.execution.command,
        DATASETS["cifar10"].digest,
        "| bn_batch | 128 |",
    ):
        assert told in card.content


def test_the_cards_snippet_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = export(RESNET20, tmp_path / "net")
    code = (target / "README.md").read_text().split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(target)
    names: dict[str, object] = {}
    exec(compile(code, "snippet", "exec"), names)
    assert isinstance(names["net"], Classifier)


def test_nothing_is_written_over_or_by_halves(
    digits_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "mine").write_text("mine")
    refused(lambda: export(digits_run, tmp_path / "net"), "is there already")
    assert [p.name for p in (tmp_path / "net").iterdir()] == ["mine"]

    def broken(*words: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", broken)
    with pytest.raises(KeyboardInterrupt):
        export(digits_run, tmp_path / "other")
    assert [p.name for p in tmp_path.iterdir()] == ["net"]


DAMAGES: dict[str, Callable[[dict[str, Tensor]], dict[str, Tensor]]] = {
    "not finite": lambda state: {**state, "fc.weight": state["fc.weight"] * math.nan},
    "negative": lambda state: {**state, "bn1.running_var": -1 - state["bn1.running_var"]},
    "whole numbers": lambda state: {**state, "fc.weight": state["fc.weight"].to(torch.int8)},
    "does not fit": lambda state: {
        **state, "fc.weight": state["fc.weight"][:7], "fc.bias": state["fc.bias"][:7],
    },
    "does not fit resnet8-w4": lambda state: {**state, "fc.bias": state["fc.bias"].sum()},
}  # fmt: skip


@pytest.mark.parametrize("says", DAMAGES)
def test_damaged_weights_are_not_exported(digits_run: Path, tmp_path: Path, says: str) -> None:
    """Also where the record's digest was made to fit them."""
    folder = tmp_path / digits_run.relative_to(digits_run.parents[3])
    shutil.copytree(digits_run, folder)
    path = folder / "weights.safetensors"
    safetensors.torch.save_file(DAMAGES[says](safetensors.torch.load_file(path)), path)
    result = json.loads((folder / "result.json").read_text())
    result["files"][path.name] = store.file_digest(path)
    (folder / "result.json").write_text(json.dumps(result))
    refused(lambda: export(folder, tmp_path / "net"), str(path), says)
    assert not (tmp_path / "net").exists()


@pytest.mark.parametrize(
    "change",
    [{"bn_eps": -1.0}, {"bn_eps": 1e30}, {"classes": []}, {"pixels": "0 ... 1"}, {"more": 1},
     {"classes": ["a"] * 9}, {"network": "resnet14-w4"}],
)  # fmt: skip
def test_a_changed_config_is_refused(
    digits_run: Path, tmp_path: Path, change: dict[str, object]
) -> None:
    path = export(digits_run, tmp_path / "net") / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    refused(lambda: load_exported(tmp_path / "net"), str(tmp_path / "net"))


@pytest.mark.parametrize("name", ["", "nonsense", "a/b/c", "a/ b"])
def test_a_name_that_is_none_on_the_hub(
    digits_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    words = ["export", str(digits_run), "--out", str(tmp_path / "net"), "--push", name]
    assert main(words) == 2
    assert "give OWNER/NAME" in capsys.readouterr().err
    assert not (tmp_path / "net").exists()


def test_a_photograph_net_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    name = "imagenette/resnet18-A/imagenette/seed0"
    assert main(["export", name]) == 2
    assert "is a run of resnet18-A: give one of a CIFAR network" in capsys.readouterr().err


# The hub


class _Hub(BaseHTTPRequestHandler):
    """As much of the hub's interface as one commit takes; what comes is kept on the server."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        server = self.server
        assert isinstance(server, _Server)
        if server.refuses:
            self._answer(403, {"error": "no right to write there"})
        elif self.path == "/api/repos/create":
            server.made = json.loads(body)
            self._answer(200, {"url": f"{server.address}/me/net"})
        elif self.path == "/api/validate-yaml":
            self._answer(200, {"errors": [], "warnings": []})
        elif self.path.endswith("/preupload/main"):
            files = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False}
                for f in json.loads(body)["files"]
            ]
            self._answer(200, {"files": files})
        elif self.path.endswith("/commit/main"):
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    server.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            url = f"{server.address}/me/net/commit/{'0' * 40}"
            self._answer(200, {"commitUrl": url, "commitOid": "0" * 40, "success": True})
        else:
            self._answer(404, {"error": self.path})

    def do_GET(self) -> None:
        self._answer(404, {"error": "nothing there"})

    def _answer(self, status: int, value: object) -> None:
        text = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *words: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Hub)
        self.made: dict[str, object] = {}
        self.files: dict[str, bytes] = {}
        self.refuses = False

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Server]:
    from huggingface_hub import HfApi

    server = _Server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name in [n for n in os.environ if n.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    made = HfApi(endpoint=server.address, token="hf_of_nobody")
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: made)
    yield server
    server.shutdown()
    server.server_close()


def test_push_uploads_what_was_exported(hub: _Server, digits_run: Path, tmp_path: Path) -> None:
    target = export(digits_run, tmp_path / "net")
    assert push(target, "me/net").startswith(hub.address)
    assert hub.made["name"] == "net"
    assert hub.files == {path.name: path.read_bytes() for path in target.iterdir()}


def test_what_the_hub_refuses_is_one_line(hub: _Server, digits_run: Path, tmp_path: Path) -> None:
    target = export(digits_run, tmp_path / "net")
    hub.refuses = True
    refused(lambda: push(target, "me/net"), "cannot push to me/net", "no right to write there")
    refused(lambda: push(target, "no name"), "cannot push to no name")
    hub.shutdown()
    hub.server_close()
    refused(lambda: push(target, "me/net"), "cannot push to me/net", str(target))
