"""The benchmark's arithmetic against values by hand, its loops, and that it runs."""

from __future__ import annotations

import csv
import dataclasses
import json
import multiprocessing
from pathlib import Path

import pytest
import torch
from rich.console import Console

from benchmarks import cifar, files, images, table
from benchmarks.cifar import OUT
from benchmarks.contestant import OURS, PEER, USUAL, OurLoop, SetUp, answer
from benchmarks.floor import ELEMENT_BYTES, Maps, Rates, Work, conv_bytes, conv_maps, floor
from benchmarks.measure import Account, Measurement, Plan
from benchmarks.overheads import Overheads, measure_overheads, overhead_share
from benchmarks.peer import build_peer, peer_builder
from benchmarks.rates import measure_rates
from benchmarks.source import Source
from benchmarks.summary import Summary, ratios, setup_seconds, spread, summarise
from benchmarks.usual import PILImages, UsualLoop
from resnet_repro.errors import UserError
from resnet_repro.models import build
from resnet_repro.train.device import choose
from resnet_repro.train.recipe import PAPER
from tests.conftest import REPO

SOURCE = Source(train=140, test=20)
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


def plan(out: Path, device: str, peer: Path | None) -> Plan:
    return Plan(
        depths=(8,),
        device=choose(device, threads=1),
        source=SOURCE,
        out=out,
        repeats=2,
        seconds=1.0,
        steps=1,
        workers=0,
        peer=peer,
    )


def measurement(contestant: str, repeat: int, images: int, seconds: float) -> Measurement:
    return Measurement("resnet8", contestant, repeat, 1, images, seconds)


class TestFloor:
    def test_bytes_of_a_convolution(self) -> None:
        # forward 10 + 20; backward 2 * 20 + 10 + 10
        assert conv_bytes([Maps(10, 20)], 1, 1) == 30 + 60

    def test_the_first_convolution_gives_no_input_gradient(self) -> None:
        assert conv_bytes([Maps(10, 20, first=True)], 3, 4) == 12 * (30 + 50)

    def test_maps_of_a_network(self) -> None:
        # ResNet-8: conv1, then two 3x3 convolutions a stage on 32, 16 and 8 pixels.
        one, two, three = 16 * 32 * 32, 32 * 16 * 16, 64 * 8 * 8
        assert conv_maps("resnet8") == [
            Maps(3 * 32 * 32, one, first=True),
            *(Maps(one, one), Maps(one, one)),
            *(Maps(one, two), Maps(two, two)),
            *(Maps(two, three), Maps(three, three)),
        ]

    @pytest.mark.parametrize(
        ("nodes", "seconds", "limit"),
        [(None, 3.0, "memory"), (1, 3.0, "memory"), (50, 5.0, "launches")],
    )
    def test_is_the_largest_time(self, nodes: int | None, seconds: float, limit: str) -> None:
        found = floor(Work(200, 30, nodes), Rates(100.0, 10.0, 0.1))
        assert found.seconds == pytest.approx(seconds)
        assert found.limit == limit

    def test_arithmetic_can_set_it(self) -> None:
        assert floor(Work(200, 1), Rates(100.0, 10.0)).limit == "arithmetic"

    def test_rates_are_measured(self) -> None:
        rates = measure_rates(choose("cpu", threads=1), size=32, megabytes=1, least=1e-4)
        assert rates.multiply_adds_per_second > 0
        assert rates.bytes_per_second > 0
        assert rates.seconds_per_node is None


class TestSummary:
    def test_spread(self) -> None:
        values = spread([3.0, 1.0, 2.0])
        assert dataclasses.astuple(values) == (2.0, 1.0, 3.0)

    def test_ratios_are_taken_within_a_repeat(self) -> None:
        ours = [measurement(OURS, 0, 100, 1.0), measurement(OURS, 1, 100, 2.0)]
        usual = [measurement(USUAL, 1, 100, 4.0), measurement(USUAL, 0, 100, 5.0)]
        assert ratios(ours, usual) == [5.0, 2.0]

    def test_set_up_is_the_first_step_less_a_step(self) -> None:
        assert setup_seconds(3.0, 1.0) == 2.0
        assert setup_seconds(1.0, 1.5) == 0.0

    def test_share_of_overheads(self) -> None:
        # 100 steps of 1 s, a row of 20 s: 120 s; of 33 s every 30 are run, 3 s saved.
        share = overhead_share(Overheads(20.0, 3.0), 1.0, 100, 30.0)
        assert share == pytest.approx(1 - 100 / (120 * 33 / 30))

    def test_ours(self) -> None:
        own = [measurement(OURS, n, 128, s) for n, s in enumerate((1.0, 2.0, 4.0))]
        account = Account("resnet8", OURS, SetUp(10.0, 2.0, 1), 5, None, Overheads(0.0, 30.0))
        work, rates = Work(100, 1), Rates(100.0, 10.0)
        found = summarise(account, own, own, work, rates)
        assert found.images_per_second == 64.0
        assert found.setup_seconds == 8.0
        assert found.run_seconds == 2.0 * PAPER.iterations
        assert (found.floor_seconds, found.fraction_of_floor) == (1.0, 0.5)
        assert found.overhead_paper == pytest.approx(0.5)
        assert found.ratio is None

    def test_another_contestant(self) -> None:
        ours = [measurement(OURS, n, 128, 1.0) for n in range(2)]
        own = [measurement(USUAL, n, 128, s) for n, s in enumerate((2.0, 4.0))]
        account = Account("resnet8", USUAL, SetUp(10.0, 2.0, 1), 5)
        found = summarise(account, own, ours, Work(1, 1), Rates(1.0, 1.0))
        assert (found.ratio_min, found.ratio, found.ratio_max) == (2.0, 3.0, 4.0)
        assert found.fraction_of_floor is None

    def test_out_of_memory_is_told(self) -> None:
        account = Account("resnet8", USUAL, note="out of memory")
        found = summarise(account, [], [], Work(1, 1), Rates(1.0, 1.0))
        assert (found.note, found.images_per_second) == ("out of memory", None)


class TestLoops:
    def test_the_usual_loop_trains(self) -> None:
        loop = UsualLoop(build("resnet8-w2"), SOURCE.load().train, torch.device("cpu"), 0)
        before = [p.detach().clone() for p in loop.model.parameters()]
        assert loop.run(3) == 140 + 128  # the epoch's last batch is what is left of it
        assert loop.loss_sum > 0
        assert not all(
            torch.equal(p, q) for p, q in zip(loop.model.parameters(), before, strict=True)
        )

    def test_its_workers_start_as_a_plain_scripts_do(self) -> None:
        model, split = build("resnet8-w2"), SOURCE.load().train
        method = multiprocessing.get_start_method()
        loop = UsualLoop(model, split, torch.device("cpu"), 1, method)
        assert loop.loader.multiprocessing_context.get_start_method() == method
        loop.settle()
        assert loop.run(1) > 0

    def test_its_images_are_those_of_the_data(self) -> None:
        split = SOURCE.load().train
        pixels, label = PILImages(split)[5]
        assert pixels.shape == (3, 32, 32)
        assert label == split.labels[5]

    def test_ours_counts_images(self) -> None:
        loop = OurLoop("resnet8-w8", SOURCE.load(), choose("cpu", threads=1))
        assert loop.run(2) == 2 * PAPER.batch_size

    def test_overheads_of_a_run(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RESNET_REPRO_COMMIT", "test")
        device = choose("cpu", threads=1)
        found = measure_overheads("resnet8-w8", SOURCE.load(), PAPER, device, tmp_path)
        assert found.row_seconds > 0
        assert found.checkpoint_seconds > 0
        assert list(tmp_path.iterdir()) == []

    def test_errors_of_a_contestant_keep_their_kind(self) -> None:
        def fail(error: Exception) -> object:
            raise error

        assert answer(lambda: 1) == ("value", 1)
        assert answer(lambda: fail(UserError("no"))) == ("user", "no")
        assert answer(lambda: fail(torch.OutOfMemoryError("full")))[0] == "memory"
        assert answer(lambda: fail(KeyError("defect")))[0] == "defect"


class TestPeer:
    def test_builds_its_network(self, fake_peer: Path) -> None:
        model = build_peer(fake_peer, "resnet8")
        assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 10)

    def test_needs_the_function(self, fake_peer: Path) -> None:
        with pytest.raises(UserError, match=r"no function resnet20\(\)"):
            peer_builder(fake_peer, "resnet20")

    def test_needs_a_module(self, fake_peer: Path) -> None:
        with pytest.raises(UserError, match=r"no torch\.nn\.Module"):
            build_peer(fake_peer, "resnet14")

    def test_a_broken_file_is_the_users(self, fake_peer: Path) -> None:
        (fake_peer / "resnet.py").write_text("import nothing_of_this_name")
        with pytest.raises(UserError, match="cannot be loaded"):
            peer_builder(fake_peer, "resnet8")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--depths", "x"], "--depths 'x'"),
        (["--depths", "21"], "6n+2"),
        (["--depths", "50"], "ImageNet depth"),
        (["--depths", "1202", "--device", "cpu"], "on a GPU only"),
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


def test_from_measuring_to_the_table(
    tmp_path: Path, fake_peer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All contestants, each in its process; then files, picture and table."""
    monkeypatch.setenv("RESNET_REPRO_COMMIT", "test")
    out = tmp_path / "out"
    asked = plan(out, "cpu", fake_peer)
    cifar.check(asked, [])
    told: list[str] = []
    monkeypatch.setattr(cifar, "measure_rates", lambda device: Rates(1e9, 1e9))
    cifar.run(asked, told.append)
    assert len(told) == asked.parts
    with (out / "cifar_cpu_measurements.csv").open() as file:
        rows = list(csv.DictReader(file))
    # The order turns round in the second repeat.
    assert [row["contestant"] for row in rows] == [OURS, USUAL, PEER, PEER, USUAL, OURS]
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- bench:start -->\n<!-- bench:end -->\nafter\n")
    cifar.report(out, [readme], Console(quiet=True))
    assert (out / "cifar_cpu.png").stat().st_size > 0
    assert "data-sha256" in (out / "cifar_cpu.svg").read_text()
    text = readme.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "| GPU | ResNet-1202 | ours | not measured |" in text
    assert "network of peer in the usual loop" in text
    assert "random images" in text
    for field in dataclasses.fields(asked.device):
        assert f"{field.name} {getattr(asked.device, field.name)}" in text
    assert str(tmp_path) not in text
    (found,) = files.read(out)
    ours, usual, peer = found.summaries
    assert ours.overhead_paper is not None
    assert usual.ratio is not None
    assert peer.peak_memory_bytes is not None


def test_a_damaged_summary_is_named(tmp_path: Path) -> None:
    summary = Summary("resnet8", OURS, 1, images_per_second=2.0)
    files.write(tmp_path, "cpu", dict.fromkeys(files.MACHINE_KEYS, ""), [], [summary])
    assert files.read(tmp_path)[0].summaries == (summary,)
    path = tmp_path / "cifar_cpu_summary.csv"
    path.write_text(path.read_text().replace("2", "two"))
    with pytest.raises(UserError, match="damaged"):
        files.read(tmp_path)


def test_numbers_in_the_table() -> None:
    assert [table.significant(v) for v in (1234.5, 98.76, 3.14159)] == ["1,230", "98.8", "3.14"]
    assert [table.duration(v) for v in (48.2, 250.0, 73_000.0)] == ["48 s", "4.2 min", "20.3 h"]


@pytest.mark.gpu
def test_on_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESNET_REPRO_COMMIT", "test")
    asked = plan(tmp_path, "cuda", None)
    cifar.check(asked, [])
    rates = measure_rates(asked.device, size=256, megabytes=8, least=1e-3)
    assert rates.seconds_per_node is not None
    monkeypatch.setattr(cifar, "measure_rates", lambda device: rates)
    cifar.run(asked, lambda text: None)
    ours = files.read(tmp_path)[0].summaries[0]
    assert ours.nodes is not None
    assert ours.nodes > 0
    assert ours.peak_memory_bytes is not None
    assert ELEMENT_BYTES[asked.device.precision] in (2, 4)


def between(path: Path, name: str) -> str:
    """What a page shows between its markers of that name."""
    return path.read_text().split(f"<!-- {name}:start -->")[1].split(f"<!-- {name}:end -->")[0]


def test_the_pages_show_what_was_measured() -> None:
    """Tables in README and docs are those of the committed measurements."""
    measured = table.markdown(files.read(OUT))
    assert between(REPO / "README.md", "bench").strip() == measured.strip()
    kernels = (OUT / "kernels.md").read_text()
    assert between(REPO / "docs" / "performance.md", "kernels").strip() == kernels.strip()
    photographs = images.markdown(json.loads((OUT / "images.json").read_text()))
    assert between(REPO / "docs" / "performance.md", "images").strip() == photographs.strip()
