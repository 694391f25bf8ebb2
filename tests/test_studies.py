"""The command `study`, what it files, and how that reaches tables and figures."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from resnet_repro import artifacts, runner, study_command
from resnet_repro.cli import main
from resnet_repro.data.digits import load as load_digits
from resnet_repro.evaluate import weights
from resnet_repro.evaluate.lesions import error, without
from resnet_repro.models import build
from resnet_repro.records.evaluations import Evaluation, read_evaluation, write_evaluation
from resnet_repro.records.verify import problems
from resnet_repro.report.figures import plotted_digest
from resnet_repro.report.frames import Frames, make_view, read_frames
from resnet_repro.report.tables import table
from resnet_repro.train.device import choose
from tests.report_records import Fake, write

LESIONS = artifacts.load("claim_lesions")
SHATTERING = artifacts.load("claim_shattering")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs on the digits that keep their weights."""
    folder = tmp_path_factory.mktemp("runs")
    arms = tuple(artifacts.Arm(n, f"{n}-w4", "digits") for n in ("plain8", "resnet14"))
    own = dataclasses.replace(artifacts.load("demo").artifact, arms=arms, claims=(), published=())
    request = runner.Request(own, protocol="smoke", results=folder / "results")
    settings = runner.Settings(
        device=choose("cpu", "fp32", threads=1),
        data_root=None,
        cache=folder / "cache",
        results=request.results,
    )
    ends = runner.execute(request, settings, lambda event: None)
    assert set(ends.values()) == {"done"}
    return folder / "results" / "digits"


def run_folder(recorded: Path, arm: str = "resnet14") -> Path:
    return recorded / arm / "smoke" / "seed0"


def read(path: Path) -> Evaluation:
    return read_evaluation(path)


# The command


def test_lesions_are_filed_beside_the_record(
    recorded: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study_command, "LESION_IMAGES", 100)
    folder = run_folder(recorded)
    before = {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}
    assert main(["study", "lesions", "--run", str(folder), "--device", "cpu", "--json"]) == 0
    [told] = json.loads(capsys.readouterr().out)
    path = folder / "evaluations" / "lesions.json"
    assert told["file"] == str(path.resolve())
    found = read(path)
    assert told["values"] == found.values
    assert {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()} == before
    assert found.settings["blocks"] == [f"layer{s}.{b}" for s in (1, 2, 3) for b in (0, 1)]
    assert found.settings["pairs"] == [["layer1.0", "layer1.1"]]
    assert found.settings["images"] == 100
    deleted = found.values["deleted_errors"]
    assert isinstance(deleted, list)
    rise = sum(deleted) / 6 - found.number("intact_error")
    assert found.number("deletion_rise") == pytest.approx(rise, abs=1e-5)
    frames = read_frames([recorded.parent])
    row = frames.runs_of("digits", "resnet14")[0]
    assert row["deletion_rise"] == found.number("deletion_rise")
    assert problems(weights.finished_run(folder).run, folder) == []


def test_the_weights_are_the_recorded_ones(recorded: Path) -> None:
    """On all test images the whole network has the error that was recorded after rounding."""
    folder = run_folder(recorded)
    record = weights.finished_run(folder)
    subject = study_command._subject(record, load_digits(), choose("cpu", "fp32"))
    batches = subject.test_batches(10_000)
    assert sum(len(labels) for _, labels in batches) == 360
    assert error(subject.trained, batches) == pytest.approx(
        record.result.half_precision_test_error, abs=1e-6
    )
    with without(subject.trained, ["layer1.0"]):
        assert not subject.trained.training
    drawn = build("resnet14-w4", in_channels=1, seed=0).state_dict()
    assert all(torch.equal(v, drawn[k]) for k, v in subject.initial.state_dict().items())


def test_gradients_are_filed_before_and_after_training(
    recorded: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study_command, "POINTS", 32)
    folders = [run_folder(recorded, arm) for arm in ("plain8", "resnet14")]
    runs = [word for folder in folders for word in ("--run", str(folder))]
    assert main(["study", "gradients", *runs, "--device", "cpu"]) == 0
    assert capsys.readouterr().out.count("wrote ") == 2
    for folder, layers, blocks in zip(folders, (8, 14), (3, 6), strict=True):
        found = read(folder / "evaluations" / "gradients.json")
        names = found.settings["layers"]
        assert isinstance(names, list)
        assert len(names) == layers
        for state in ("initial", "trained"):
            rows, norms = found.values[f"{state}_correlations"], found.values[f"{state}_norms"]
            assert isinstance(rows, list)
            assert isinstance(norms, list)
            assert len(rows) == blocks
            assert len(norms) == layers
            assert {row[0] for row in rows} == {1.0}
            assert found.number(f"{state}_correlation") == rows[-1][1]
        assert found.values["initial_norms"] != found.values["trained_norms"]


def fails(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["study", *words]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    return told


def test_what_cannot_be_studied_is_refused(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(run_folder(recorded))
    assert "give one of lesions, gradients" in fails(capsys, "dreams", "--run", folder)
    assert "give a recorded run" in fails(capsys, "lesions")
    assert "is no recorded run" in fails(capsys, "lesions", "--run", str(tmp_path))
    write(tmp_path, Fake("resnet18-A", dataset="imagenet"), Fake("resnet20"))
    photographs = tmp_path / "imagenet" / "resnet18-A" / "paper" / "seed0"
    assert "studies are of the CIFAR networks" in fails(
        capsys, "lesions", "--run", str(photographs)
    )
    bare = tmp_path / "cifar10" / "resnet20" / "paper" / "seed0"
    assert "keeps no weights" in fails(capsys, "lesions", "--run", str(bare))


def test_changed_weights_are_refused(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "digits" / "plain8" / "smoke" / "seed0"
    copy.mkdir(parents=True)
    for path in run_folder(recorded, "plain8").iterdir():
        if path.is_file():
            (copy / path.name).write_bytes(path.read_bytes())
    kept = copy / "weights.safetensors"
    kept.write_bytes(kept.read_bytes()[:-1] + b"\1")
    assert "changed since" in fails(capsys, "lesions", "--run", str(copy))


# The report


def study(results: Path, fake: Fake, rise: float, correlation: float) -> None:
    """Write a run with both studies, made up."""
    write(results, fake)
    folder = fake.run.folder(results)
    spec_hash = json.loads((folder / "spec.json").read_text())["hash"]
    lesions = Evaluation(
        "lesions",
        spec_hash,
        {"images": 100, "bn": "moving", "blocks": ["a", "b"], "pairs": [["a", "b"]]},
        {
            "intact_error": 9.0,
            "deleted_errors": [9.0, 9.0 + 2 * rise],
            "random_errors": [[20.0, 30.0], [60.0]],
            "swapped_errors": [12.0],
            "deletion_rise": rise,
            "swap_rise": 3.0,
        },
        {},
    )
    rows = [[1.0, 0.9], [1.0, correlation]]
    gradients = Evaluation(
        "gradients",
        spec_hash,
        {"circles": 1, "points": 32, "bn": "calibrated+moving", "lags": [0, 1]},
        {
            "initial_correlations": rows,
            "trained_correlations": rows,
            "initial_correlation": correlation,
            "white_noise": [1.0, 0.0],
            "brown_noise": [1.0, 0.8],
        },
        {},
    )
    for evaluation in (lesions, gradients):
        write_evaluation(folder, evaluation)


@pytest.fixture
def studied(tmp_path: Path) -> Frames:
    study(tmp_path, Fake("plain20"), 60.0, 0.2)
    study(tmp_path, Fake("resnet20"), 10.0, 0.6)
    write(tmp_path, Fake("plain56"), Fake("resnet56"))
    return read_frames([tmp_path])


def test_claims_compare_what_was_studied(studied: Frames) -> None:
    first, second, third, *_ = table(LESIONS.artifact, studied).claims
    assert (first.result.verdict, first.result.difference) == ("holds", 50.0)
    assert second.result.verdict == "missing"  # 56 layers were run, but not studied
    assert (third.result.verdict, third.result.difference) == ("inconclusive", 0.0)
    alike, deep, _ = table(SHATTERING.artifact, studied).claims
    assert alike.result.verdict == "holds"
    assert alike.result.difference == pytest.approx(0.4)
    assert deep.result.verdict == "missing"


@pytest.mark.parametrize("experiment", [LESIONS, SHATTERING], ids=["lesions", "shattering"])
def test_figures_show_what_was_studied_and_name_the_rest(
    experiment: artifacts.Experiment, studied: Frames
) -> None:
    view = make_view(experiment.artifact, studied)
    assert set(view.frames.runs["arm"]) == {"plain20", "resnet20"}
    figure = experiment.draw(view)
    words = " ".join(t.get_text().replace("\n", " ") for t in figure.texts)
    assert "Not studied: plain-56, ResNet-56." in words
    assert "Not run" not in words
    lines = [line for ax in figure.axes for line in ax.get_lines()]
    assert len(lines) > 5


def test_without_a_study_there_is_nothing_to_show(tmp_path: Path) -> None:
    write(tmp_path, Fake("plain20"), Fake("resnet20"))
    frames = read_frames([tmp_path])
    assert make_view(LESIONS.artifact, frames).empty
    assert {c.result.verdict for c in table(LESIONS.artifact, frames).claims} == {"missing"}


def test_a_figure_is_stale_when_its_study_changes_and_no_other_is(
    studied: Frames, tmp_path: Path
) -> None:
    fig6 = artifacts.load("fig6").artifact
    before = [plotted_digest(make_view(a, studied)) for a in (LESIONS.artifact, fig6)]
    study(tmp_path, Fake("plain20"), 50.0, 0.2)
    changed = read_frames([tmp_path])
    after = [plotted_digest(make_view(a, changed)) for a in (LESIONS.artifact, fig6)]
    assert after[0] != before[0]
    assert after[1] == before[1]


def test_a_run_with_weights_that_nobody_studied_is_named(tmp_path: Path) -> None:
    write(tmp_path, Fake("plain20"), Fake("resnet20"))
    (Fake("plain20").run.folder(tmp_path) / "weights.safetensors").write_bytes(b"")
    told = " ".join(table(LESIONS.artifact, read_frames([tmp_path])).notes)
    assert "`python -m resnet_repro study lesions --run cifar10/plain20/paper/seed0`" in told
    assert "resnet20/paper" not in told
