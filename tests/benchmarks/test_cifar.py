"""The benchmarks' arithmetic against values by hand, their loops, and that they run."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from benchmarks import cifar, contest, images_table, kernels, machine, tables
from benchmarks.contest import OURS, PEER, USUAL, Plan, Row
from benchmarks.loops import OurLoop, PILImages, Source, UsualLoop, build_peer
from benchmarks.machine import OUT, Machine, Result
from resnet_repro.errors import UserError
from resnet_repro.kernels import available
from resnet_repro.models import build
from resnet_repro.runtime.device import choose
from resnet_repro.train.recipe import PAPER
from tests.conftest import REPO

SOURCE = Source(train=140)
HERE = Machine("cpu", "Some(R) Processor @ 2", ("AVX2", "bf16"), "fp32", 2, "2.9")
FACTS = {"images": "CIFAR-10", "recipe_version": 7, "bn_batch": 32, "started": "2026-01-02T00"}
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


def plan(device: str = "cpu", peer: Path | None = None) -> Plan:
    chosen = choose(device, threads=1)
    return Plan((8,), chosen, SOURCE, repeats=2, seconds=0.001, workers=1, peer=peer)


def result(*rows: Row) -> Result:
    return Result(HERE, FACTS, [dataclasses.asdict(row) for row in rows])


def test_the_short_table_has_a_row_a_machine() -> None:
    rows = [Row("resnet20", OURS, (1234.5, 1234.5)), Row("resnet20", USUAL, (500.0, 1000.0))]
    text = tables.short([result(*rows, Row("resnet110", OURS, note="out of memory"))] * 2)
    line = (
        "| Some(R) Processor @ 2 | AVX2, bf16 | fp32 | 2 | 2.9 | 1,230, 1.85 times |  | "
        "out of memory | CIFAR-10, recipe version 7 (normalisation over 32 images), 2026-01-02 |\n"
    )
    assert text.count(line) == 2
    assert text.endswith("Not measured yet: a GPU.\n")


def test_the_full_tables_ratios_are_taken_within_a_repeat() -> None:
    ours = Row("resnet20", OURS, (4.0, 2.0, 3.0), 1.25, 3 << 20)
    first, second = tables.cells(result(ours, Row("resnet20", USUAL, (1.0, 1.0, 2.0))))
    assert first == ("ResNet-20", OURS, "3 (2 to 4)", "", "3 MiB", "1.2 s")
    assert second[3:] == ("2.00 (1.50 to 4.00)", "", "")


def test_machines_are_kept_side_by_side(tmp_path: Path) -> None:
    assert HERE.slug == "some-processor-2-avx2-bf16-fp32-2-threads"
    other = Result(dataclasses.replace(HERE, instruction_sets=("AVX512",)), FACTS, [])
    path = machine.write(tmp_path, "cifar", result())
    machine.write(tmp_path, "cifar", other)
    assert machine.read(tmp_path, "cifar") == [result(), other]
    path.write_text(path.read_text().replace("threads", "thread"))
    with pytest.raises(UserError, match="damaged"):
        machine.read(tmp_path, "cifar")


def test_the_usual_loop_trains() -> None:
    split = SOURCE.load().train
    loop = UsualLoop(build("resnet8-w2"), split, torch.device("cpu"), 0)
    before = [p.detach().clone() for p in loop.model.parameters()]
    assert loop.run(3) == 140 + 128  # the epoch's last batch is what is left of it
    assert loop.loss_sum > 0
    assert not any(torch.equal(p, q) for p, q in zip(loop.model.parameters(), before, strict=True))
    pixels, label = PILImages(split)[5]
    assert (pixels.shape, label) == ((3, 32, 32), split.labels[5])


def test_ours_counts_images() -> None:
    loop = OurLoop("resnet8-w8", SOURCE.load(), choose("cpu", threads=1))
    assert loop.run(2) == 2 * PAPER.batch_size
    assert not loop.trainer.warming


def test_a_peers_network(fake_peer: Path) -> None:
    assert build_peer(fake_peer, "resnet8")(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    with pytest.raises(UserError, match=r"resnet20\(\) of resnet.py fails"):
        build_peer(fake_peer, "resnet20")
    with pytest.raises(UserError, match=r"no torch\.nn\.Module"):
        build_peer(fake_peer, "resnet14")
    (fake_peer / "resnet.py").write_text("import nothing_of_this_name")
    with pytest.raises(UserError, match="cannot be loaded"):
        build_peer(fake_peer, "resnet8")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--depths x", "--depths 'x'"),
        ("--depths 21", "6n+2"),
        ("--depths 50", "ImageNet depth"),
        ("--device tpu", "unknown device 'tpu'"),
        ("--peer /nowhere", "there is no resnet.py"),
        ("--data-root /nowhere", "/nowhere"),
        ("--readme /nowhere", "cannot read"),
        ("--readme README", "needs one line"),
        ("--repeats 0", "repeats"),
        ("--unknown", "unknown"),
    ],
)
def test_bad_input_is_one_line(
    arguments: str,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("README").write_text("no markers")
    assert cifar.main(arguments=[*arguments.split(), "--out", "out"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert words in error


def test_contestants_take_turns(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    here = threading.local()  # a contestant's thread stands for its process

    def set_up(_plan: Plan, _network: str, contestant: str) -> tuple[float, int]:
        here.contestant = contestant
        return 2.5, 7

    def rate(steps: int) -> float:
        if here.contestant == PEER:
            raise torch.OutOfMemoryError
        return 8.0 * steps

    monkeypatch.setattr(contest, "ProcessPoolExecutor", lambda *_: ThreadPoolExecutor(1))
    monkeypatch.setattr(contest, "_set_up", set_up)
    monkeypatch.setattr(contest, "_rate", rate)
    monkeypatch.setattr(contest, "_peak_memory", lambda: 9)
    told: list[str] = []
    ours, usual, peer = contest.measure(plan(peer=tmp_path), told.append)
    assert ours == Row("resnet8", OURS, (56.0, 56.0), 2.5, 9)
    assert usual == dataclasses.replace(ours, contestant=USUAL)
    assert peer == Row("resnet8", PEER, note="out of memory")
    turns = [line.split(": ")[1].split(",")[0] for line in told[3:]]
    assert turns == [OURS, USUAL, PEER, USUAL, OURS]


def _start_method() -> str:
    return multiprocessing.get_start_method()


@pytest.mark.slow
def test_the_usual_loops_workers_start_as_a_plain_scripts_do(tmp_path: Path) -> None:
    """Though the contestant's process is spawned, and its children would be, too."""
    spawn, plain = multiprocessing.get_context("spawn"), multiprocessing.get_start_method()
    with ProcessPoolExecutor(1, spawn, contest._begin, (str(tmp_path), 1, plain)) as pool:
        assert pool.submit(_start_method).result() == plain


@pytest.mark.slow
def test_from_measuring_to_the_tables(
    tmp_path: Path, fake_peer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All contestants, each in its process."""
    monkeypatch.setenv("RESNET_REPRO_COMMIT", "test")
    found = cifar.run(plan(peer=fake_peer), lambda text: None)
    machine.write(tmp_path, "cifar", found)
    rows = [tables.row(row) for row in found.rows]
    assert [row.contestant for row in rows] == [OURS, USUAL, PEER]
    assert all(len(row.rates) == 2 and min(row.rates) > 0 for row in rows)
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- bench:start -->\n<!-- bench:end -->\nafter\n")
    cifar.report(tmp_path, [readme])
    assert found.machine.torch in between(readme, "bench")
    text = (tmp_path / "cifar.md").read_text()
    assert "random images" in text
    assert str(tmp_path) not in text


@pytest.mark.skipif(not available(), reason="the CPU kernels are not built")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_operations(precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "STAGES", ((2, 8, 8),))
    options = ["--precision", precision, "--repeats", "1", "--seconds", "0.001"]
    assert cifar.main(kernels.app, [*options, "--out", str(tmp_path)]) == 0
    (found,) = machine.read(tmp_path, "kernels")
    assert found.machine.precision == precision
    assert [row["operation"] for row in found.rows] == ["convolution", "normalisation"]
    assert (tmp_path / "kernels.md").read_text() == kernels.markdown([found])


@pytest.mark.gpu
def test_on_a_gpu() -> None:
    found = cifar.run(plan("cuda"), lambda text: None)
    assert found.machine.instruction_sets[0].startswith("sm_")
    assert all(tables.row(row).peak_memory_bytes for row in found.rows)


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
    photographs = images_table.markdown(json.loads((OUT / "images.json").read_text()))
    assert between(REPO / "docs" / "performance.md", "images").strip() == photographs.strip()
