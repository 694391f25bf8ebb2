"""Table 1: the committed counts, what is said of them, and what stands in the way of a bad one."""

from __future__ import annotations

import itertools
import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

from resnet_repro.cli import main
from resnet_repro.errors import UserError
from resnet_repro.models.construct import construct
from resnet_repro.models.describe import describe
from resnet_repro.paper import artifacts
from resnet_repro.paper.published import published_for
from resnet_repro.paths import RECORDED
from resnet_repro.records.counts import find_counts, read_count
from resnet_repro.report.load.records import read_frames
from resnet_repro.report.load.view import make_view
from resnet_repro.report.plots.digest import plotted_digest
from resnet_repro.report.tables import ResultRow, table
from resnet_repro.sweep import status
from tests.helpers.records import Fake, write

ROOT = Path(__file__).resolve().parents[2]
TABLE1 = artifacts.load("table1").artifact
COUNTS = RECORDED / "counts"
BOTTLENECKS = ("resnet50", "resnet101", "resnet152")
RESNETS = ("resnet18-A", "resnet34-A", *BOTTLENECKS)


pytestmark = pytest.mark.usefixtures("_one_thread")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results folder that holds the committed counts alone."""
    shutil.copytree(COUNTS, tmp_path / "results" / "counts")
    return tmp_path / "results"


def multiply_adds(network: str) -> int:
    return read_count(COUNTS / f"{network}.json").multiply_adds


def stage(network: str, name: str) -> int:
    stages = json.loads((COUNTS / f"{network}.json").read_text())["stages"]
    return int(next(s["multiply_adds"] for s in stages if s["name"] == name))


def printed(network: str) -> str:
    [key] = [p for p in TABLE1.published if p.arm == network]
    return published_for(key)[0].text


def tenths(count: float, rounding: Callable[[float], float] = round) -> str:
    """Billions with one decimal."""
    return f"{rounding(count / 1e8) / 10:.1f}"


def one_line(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main(list(words)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    return err


# The committed counts


@pytest.mark.parametrize(
    "network",
    [p.stem for p in find_counts(RECORDED) if "1202" not in p.stem and "152" not in p.stem],
)
def test_committed_counts_are_what_is_counted_now(network: str, tmp_path: Path) -> None:
    path = tmp_path / f"{network}.json"
    assert main(["describe", network, "--out", str(path)]) == 0
    assert path.read_bytes() == (COUNTS / path.name).read_bytes()


def test_out_holds_what_json_prints(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "new" / "resnet20.json"
    assert main(["describe", "resnet20", "--out", str(path)]) == 0
    assert capsys.readouterr().out == ""
    assert main(["describe", "resnet20", "--json"]) == 0
    assert path.read_text() == capsys.readouterr().out


def test_out_that_cannot_be_written(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "x.json", tmp_path):
        assert "cannot write" in one_line(capsys, "describe", "resnet8", "--out", str(path))
    assert (tmp_path / "file").read_text() == ""
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_the_makefile_writes_every_committed_count() -> None:
    listed = subprocess.run(
        ["make", "-n", "counts"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    line = next(line for line in listed.splitlines() if line.startswith("for network in "))
    names = line.removeprefix("for network in ").partition(";")[0].split()
    assert sorted(names) == sorted(p.stem for p in find_counts(RECORDED))


# What the table says


def test_verdicts_at_the_printed_precision() -> None:
    rows = [r for r in table(TABLE1, read_frames([RECORDED])).rows if r.metric == "flops"]
    assert {r.arm: r.ours.verdict for r in rows} == {
        "resnet18-A": "equal",
        "resnet34-A": "equal",
        "resnet50": "differs",
        "resnet101": "equal",
        "resnet152": "equal",
        "vgg16": "differs",
        "vgg19": "equal",
    }
    assert all(r.ours.mean == multiply_adds(r.network) for r in rows)


def test_parameters_are_shown_without_a_verdict() -> None:
    rows = [r for r in table(TABLE1, read_frames([RECORDED])).rows if r.metric == "params"]
    assert [r.arm for r in rows] == [arm.name for arm in TABLE1.arms]
    assert all((r.published, r.ours.verdict) == (None, "") for r in rows)
    assert next(r for r in rows if r.arm == "resnet50").ours.mean == 25_557_032


def test_note_on_options() -> None:
    for depth in (18, 34):
        assert multiply_adds(f"plain{depth}") == multiply_adds(f"resnet{depth}-A")
    assert tenths(multiply_adds("resnet34-B")) != printed("resnet34-A")
    assert multiply_adds("resnet50-v1.5") > multiply_adds("resnet50")


def test_note_on_vgg() -> None:
    assert tenths(multiply_adds("vgg16") - stage("vgg16", "fc")) == printed("vgg16")
    assert tenths(multiply_adds("vgg19") - stage("vgg19", "fc")) != printed("vgg19")


def test_152_layers_cost_less_than_vgg() -> None:
    assert multiply_adds("resnet152") < min(multiply_adds("vgg16"), multiply_adds("vgg19"))


def layers(network: str) -> tuple[dict[str, int], int]:
    """Multiply-adds by layer; and batch normalisation at 2 an element with ReLU at 1."""
    with torch.device("meta"):
        model = construct(network).eval()
    found: dict[str, int] = {}
    elementwise = 0

    def hook(path: str) -> Callable[[nn.Module, Any, Any], None]:
        def count(layer: nn.Module, _inputs: Any, out: Any) -> None:
            nonlocal elementwise
            if isinstance(layer, nn.Conv2d | nn.Linear):
                found[path] = layer.weight.numel() * math.prod(out.shape[2:])
            elif isinstance(layer, nn.BatchNorm2d | nn.ReLU):
                elementwise += out.numel() * (2 if isinstance(layer, nn.BatchNorm2d) else 1)

        return count

    for path, layer in model.named_modules():
        layer.register_forward_hook(hook(path))
    with torch.no_grad():
        model(torch.empty(1, 3, 224, 224, device="meta"))
    return found, elementwise


def test_note_on_resnet50() -> None:
    counted = {network: layers(network) for network in RESNETS}
    totals = {network: sum(parts.values()) for network, (parts, _) in counted.items()}
    assert totals == {network: multiply_adds(network) for network in RESNETS}

    def prints(without: Callable[[str], bool], rounding: Callable[[float], float] = round) -> bool:
        return all(
            tenths(sum(n for path, n in counted[name][0].items() if not without(path)), rounding)
            == printed(name)
            for name in BOTTLENECKS
        )

    for left_out in itertools.product((False, True), repeat=3):
        kinds = [k for k, out in zip(("conv1", "fc", "downsample"), left_out, strict=True) if out]
        for rounding in (round, math.floor, math.ceil):
            assert not prints(
                lambda path, kinds=kinds: (  # type: ignore[misc]
                    path in kinds or ("downsample" in kinds and "downsample" in path)
                ),
                rounding,
            )
    single = [path for path in counted["resnet50"][0] if prints(lambda p, path=path: p == path)]  # type: ignore[misc]
    assert single == ["layer1.0.conv1"]
    for network, (_, elementwise) in counted.items():
        assert tenths(totals[network] + elementwise, math.floor) == printed(network)


# The command


@pytest.mark.parametrize("words", [[], ["--dry-run"], ["--dry-run", "--json"]])
def test_a_counted_artifact_is_not_run(
    words: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    said = one_line(capsys, "run", "table1", *words, "--results-dir", str(tmp_path))
    assert "table1 is counted, not trained: see `compare table1`" in said
    assert list(tmp_path.iterdir()) == []


def test_list_and_compare(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["list", "--json", "--results-dir", str(tmp_path)]) == 0
    found = json.loads(capsys.readouterr().out)["artifacts"]
    assert next(a for a in found if a["name"] == "table1")["recorded"] == {"counted": 7}
    assert main(["compare", "table1", "--json", "--results-dir", str(tmp_path)]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    mine = next(r for r in rows if (r["arm"], r["metric"]) == ("vgg16", "flops"))
    assert mine["paper_text"] == "15.3"
    assert mine["suite"] == multiply_adds("vgg16")
    assert (mine["verdict"], mine["yours_verdict"]) == ("differs", "missing")


REPORT = """
import sys
from pathlib import Path
from resnet_repro.report.write import write_report
paths = write_report([Path(sys.argv[1])], Path(sys.argv[2]), Path(sys.argv[2]))
print(*sorted(p.name for p in paths))
"""


def test_the_report_needs_no_torch(results: Path, tmp_path: Path) -> None:
    """And of the counts alone it makes table1 alone."""
    block = tmp_path / "block"
    block.mkdir()
    for name in ("torch", "torchvision", "safetensors"):
        (block / f"{name}.py").write_text("raise AssertionError('reporting imports ' + __name__)")
    done = subprocess.run(
        [sys.executable, "-c", REPORT, str(results), str(tmp_path / "out")],
        env={"PYTHONPATH": f"{block}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    files = [f"table1.{kind}" for kind in ("csv", "md", "png", "svg", "tex")]
    assert done.stdout.split() == ["results.csv", *files, "table1_claims.csv"]
    text = (tmp_path / "out" / "table1.md").read_text()
    assert "| resnet50 | multiply-adds | 3.8 billion | 3,857,973,248 | differs |" in text
    assert "for one image of 3 x 224 x 224" in text
    assert all(note in text for note in TABLE1.notes)


def test_the_figure_shows_each_network_and_its_digest_follows_the_counts(results: Path) -> None:
    view = make_view(TABLE1, read_frames([results]))
    figure = artifacts.load("table1").draw(view)
    assert isinstance(figure, Figure)
    [ax] = figure.axes
    assert [t.get_text() for t in ax.get_yticklabels()] == [p.row for p in TABLE1.published]
    widths = [bar.get_width() * 1e9 for bar in ax.patches]  # type: ignore[attr-defined]
    assert widths == pytest.approx([multiply_adds(arm.network) for arm in TABLE1.arms])
    before = plotted_digest(view)
    (results / "counts" / "vgg19.json").unlink()
    fewer = make_view(TABLE1, read_frames([results]))
    assert plotted_digest(fewer) != before
    artifacts.load("table1").draw(fewer)
    [row] = [r for r in flops(results) if r.arm == "vgg19"]
    assert row.ours.verdict == "missing"


def flops(results: Path) -> list[ResultRow]:
    return [r for r in table(TABLE1, read_frames([results])).rows if r.metric == "flops"]


def test_runs_of_its_arms_are_no_part_of_it(results: Path) -> None:
    write(results, Fake("resnet50", dataset="imagenet", dirty=True))
    frames = read_frames([results])
    assert make_view(TABLE1, frames).frames.runs == ()
    assert not any(
        "Recorded:" in note or "uncommitted" in note for note in table(TABLE1, frames).notes
    )


def test_counts_leave_other_artifacts_as_they_were(results: Path, tmp_path: Path) -> None:
    other = artifacts.load("table6").artifact
    assert make_view(other, read_frames([results])).empty
    write(tmp_path / "plain", Fake("resnet20"))
    write(results, Fake("resnet20"))
    views = [make_view(other, read_frames([d])) for d in (tmp_path / "plain", results)]
    assert plotted_digest(views[0]) == plotted_digest(views[1])


# Damage


def change(path: Path, **fields: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


DAMAGE: list[tuple[Callable[[Path], object], str]] = [
    (lambda p: p.write_bytes(p.read_bytes()[:200]), "not whole JSON"),
    (lambda p: p.write_text("[]"), "no JSON object"),
    (lambda p: p.write_bytes(b"\xff\xfe"), "not text"),
    (lambda p: p.write_text("{}"), "missing required field `name`"),
    (lambda p: change(p, name="vgg19"), "describes 'vgg19'"),
    (lambda p: change(p, multiply_adds=15_300_000_000), "stages sum to 15470264320"),
    (lambda p: change(p, parameters=True), "Expected `int`, got `bool`"),
    (lambda p: change(p, parameters=10**30), "more than 64 bits"),
    (lambda p: change(p, input=[224]), "Expected `array` of length 3"),
    (lambda p: change(p, stages=[1]), "at `$.stages[0]`"),
    (lambda p: change(p, stages=[{}]), "Object missing required field `name` - at `$.stages[0]`"),
]


@pytest.mark.parametrize(("damage", "says"), DAMAGE, ids=[says for _, says in DAMAGE])
def test_damaged_counts_are_named(
    damage: Callable[[Path], object],
    says: str,
    results: Path,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    path = results / "counts" / "vgg16.json"
    damage(path)
    with pytest.raises(UserError) as error:
        read_frames([results])
    assert says in str(error.value)
    assert str(path) in str(error.value)
    said = one_line(capsys, "compare", "table1", "--results-dir", str(results))
    assert "vgg16.json" in said
    [problem] = status.verify(results)["problems"]
    assert problem["run"] == "counts/vgg16"
    assert says in problem["problem"]


def test_verify_counts_the_counts(results: Path) -> None:
    found = status.verify(results)
    assert found == {"records": len(find_counts(RECORDED)), "problems": []}


def test_two_folders_that_count_differently_are_refused(results: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(results, other)
    assert len(read_frames([results, other]).counts) == len(find_counts(results))
    path = other / "counts" / "resnet20.json"
    path.write_text(
        json.dumps(
            json.loads(path.read_text()) | {"parameters": 0, "stages": [], "multiply_adds": 0}
        )
    )
    with pytest.raises(UserError, match="count differently"):
        read_frames([results, other])


def test_describe_is_what_the_counts_are_made_of() -> None:
    assert describe("resnet152").multiply_adds == multiply_adds("resnet152")
