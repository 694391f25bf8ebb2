"""The command `study`, what it files, and how that reaches tables and figures."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.lines import Line2D
from torch import nn

from resnet_repro.cli import main
from resnet_repro.data.digits import load as load_digits
from resnet_repro.evaluate.imagenet import weights
from resnet_repro.evaluate.probes import deepening, lesions, run, shortcut_signal
from resnet_repro.evaluate.probes import shattering as gradients
from resnet_repro.evaluate.probes.lesions import blocks_of, error, without
from resnet_repro.evaluate.probes.subject import load_subject
from resnet_repro.models import build
from resnet_repro.paper import artifacts
from resnet_repro.records.evaluations import Evaluation, read_evaluation, write_evaluation
from resnet_repro.records.probes import PROBES
from resnet_repro.records.verify import problems
from resnet_repro.report.load.frames import Frames
from resnet_repro.report.load.records import read_frames
from resnet_repro.report.load.view import make_view
from resnet_repro.report.plots.digest import plotted_digest
from resnet_repro.report.tables import table
from resnet_repro.runtime.device import choose
from tests.helpers.digits_runs import train_on_digits
from tests.helpers.records import Fake, write

LESIONS = artifacts.load("claim_lesions")
SHATTERING = artifacts.load("claim_shattering")
IDENTITY = artifacts.load("claim_identity")
PATH = artifacts.load("claim_path")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs on the digits that keep their weights."""
    return train_on_digits(tmp_path_factory.mktemp("runs"), ["plain8", "resnet14"])


def run_folder(recorded: Path, arm: str = "resnet14") -> Path:
    return recorded / arm / "smoke" / "seed0"


def read(path: Path) -> Evaluation:
    return read_evaluation(path)


# The command


def test_lesions_are_filed_beside_the_record(
    recorded: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lesions, "IMAGES", 100)
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
    assert row.values["deletion_rise"] == found.number("deletion_rise")
    assert problems(weights.finished_run(folder).run, folder) == []


def test_the_weights_are_the_recorded_ones(recorded: Path) -> None:
    """On all test images the whole network has the error that was recorded after rounding."""
    folder = run_folder(recorded)
    record = weights.finished_run(folder)
    subject = load_subject(record, load_digits(), choose("cpu", "fp32"))
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
    monkeypatch.setattr(gradients, "POINTS", 32)
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


def test_a_net_deepened_by_identities_keeps_its_training_error(
    recorded: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deepening, "IMAGES", 300)
    layers = []
    original = deepening.deepen

    def deepen(model: nn.Module, behind: Mapping[str, list[int]]) -> nn.Module:
        deeper = original(model, behind)
        layers.append(2 + 2 * len(blocks_of(deeper)))
        return deeper

    monkeypatch.setattr(deepening, "deepen", deepen)
    folders = [run_folder(recorded, arm) for arm in ("plain8", "resnet14")]
    runs = [word for folder in folders for word in ("--run", str(folder))]
    assert main(["study", "identity", *runs, "--device", "cpu"]) == 0
    assert capsys.readouterr().out.count("wrote ") == 2
    wanted = [[8, 20, 32, 44, 56], [14, 20, 32, 44, 56]]
    assert layers == [depth for depths in wanted for depth in depths]
    for folder, depths in zip(folders, wanted, strict=True):
        found = read(folder / "evaluations" / "identity.json")
        record = weights.finished_run(folder)
        subject = load_subject(record, load_digits(), choose("cpu", "fp32"))
        batches = subject.train_batches(300)
        assert [len(labels) for _, labels in batches] == [250, 50]
        assert all(len(x) == len(labels) for x, labels in batches)
        own = pytest.approx(error(subject.trained, batches), abs=1e-5)
        assert found.settings["depths"] == depths
        assert found.settings["images"] == 300
        assert found.values["deepened_errors"] == [own] * 5
        assert found.number("identity_error") == own
        assert 0 <= found.number("logit_difference") < 1e-3


def test_only_nets_up_to_the_greatest_depth_are_deepened(
    recorded: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deepening, "DEPTHS", (8, 14))
    folder = run_folder(recorded)
    assert main(["study", "identity", "--run", str(folder), "--device", "cpu"]) == 0
    found = read(folder / "evaluations" / "identity.json")
    assert found.settings["depths"] == [14]  # its own, and no other
    assert found.values["deepened_errors"] == [found.number("identity_error")]
    assert found.number("logit_difference") == 0
    monkeypatch.setattr(deepening, "DEPTHS", (8,))
    capsys.readouterr()
    assert main(["study", "identity", "--run", str(folder), "--device", "cpu"]) == 2
    assert "is deeper than the 8 layers" in capsys.readouterr().err


def test_the_path_is_filed_by_block(
    recorded: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shortcut_signal, "IMAGES", 100)
    folders = [run_folder(recorded, arm) for arm in ("plain8", "resnet14")]
    runs = [word for folder in folders for word in ("--run", str(folder))]
    assert main(["study", "path", *runs, "--device", "cpu"]) == 0
    assert capsys.readouterr().out.count("wrote ") == 2
    plain, residual = (read(folder / "evaluations" / "path.json") for folder in folders)
    assert plain.settings["images"] == residual.settings["images"] == 100
    # A plain block between two stages has nothing to compare.
    assert plain.settings["kept_blocks"] == ["layer1.0"]
    assert plain.values["kept"] == [plain.number("signal_kept")]
    assert plain.values["shortcuts"] == plain.values["shares"] == [0, 0, 0]
    names, kept = residual.settings["blocks"], residual.values["kept"]
    assert residual.settings["kept_blocks"] == names
    assert names == [f"layer{s}.{b}" for s in (1, 2, 3) for b in (0, 1)]
    assert isinstance(kept, list)
    same_shape = [kept[0], kept[1], kept[3], kept[5]]
    mean = statistics.fmean(same_shape)
    assert residual.number("signal_kept") == pytest.approx(mean, abs=1e-5)
    for name in ("shortcuts", "residuals", "shares"):
        values = residual.values[name]
        assert isinstance(values, list)
        assert len(values) == 6
        assert all(value > 0 for value in values)


def test_the_help_names_every_study(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(run.MEASURES) == list(PROBES)
    assert main(["study", "--help"]) == 0
    assert "One of lesions, gradients, identity, path." in capsys.readouterr().out


def fails(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["study", *words]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    return told


def test_what_cannot_be_studied_is_refused(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(run_folder(recorded))
    assert "give one of lesions, gradients, identity, path" in fails(
        capsys, "dreams", "--run", folder
    )
    assert "give a recorded run" in fails(capsys, "lesions")
    assert "is no recorded run" in fails(capsys, "lesions", "--run", str(tmp_path))
    write(tmp_path, Fake("resnet18-A", dataset="imagenet"), Fake("resnet20"))
    photographs = tmp_path / "imagenet" / "resnet18-A" / "paper" / "seed0"
    assert "give one of a CIFAR network" in fails(capsys, "lesions", "--run", str(photographs))
    bare = tmp_path / "cifar10" / "resnet20" / "paper" / "seed0"
    said = fails(capsys, "lesions", "--run", str(bare))
    assert "keeps no weights" in said
    assert "give seed 0 of a network of up to 56 layers" in said


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
    """Write a run with all studies, made up: `rise` in errors, `correlation` in what is alike."""
    write(results, fake)
    folder = fake.run.folder(results)
    spec_hash = json.loads((folder / "spec.json").read_text())["hash"]
    lesions = Evaluation(
        "lesions",
        spec_hash,
        {"images": 100, "bn": "moving", "blocks": ["a", "b"], "pairs": [["a", "b"]]},
        {
            "intact_error": 9.0,
            "deleted_errors": [9.0 + rise, 9.0 + rise],
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
        {
            "circles": 1,
            "points": 32,
            "bn": "calibrated+moving",
            "layers": ["a.conv1", "a.conv2"],
            "blocks": ["a", "b"],
            "lags": [0, 1],
        },
        {
            "initial_norms": [1.0, 2.0],
            "trained_norms": [1.0, 2.0],
            "initial_correlations": rows,
            "trained_correlations": rows,
            "initial_correlation": correlation,
            "white_noise": [1.0, 0.0],
            "brown_noise": [1.0, 0.8],
        },
        {},
    )
    plain = fake.arm.startswith("plain")
    depths = [d for d in (20, 32, 44, 56) if d >= int(fake.arm.removeprefix("plain")[-2:])]
    deepened = Evaluation(
        "identity",
        spec_hash,
        {"images": 100, "bn": "moving", "depths": depths},
        {
            "deepened_errors": [rise] * len(depths),
            "identity_error": rise,
            "logit_difference": 0.00025,
        },
        {},
    )
    path = Evaluation(
        "path",
        spec_hash,
        {
            "images": 100,
            "bn": "moving",
            "blocks": ["a", "b", "c"],
            "kept_blocks": ["a", "c"] if plain else ["a", "b", "c"],
        },
        {
            "shortcuts": [0, 0, 0] if plain else [1.0, 2.0, 2.0],
            "shares": [0, 0, 0] if plain else [0.5, 0.8, 0.8],
            "kept": [correlation] * (2 if plain else 3),
            "signal_kept": correlation,
        },
        {},
    )
    for evaluation in (lesions, gradients, deepened, path):
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
    passed_on, _ = table(PATH.artifact, studied).claims
    assert passed_on.result.verdict == "holds"
    assert passed_on.result.difference == pytest.approx(0.4)
    assert {c.result.verdict for c in table(IDENTITY.artifact, studied).claims} == {"missing"}


def test_a_solution_that_exists_is_compared_with_the_one_that_was_found(tmp_path: Path) -> None:
    for arm, rise in (("plain20", 5.0), ("plain56", 9.0), ("resnet20", 4.0), ("resnet56", 4.5)):
        study(tmp_path, Fake(arm), rise, 0.5)
    plain, residual = table(IDENTITY.artifact, read_frames([tmp_path])).claims
    assert (plain.result.verdict, plain.result.difference) == ("holds", 4.0)
    assert (residual.result.verdict, residual.result.difference) == ("fails", -0.5)


DEEPER = "plain-32, plain-44, plain-56, ResNet-32, ResNet-44, ResNet-56"


@pytest.mark.parametrize(
    ("experiment", "absent", "drawn"),
    [
        (LESIONS, "plain-56, ResNet-56", 6),
        (SHATTERING, "plain-56, ResNet-56", 6),
        (IDENTITY, DEEPER, 4),
        (PATH, "plain-56, ResNet-56", 4),
    ],
    ids=["lesions", "shattering", "identity", "path"],
)
def test_figures_show_what_was_studied_and_name_the_rest(
    experiment: artifacts.Experiment, absent: str, drawn: int, studied: Frames
) -> None:
    view = make_view(experiment.artifact, studied)
    assert {run.arm for run in view.frames.runs} == {"plain20", "resnet20"}
    figure = experiment.draw(view)
    words = " ".join(t.get_text().replace("\n", " ") for t in figure.texts)
    assert f"Not studied: {absent}." in words
    assert "Not run" not in words
    lines = [line for ax in figure.axes for line in ax.get_lines()]
    assert len(lines) >= drawn


def drawn_lines(experiment: artifacts.Experiment, frames: Frames) -> list[list[Line2D]]:
    """The lines of each panel."""
    figure = experiment.draw(make_view(experiment.artifact, frames))
    return [ax.get_lines() for ax in figure.axes]


def points(lines: list[Line2D]) -> list[list[tuple[float, float]]]:
    return [[(x, y) for x, y in np.asarray(line.get_xydata()).tolist()] for line in lines]


def test_norms_before_training_have_a_panel_of_their_own(studied: Frames) -> None:
    *_, norms = drawn_lines(SHATTERING, studied)
    runs = sorted(studied.runs, key=lambda run: run.arm)
    made = [run.evaluations["gradients"] for run in runs if "gradients" in run.evaluations]
    expected = [e.listed("initial_norms") for e in made]
    assert [[y for _, y in line] for line in points(norms)] == expected


def test_each_net_is_a_line_from_its_own_depth_on(tmp_path: Path) -> None:
    study(tmp_path, Fake("plain20"), 5.0, 0.5)
    study(tmp_path, Fake("plain44"), 7.0, 0.5)
    study(tmp_path, Fake("resnet20"), 4.0, 0.5)
    frames = read_frames([tmp_path])
    plain, residual = drawn_lines(IDENTITY, frames)
    found, shallow, shallow_own, deep, deep_own = points(plain)
    assert found == [(20, 5), (44, 7)]  # what training found, by depth
    assert shallow == [(depth, 5) for depth in (20, 32, 44, 56)]
    assert deep == [(44, 7), (56, 7)]
    assert (shallow_own, deep_own) == ([(20, 5)], [(44, 7)])
    assert points(residual)[1] == [(20, 4)]
    figure = IDENTITY.draw(make_view(IDENTITY.artifact, frames))
    words = " ".join(t.get_text().replace("\n", " ") for t in figure.texts)
    assert "by at most 0.000250." in words


def test_where_a_plain_net_has_nothing_to_compare_its_line_has_a_gap(studied: Frames) -> None:
    kept, shares = drawn_lines(PATH, studied)
    plain, residual = points(kept)
    assert [math.isnan(y) for _, y in plain] == [False, True, False]
    assert residual == [(1, 0.6), (2, 0.6), (3, 0.6)]
    assert points(shares) == [[], [(1, 50), (2, 80), (3, 80)]]


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
    assert (
        "`python -m resnet_repro study lesions --run RESULTS/cifar10/plain20/paper/seed0`" in told
    )
    assert "resnet20/paper" not in told


def test_gradients_are_those_over_the_whole_batch_however_a_net_was_trained() -> None:
    chunked, whole = (build("resnet8-w8", bn_batch=chunk, seed=3) for chunk in (2, None))
    x, labels = torch.randn(6, 3, 16, 16), torch.arange(6)
    for one, other in zip(
        gradients.layer_norms(chunked, x, labels).values(),
        gradients.layer_norms(whole, x, labels).values(),
        strict=True,
    ):
        assert one == pytest.approx(other, rel=1e-4)
    ours, plain = (gradients.calibrated(model, x) for model in (chunked, whole))
    torch.testing.assert_close(ours(x), plain(x), rtol=1e-4, atol=1e-5)
