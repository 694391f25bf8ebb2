"""The benchmarks' arithmetic against values by hand, their loops, and that they run."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import cifar, contest, images, kernels, machine, tables
from benchmarks.contest import OURS, PEER, USUAL, Plan, Row
from benchmarks.loops import OurLoop, PILImages, Source, UsualLoop, build_peer, peer_builder
from benchmarks.machine import OUT, Machine, Result
from resnet_repro.errors import UserError
from resnet_repro.kernels import available
from resnet_repro.models import build
from resnet_repro.train.device import choose
from resnet_repro.train.recipe import PAPER
from tests.conftest import REPO

SOURCE = Source(train=140, test=20)
HERE = Machine("cpu", "Some(R) Processor @ 2", ("AVX2", "bf16"), "fp32", 2, "2.9")
FACTS = {
    **{"cores": 2, "commit": "c" * 40, "dirty": False, "started": "2026-01-02T00:00:00Z"},
    **{"recipe_version": 7, "bn_batch": 32, "images": "CIFAR-10", "repeats": 2, "seconds": 1.0},
    **{"switches": {"kernels": True}, "workers": 3, "peer": None},
}
FAKE_PEER = """
from torch import nn

def resnet8():
    return nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(4, 10))

def resnet14():
    return "no module"
"""

pytestmark = pytest.mark.usefixtures("_one_thread")


@pytest.fixture
def fake_peer(tmp_path: Path) -> Path:
    folder = tmp_path / "peer"
    folder.mkdir()
    (folder / "resnet.py").write_text(FAKE_PEER)
    return folder


def plan(device: str = "cpu", peer: Path | None = None, workers: int = 0) -> Plan:
    chosen = choose(device, threads=1)
    return Plan((8,), chosen, SOURCE, repeats=2, seconds=0.001, workers=workers, peer=peer)


class TestTables:
    def test_ratios_are_taken_within_a_repeat(self) -> None:
        ours, usual = Row("resnet20", OURS, (10.0, 40.0, 60.0)), Row("resnet20", USUAL, (5.0, 10.0))
        assert tables.ratios(ours, usual) == [2.0, 4.0]

    def test_a_row_a_machine(self) -> None:
        rows = [Row("resnet20", OURS, (1234.5, 1234.5)), Row("resnet20", USUAL, (500.0, 1000.0))]
        rows += [Row("resnet110", OURS, note="out of memory")]
        result = Result(HERE, FACTS, [dataclasses.asdict(row) for row in rows])
        text = tables.short([result, result])
        line = (
            "| Some(R) Processor @ 2 | AVX2, bf16 | fp32 | 2 | 2.9 | 1,230, 1.85 times |  | "
            "out of memory | CIFAR-10, recipe version 7 (normalisation over 32 images), "
            "2026-01-02 |\n"
        )
        assert text.count(line) == 2
        assert text.endswith("Not measured yet: a GPU.\n")

    def test_all_that_was_measured(self) -> None:
        ours = Row("resnet20", OURS, (4.0, 2.0, 3.0), 1.25, 3 << 20)
        usual = Row("resnet20", USUAL, (1.0, 1.0, 2.0), 0.0, 1 << 20)
        first, second = tables.cells(
            Result(HERE, FACTS, [dataclasses.asdict(row) for row in (ours, usual)])
        )
        assert first == ("ResNet-20", OURS, "3 (2 to 4)", "", "3 MiB", "1.2 s")
        assert second[3] == "2.00 (1.50 to 4.00)"

    def test_three_digits_count(self) -> None:
        shown = [tables.significant(v) for v in (1234.5, 98.76, 3.14159)]
        assert shown == ["1,230", "98.8", "3.14"]

    def test_machines_are_kept_side_by_side(self, tmp_path: Path) -> None:
        assert HERE.slug == "some-processor-2-avx2-bf16-fp32-2-threads"
        other = dataclasses.replace(HERE, instruction_sets=("AVX512",))
        results = [Result(HERE, FACTS, []), Result(other, FACTS, [])]
        for result in results:
            machine.write(tmp_path, "cifar", result)
        assert machine.read(tmp_path, "cifar") == results  # by name: avx2, avx512

    def test_a_damaged_file_is_named(self, tmp_path: Path) -> None:
        path = machine.write(tmp_path, "cifar", Result(HERE, FACTS, []))
        path.write_text(path.read_text().replace("threads", "thread"))
        with pytest.raises(UserError, match="damaged"):
            machine.read(tmp_path, "cifar")


class TestLoops:
    def test_the_usual_loop_trains(self) -> None:
        loop = UsualLoop(build("resnet8-w2"), SOURCE.load().train, torch.device("cpu"), 0)
        before = [p.detach().clone() for p in loop.model.parameters()]
        assert loop.run(3) == 140 + 128  # the epoch's last batch is what is left of it
        assert loop.loss_sum > 0
        assert not all(
            torch.equal(p, q) for p, q in zip(loop.model.parameters(), before, strict=True)
        )

    def test_its_images_are_those_of_the_data(self) -> None:
        split = SOURCE.load().train
        pixels, label = PILImages(split)[5]
        assert pixels.shape == (3, 32, 32)
        assert label == split.labels[5]

    def test_ours_counts_images(self) -> None:
        loop = OurLoop("resnet8-w8", SOURCE.load(), choose("cpu", threads=1))
        assert loop.run(2) == 2 * PAPER.batch_size
        assert not loop.trainer.warming


class TestPeer:
    def test_builds_its_network(self, fake_peer: Path) -> None:
        model = build_peer(fake_peer, "resnet8")
        assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 10)

    def test_what_is_wrong_with_it_is_said(self, fake_peer: Path) -> None:
        with pytest.raises(UserError, match=r"no function resnet20\(\)"):
            peer_builder(fake_peer, "resnet20")
        with pytest.raises(UserError, match=r"no torch\.nn\.Module"):
            build_peer(fake_peer, "resnet14")
        (fake_peer / "resnet.py").write_text("import nothing_of_this_name")
        with pytest.raises(UserError, match="cannot be loaded"):
            peer_builder(fake_peer, "resnet8")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--depths", "x"], "--depths 'x'"),
        (["--depths", "21"], "6n+2"),
        (["--depths", "50"], "ImageNet depth"),
        (["--device", "tpu"], "unknown device 'tpu'"),
        (["--peer", "/nowhere"], "there is no resnet.py"),
        (["--data-root", "/nowhere"], "/nowhere"),
        (["--readme", "/nowhere"], "cannot read"),
        (["--readme", "README"], "needs one line"),
        (["--repeats", "0"], "repeats"),
        (["--unknown"], "unknown"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("README").write_text("no markers")
    assert cifar.main(arguments=[*arguments, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert words in error


def _start_method() -> str:
    return multiprocessing.get_start_method()


@pytest.mark.slow
def test_the_usual_loops_workers_start_as_a_plain_scripts_do(tmp_path: Path) -> None:
    """Though the contestant's process is spawned, and its children would be, too."""
    spawn, plain = multiprocessing.get_context("spawn"), multiprocessing.get_start_method()
    with ProcessPoolExecutor(1, spawn, contest._begin, (str(tmp_path), 1, plain)) as pool:
        assert pool.submit(_start_method).result() == plain


class InThisProcess:
    """Stands in for a pool of one process; a contestant of `full` does not fit into memory."""

    full = ""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __enter__(self) -> InThisProcess:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def shutdown(self) -> None:
        pass

    def submit(self, function: Any, *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        if function is contest._set_up:
            self.name = arguments[2]
        if function is contest._rate and self.name == self.full:
            future.set_exception(torch.OutOfMemoryError("full"))
        else:
            future.set_result({"_set_up": (3.0, 0.5), "_rate": 64.0}.get(function.__name__, 9))
        return future


def test_contestants_take_turns(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(contest, "ProcessPoolExecutor", InThisProcess)
    told: list[str] = []
    asked = plan(peer=tmp_path)
    rows = contest.measure(asked, told.append)
    assert len(told) == asked.parts
    order = [line.split(": ")[1].split(",")[0] for line in told]
    assert order == [*[OURS, USUAL, PEER] * 2, PEER, USUAL, OURS]
    assert rows[0] == Row("resnet8", OURS, (64.0, 64.0), 2.5, 9)

    monkeypatch.setattr(InThisProcess, "full", USUAL)
    rows = contest.measure(asked, told.append)
    assert rows[1] == Row("resnet8", USUAL, note="out of memory")
    assert [len(row.rates) for row in rows] == [2, 0, 2]


@pytest.mark.slow
def test_from_measuring_to_the_tables(
    tmp_path: Path, fake_peer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All contestants, each in its process, the usual loop with a worker of its own."""
    monkeypatch.setenv("RESNET_REPRO_COMMIT", "test")
    result = cifar.run(plan(peer=fake_peer, workers=1), lambda text: None)
    machine.write(tmp_path, "cifar", result)
    rows = [tables.row(found) for found in result.rows]
    assert [row.contestant for row in rows] == [OURS, USUAL, PEER]
    assert all(len(row.rates) == 2 and min(row.rates) > 0 for row in rows)
    assert all(row.peak_memory_bytes is not None for row in rows)
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- bench:start -->\n<!-- bench:end -->\nafter\n")
    cifar.report(tmp_path, [readme])
    assert readme.read_text().startswith("before\n")
    assert result.machine.torch in between(readme, "bench")
    text = (tmp_path / "cifar.md").read_text()
    assert "the checkout `peer`" in text
    assert "random images" in text
    assert str(tmp_path) not in text


@pytest.mark.skipif(not available(), reason="the CPU kernels are not built")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_operations(
    precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: object
) -> None:
    monkeypatch.setattr(kernels, "STAGES", ((2, 8, 8),))
    options = ["--precision", precision, "--repeats", "1", "--seconds", "0.001"]
    assert cifar.main(kernels.app, [*options, "--out", str(tmp_path)]) == 0
    (result,) = machine.read(tmp_path, "kernels")
    assert result.machine.precision == precision
    assert [row["operation"] for row in result.rows] == ["convolution", "normalisation"]
    assert (tmp_path / "kernels.md").read_text() == kernels.markdown([result])


@pytest.mark.gpu
def test_on_a_gpu() -> None:
    result = cifar.run(plan("cuda"), lambda text: None)
    assert result.machine.instruction_sets[0].startswith("sm_")
    assert all(tables.row(found).peak_memory_bytes for found in result.rows)


def between(path: Path, name: str) -> str:
    """What a page shows between its markers of that name."""
    return path.read_text().split(f"<!-- {name}:start -->")[1].split(f"<!-- {name}:end -->")[0]


def test_the_pages_show_what_was_measured() -> None:
    """Tables in README and docs are those of the committed measurements."""
    measured = machine.read(OUT, "cifar")
    for readme in ("README.md", "README.zh-CN.md"):
        assert between(REPO / readme, "bench").strip() == tables.short(measured).strip()
    assert (OUT / "cifar.md").read_text() == tables.full(measured)
    assert (OUT / "kernels.md").read_text() == kernels.markdown(machine.read(OUT, "kernels"))
    photographs = images.markdown(json.loads((OUT / "images.json").read_text()))
    assert between(REPO / "docs" / "performance.md", "images").strip() == photographs.strip()
