"""The pipelines' benchmark: what it measures is what it says, and bad input gets one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks import images
from benchmarks.cifar import main
from benchmarks.images import COLUMNS, OURS, PIPELINES, Measured, Plan, described, measure, rows
from resnet_repro.data.image_folder import load
from tests.photographs import make_imagenette

pytestmark = pytest.mark.usefixtures("_one_thread")


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    data = load("image-folder", make_imagenette(tmp_path / "photographs", train=2, val=1))
    return Plan(data, crop=28, batch_size=6, workers=0, repeats=2, seconds=0.01)


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
    assert [m.pipeline for m in measured] == list(PIPELINES)
    assert all(len(m.rates) == 2 and min(m.rates) > 0 for m in measured)
    names = [line.split(", repeat")[0] for line in told]
    assert names == [*PIPELINES, *reversed(PIPELINES)]
    text = json.dumps(described(plan, measured))
    assert str(plan.data.train.root) not in text
    assert plan.data.digest in text


def test_the_tables_numbers() -> None:
    measured = [Measured(OURS, (100.0, 300.0, 200.0)), Measured("other", (100.0, 100.0, 400.0))]
    found = rows(measured, cores=4)
    assert found[0] == (OURS, "200", "100 - 300", "50", "1.00")
    # Repeat by repeat: 1, 3 and 0.5.
    assert found[1] == ("other", "100", "100 - 400", "25", "1.00")
    assert all(len(row) == len(COLUMNS) for row in found)


def test_the_command(tmp_path: Path, plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- images:start -->\nold\n<!-- images:end -->\nafter\n")
    root = str(plan.data.train.root.parent)
    asked = ["--data-root", root, "--crop", "28", "--batch-size", "4", "--repeats", "1"]
    assert (
        main(images.app, [*asked, "--seconds", "0.01", "--out", str(tmp_path), "--page", str(page)])
        == 0
    )
    shown = capsys.readouterr().out
    assert all(name in shown for name in PIPELINES)
    about = json.loads((tmp_path / "images.json").read_text())
    assert set(about["images_per_second"]) == set(PIPELINES)
    text = (tmp_path / "images.md").read_text()
    assert text == images.markdown(about)
    assert text in page.read_text()
    assert "old" not in page.read_text()


def test_without_photographs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(images.app, ["--data-root", str(tmp_path)]) == 2
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert "--data-root" in shown
