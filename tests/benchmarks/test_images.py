"""The pipelines' benchmark: what it measures is what it says, and bad input gets one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks import images, images_table
from benchmarks.cifar import main
from benchmarks.decoders import OURS as OUR_DECODER
from benchmarks.decoders import PILLOW, WAYS, compare
from benchmarks.images import (
    ENLARGED,
    OURS,
    PAPER_VIEWS,
    PIPELINES,
    REFERENCE,
    Plan,
    described,
    enlarged,
    measure,
)
from resnet_repro.data.imagefolder.decode import read_image
from resnet_repro.data.imagefolder.listing import load
from tests.helpers.photographs import make_imagenette

pytestmark = pytest.mark.usefixtures("_one_thread")


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    data = load("image-folder", make_imagenette(tmp_path / "photographs", train=2, val=1))
    return Plan(data, crop=28, batch_size=6, workers=0, repeats=2, seconds=0.01, compared=5)


@pytest.mark.parametrize("name", PIPELINES)
def test_every_pipeline_gives_batches_without_end(plan: Plan, name: str) -> None:
    batches = PIPELINES[name](plan)
    seen = []
    for _ in range(8):  # more than an epoch
        x, labels = next(batches)
        assert x.shape == (len(labels), 3, 28, 28)
        assert x.dtype == torch.float32
        seen += labels.tolist()
    assert set(seen) == set(range(10))


def test_measuring(plan: Plan) -> None:
    told: list[str] = []
    threads = torch.get_num_threads()
    measured = measure(plan, told.append)
    assert torch.get_num_threads() == threads
    rates = measured["images_per_second_and_core"]
    assert list(rates) == list(PIPELINES)
    assert all(len(found) == 2 and min(found) > 0 for found in rates.values())
    names = [line.split(", repeat")[0] for line in told]
    assert names == [*PIPELINES, *reversed(PIPELINES), "decoders"]
    text = json.dumps(described(plan, [measured]))
    assert str(plan.data.train.root) not in text
    assert plan.data.digest in text


def test_enlarged_photographs(plan: Plan, tmp_path: Path) -> None:
    data = enlarged(plan.data, 10, tmp_path / "larger")
    assert data.train.labels.tolist() == list(range(10))
    for path in data.train.paths:
        assert min(read_image(data.train.root / path).size) == ENLARGED[0]


def test_how_far_decoders_are_apart(plan: Plan) -> None:
    images = [(plan.data.train.root / path).read_bytes() for path in plan.data.train.paths]
    found = {way.way: way for way in compare(images, 28, 1)}
    assert list(found) == list(WAYS)
    for same in (PILLOW, OUR_DECODER, "torchvision.io"):
        assert (found[same].differing, found[same].mean, found[same].greatest) == (0, 0, 0)
    whole = found["simplejpeg, torch scales the whole image"]
    square = found["simplejpeg, torch scales the square"]
    # Rounding; and squares up to half a pixel away.
    assert whole.greatest <= 2
    assert whole.mean < 0.5 < square.mean


def test_the_tables_numbers() -> None:
    rates = {name: [100.0, 100.0, 400.0] for name in PIPELINES} | {OURS: [100.0, 300.0, 200.0]}
    way = {"milliseconds": [1.0, 2.0], "differing": 0.0, "mean": 0.0, "greatest": 0}
    ways = [
        {"way": PILLOW, **way},
        {"way": "x", "milliseconds": [0.5, 4], "differing": 9.99, "mean": 0.1234, "greatest": 7},
    ]
    about = {
        "measured": [
            {"shorter_side": 160, "images_per_second_and_core": rates, "decoders": ways},
        ]
    }
    # Repeat by repeat: 1, 3 and 0.5.
    assert images_table.rows(about) == (
        ("160", OURS, "200", "100 - 300", "1.00"),
        ("160", PAPER_VIEWS, "100", "100 - 400", "1.00"),
        ("160", REFERENCE, "100", "100 - 400", "1.00"),
    )
    assert images_table.way_rows(about) == (
        ("160", PILLOW, "1.50", "1.00", "0.0 %", "0.000", "0"),
        ("160", "x", "2.25", "1.25", "10.0 %", "0.123", "7"),
    )
    assert all(len(row) == len(images_table.COLUMNS) for row in images_table.rows(about))


def test_the_command(tmp_path: Path, plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- images:start -->\nold\n<!-- images:end -->\nafter\n")
    root = str(plan.data.train.root.parent)
    asked = ["--data-root", root, "--crop", "28", "--batch-size", "4", "--repeats", "1"]
    asked += ["--compared", "5"]
    assert (
        main(images.app, [*asked, "--seconds", "0.01", "--out", str(tmp_path), "--page", str(page)])
        == 0
    )
    shown = capsys.readouterr().out
    assert all(name in shown for name in PIPELINES)
    about = json.loads((tmp_path / "images.json").read_text())
    as_they_are, larger = about["measured"]
    assert as_they_are["shorter_side"] < larger["shorter_side"] == ENLARGED[0]
    assert {way["way"] for way in larger["decoders"]} == set(WAYS)
    text = (tmp_path / "images.md").read_text()
    assert text == images_table.markdown(about)
    assert text in page.read_text()
    assert "old" not in page.read_text()


def test_without_photographs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(images.app, ["--data-root", str(tmp_path)]) == 2
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert "--data-root" in shown
