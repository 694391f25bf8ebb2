"""Tables 2 to 5, Fig. 4 and their small companion: rows, verdicts, claims and pictures."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from resnet_repro.models.names import BOTTLENECK_DEPTHS, IMAGENET_DEPTHS
from resnet_repro.paper import artifacts
from resnet_repro.paper.artifacts import Artifact, Published
from resnet_repro.paper.published import curve, published_for, seed_std_prior
from resnet_repro.report import render
from resnet_repro.report.columns import CLAIMS, RESULTS, plain_rows, text_grid
from resnet_repro.report.load.frames import Frames
from resnet_repro.report.load.records import read_frames
from resnet_repro.report.load.view import make_view
from resnet_repro.report.plots import style
from resnet_repro.report.plots.digest import plotted_digest
from resnet_repro.report.results_page import results_page
from resnet_repro.report.side_by_side import side_by_side
from resnet_repro.report.tables import ResultRow, table
from resnet_repro.report.throughput import pace, seconds_per_image
from resnet_repro.report.todo import NOT_MEASURED, missing_grid, missing_runs
from tests.helpers.records import Fake, ensemble, imagenet, write
from tests.report.plots.test_figures import ends, overlaps, small_print, words

ROOT = Path(__file__).resolve().parents[2]
TABLE2, TABLE3, TABLE4, TABLE5, FIG4, IMAGENETTE = (
    artifacts.load(name).artifact
    for name in ("table2", "table3", "table4", "table5", "fig4", "imagenette")
)
OURS = (TABLE2, TABLE3, TABLE4, TABLE5, FIG4, IMAGENETTE)
FOUR = (
    imagenet("plain18", 27.7, 9.4, test_error=31.0, train_error=31.2),
    imagenet("plain34", 28.9, 10.2, test_error=32.6, train_error=32.5),
    imagenet("resnet18-A", 27.8, 9.3, test_error=30.9, train_error=30.2),
    imagenet("resnet34-A", 25.1, 7.8, test_error=28.4, train_error=24.9),
)


FIG4_STAGE = "read off Fig. 4, mean of 450,000-550,000"


def frames(tmp_path: Path, *fakes: Fake) -> Frames:
    write(tmp_path / "results", *fakes)
    return read_frames([tmp_path / "results"])


def row_of(artifact: Artifact, found: Frames, arm: str, metric: str) -> ResultRow:
    [row] = [r for r in table(artifact, found).rows if (r.arm, r.metric) == (arm, metric)]
    return row


def small(arm: str, train: float, test: float) -> Fake:
    return Fake(arm, test, train, dataset="imagenette", protocol="imagenette")


# What they ask for


def test_the_tables_share_runs() -> None:
    arms = [arm for a in (TABLE2, TABLE3, TABLE4, TABLE5, FIG4) for arm in a.arms]
    assert all(arm.dataset == "imagenet" and arm.name == arm.network for arm in arms)
    assert all(a.protocol == "paper" for a in (TABLE2, TABLE3, TABLE4, TABLE5, FIG4))
    assert {arm.name for arm in arms} == {
        "plain18", "plain34", "resnet18-A", "resnet34-A", "resnet34-B", "resnet34-C",
        "resnet50", "resnet101", "resnet152",
    }  # fmt: skip


@pytest.mark.parametrize("artifact", [TABLE2, TABLE3, TABLE4, FIG4], ids=lambda a: a.name)
def test_claims_point_where_the_papers_own_numbers_do(artifact: Artifact) -> None:
    values: dict[tuple[str, str], float] = {
        (p.arm, p.metric): published_for(p)[0].value for p in artifact.published
    }
    for claim in artifact.claims:
        if claim.scope == "first":
            continue
        d = values[claim.higher, claim.metric] - values[claim.lower, claim.metric]
        assert d > 0, claim.text
        assert claim.margin is None or abs(d - claim.by) < claim.margin


def test_the_margin_of_comparable_is_option_a_against_b() -> None:
    [claim] = [c for c in TABLE2.claims if c.margin is not None and not c.by]
    assert claim.margin == 0.51  # 25.03 - 24.52
    assert "0.51 points" in claim.text


@pytest.mark.parametrize(
    ("key", "printed", "where"),
    [
        (Published("", "ten_crop_top1_error", "table2", "ResNet-34"), "25.03", "Table 2"),
        (Published("", "ten_crop_top5_error", "table3", "ResNet-152"), "5.71", "Table 3"),
        (Published("", "dense_top5_error", "table4", "ResNet-152"), "4.49", "Table 4"),
        (Published("", "top5_error", "table5", "ResNet (ILSVRC'15)"), "3.57", "Table 5"),
        (Published("", "test_error", "fig4", "plain-34"), "32.58", FIG4_STAGE),
    ],
)
def test_published_values(key: Published, printed: str, where: str) -> None:
    [value] = published_for(key)
    assert (value.text, value.where, value.dataset) == (printed, where, "imagenet")


def test_nothing_published_goes_with_the_small_data_set() -> None:
    assert IMAGENETTE.published == ()
    assert IMAGENETTE.section.startswith("ours")
    assert {arm.dataset for arm in IMAGENETTE.arms} == {"imagenette"}
    assert "Imagenette (protocol imagenette)" in IMAGENETTE.title


# Rows and verdicts


def test_the_paper_prints_no_spread_of_imagenet_so_one_seed_settles_nothing(
    tmp_path: Path,
) -> None:
    assert seed_std_prior("imagenet", "ten_crop_top1_error") is None
    row = row_of(TABLE2, frames(tmp_path, *FOUR), "plain18", "ten_crop_top1_error")
    assert row.published is not None
    assert (row.published.value, row.ours.mean) == (27.94, 27.7)
    assert row.ours.difference == pytest.approx(-0.24)
    assert (row.ours.verdict, row.ours.half_width) == ("undetermined", None)


def test_two_seeds_of_one_arm_lend_their_spread_to_its_family(tmp_path: Path) -> None:
    second = imagenet("resnet34-A", 25.14, 7.8, seed=1)
    found = frames(tmp_path, *FOUR, second)
    row = row_of(TABLE2, found, "resnet34-A", "ten_crop_top1_error")
    # s^2 = 0.02^2 * 2 = 0.0008, df 1: t(0.975, 1) = 12.7062; h = 12.7062 * 0.028284 * sqrt(1.5)
    assert row.ours.half_width == pytest.approx(0.440155, abs=1e-5)
    # one-sided: 25.12 - 25.03 + 6.313752 * 0.028284 * sqrt(1.5) = 0.09 + 0.218715
    assert row.ours.verdict == "reproduced"
    other = row_of(TABLE2, found, "resnet18-A", "ten_crop_top1_error")
    assert other.ours.half_width == pytest.approx(0.508248, abs=1e-5)  # sqrt(2): one seed
    assert other.ours.verdict == "reproduced"  # 0.08 + 0.252551
    plain18 = row_of(TABLE2, found, "plain18", "ten_crop_top1_error")
    assert (plain18.ours.verdict, plain18.ours.half_width) == ("undetermined", None)
    assert row_of(TABLE3, found, "resnet34-A", "ten_crop_top5_error").ours.half_width == 0


def test_each_table_takes_its_own_test(tmp_path: Path) -> None:
    fake = imagenet("resnet50", 22.9, 6.7, test_error=24.9)
    both = {**fake.evaluations, "dense": (20.8, 5.3), "center": (24.9, 7.9)}
    found = frames(tmp_path, imagenet("resnet50", test_error=24.9, evaluations=both))
    shown = {
        (a.name, r.metric): r.ours.mean
        for a in (TABLE3, TABLE4)
        for r in table(a, found).rows
        if r.arm == "resnet50"
    }
    assert shown == {
        ("table3", "ten_crop_top1_error"): 22.9,
        ("table3", "ten_crop_top5_error"): 6.7,
        ("table4", "dense_top1_error"): 20.8,
        ("table4", "dense_top5_error"): 5.3,
    }
    assert [run.values["center_top5_error"] for run in found.runs] == [7.9]
    notes = "\n".join(table(TABLE3, found).notes)
    assert "Evaluated as ten_crop: shorter side 256; crop 224; BN statistics moving." in notes


def test_a_shorter_protocol_is_reduced(tmp_path: Path) -> None:
    found = frames(tmp_path, imagenet("resnet50", 26.0, 8.0, protocol="short"))
    assert row_of(TABLE3, found, "resnet50", "ten_crop_top1_error").ours.verdict == "reduced"
    assert "short (75,000 of the paper's 600,000 iterations)" in table(TABLE3, found).caption


def test_a_run_without_the_evaluation_is_missing_with_the_command_for_it(tmp_path: Path) -> None:
    bare = imagenet("resnet34-B", seed=1)
    found = frames(tmp_path, imagenet("resnet34-B", 24.5, 7.5), bare, imagenet("resnet50"))
    row = row_of(TABLE3, found, "resnet34-B", "ten_crop_top1_error")
    assert (row.ours.mean, row.seeds) == (24.5, (0,))  # the other seed is not counted as lost
    assert row_of(TABLE3, found, "resnet50", "ten_crop_top5_error").ours.verdict == "missing"
    [note] = [n for n in table(TABLE3, found).notes if "not evaluated yet" in n]
    command = "python -m resnet_repro evaluate --run RESULTS/imagenet/{} --crops 10"
    for run in ("resnet34-B/paper/seed1", "resnet50/paper/seed0"):
        assert f"`{command.format(run)}`" in note
    assert note.count("`") == 4
    assert "--crops dense" in " ".join(table(TABLE4, found).notes)
    assert not any("not evaluated" in n for n in table(FIG4, found).notes)


def test_a_diverged_run_is_not_asked_to_be_evaluated(tmp_path: Path) -> None:
    lost = imagenet("resnet50", test_error=None, train_error=None, status="diverged")
    found = frames(tmp_path, lost)
    assert row_of(TABLE3, found, "resnet50", "ten_crop_top1_error").ours.verdict == "diverged"
    assert not any("not evaluated" in n for n in table(TABLE3, found).notes)


def test_quoted_rows_stand_beside_ours_without_a_verdict(tmp_path: Path) -> None:
    rows = {
        a.name: {(r.arm, r.metric) for r in table(a, frames(tmp_path)).rows if r.quoted}
        for a in OURS
    }
    assert ("VGG-16", "top1_error") in rows["table3"]
    assert ("GoogLeNet", "top1_error") not in rows["table3"]
    assert ("VGG (ILSVRC'14)", "top5_error") in rows["table4"]
    assert len(rows["table3"]) == 5
    assert len(rows["table5"]) == 5
    assert rows["table2"] == rows["fig4"] == rows["imagenette"] == set()
    text = render.markdown(table(TABLE3, frames(tmp_path)))
    assert "| VGG-16 | top-1 error, % |  | 28.07 | quoted, not run here |" in text


def test_table_5_is_an_ensemble_and_never_compared(tmp_path: Path) -> None:
    found = frames(tmp_path, imagenet("resnet50"), imagenet("resnet152"))
    [missing] = [r for r in table(TABLE5, found).rows if not r.quoted]
    assert (missing.arm, missing.ours.verdict) == ("ensemble", "missing")
    assert make_view(TABLE5, found).empty
    name = "dense-of2-01234567"
    ensemble(tmp_path / "results", name, "resnet50/paper/seed0", "resnet152/paper/seed0")
    ensemble(tmp_path / "results", "other", "x/imagenette/seed0", dataset="imagenette")
    found = read_frames([tmp_path / "results"])
    [row] = [r for r in table(TABLE5, found).rows if not r.quoted]
    assert (row.arm, row.protocol, row.metric) == (name, "paper", "top5_error")
    assert row.published is not None
    assert (row.published.text, row.published.split) == ("3.57", "test server")
    assert (row.ours.mean, row.ours.verdict) == (4.1, "not comparable")
    assert (row.ours.difference, row.ours.half_width) == (None, None)
    text = render.markdown(table(TABLE5, found))
    assert f"{name}: resnet50/paper/seed0, resnet152/paper/seed0" in text
    assert "*not comparable*" in text
    [line] = plain_rows(RESULTS, [row])
    assert (line["suite"], line["verdict"]) == (4.1, "not comparable")


def test_ensembles_of_either_side_are_compared_by_name(tmp_path: Path) -> None:
    ensemble(tmp_path / "a", "one", "resnet50/paper/seed0")
    ensemble(tmp_path / "b", "two", "resnet50/short/seed0", "weights.pth")
    both = side_by_side(TABLE5, read_frames([tmp_path / "a"]), read_frames([tmp_path / "b"]))
    found = [(b.suite.arm, b.suite.ours.verdict, b.yours.ours.verdict) for b in both]
    assert found == [("one", "not comparable", "missing"), ("two", "missing", "not comparable")]
    assert both[1].suite.protocol == "short"


def test_an_ensemble_in_two_folders_counts_once(tmp_path: Path) -> None:
    for folder, top5 in (("a", 4.1), ("b", 4.2)):
        ensemble(tmp_path / folder, "one", "resnet50/paper/seed0", top5=top5)
    found = read_frames([tmp_path / "a", tmp_path / "b"]).ensembles
    assert [e.made.number("top5_error") for e in found] == [4.1]


def test_photographs_name_their_data_set_and_their_error(tmp_path: Path) -> None:
    found = frames(tmp_path, small("plain18", 20.0, 40.0), *FOUR[:1])
    text = render.markdown(table(IMAGENETTE, found))
    assert "Data set: imagenette. Protocol: imagenette (500 iterations)." in text
    assert "| plain18 | top-1 error, centre crop, % | imagenette | 40.00 (n = 1) |" in text
    assert "stand beside no ImageNet value" in text
    assert all(
        r.published is None and not r.ours.verdict for r in table(IMAGENETTE, found).rows[:2]
    )
    text = render.markdown(table(FIG4, found))
    assert f"| top-1 error, centre crop, % | paper | 31.43 ({FIG4_STAGE}) | 31.00" in text


# Claims


def test_the_claims_of_section_4_1(tmp_path: Path) -> None:
    found = frames(tmp_path, *FOUR)
    labels = {r.claim.text: r.result.label for r in table(TABLE2, found).claims}
    assert len(labels) == 7
    assert set(labels.values()) == {"holds (one seed, spread unknown)"}
    reversed_ = frames(
        tmp_path / "other",
        imagenet("plain18", 29.0, 9.4, train_error=33.0),
        imagenet("plain34", 28.0, 10.2, train_error=32.0),
    )
    labels = {r.claim.text: r.result.label for r in table(TABLE2, reversed_).claims}
    assert labels["plain-34 has a higher error than plain-18"] == "fails (one seed, spread unknown)"
    text = "plain-34 has a higher training error than plain-18 throughout"
    assert labels[text] == "fails (one seed, spread unknown)"
    assert labels["ResNet-34 has a lower error than plain-34"] == "missing"


def test_a_claim_compares_the_seeds_that_were_evaluated(tmp_path: Path) -> None:
    found = frames(
        tmp_path,
        imagenet("resnet34-A", 25.0, 7.8),
        imagenet("resnet34-A", 25.4, 7.8, seed=1),
        imagenet("resnet34-B", 24.5, 7.5),
        imagenet("resnet34-B", seed=1),
        imagenet("resnet34-C"),
    )
    rows = {r.claim.text: r for r in table(TABLE3, found).claims}
    better = rows["Option B is slightly better than A"]
    assert (better.higher_seeds, better.lower_seeds) == ((0, 1), (0,))
    # 25.2 - 24.5; s = 0.282843 with df 1: h = 12.706205 * 0.282843 * sqrt(1/2 + 1)
    assert better.result.difference == pytest.approx(0.7)
    assert better.result.half_width == pytest.approx(4.401559, abs=1e-5)
    assert better.result.label == "inconclusive"
    assert rows["Option C is marginally better than B"].result.label == "missing"
    [cells] = text_grid(CLAIMS, [better]).rows
    assert cells[1] == "top-1 error, 10-crop, %"


def test_the_small_companions_claims(tmp_path: Path) -> None:
    found = frames(
        tmp_path,
        small("plain18", 30.0, 45.0),
        small("plain34", 36.0, 50.0),
        small("resnet18-A", 24.0, 40.0),
        small("resnet34-A", 25.0, 41.0),
        small("resnet34-B", 20.0, 41.5),
        small("resnet34-C", 20.0, 38.0),
    )
    labels = [r.result.label for r in table(IMAGENETTE, found).claims]
    holds, fails = (f"{word} (one seed, spread unknown)" for word in ("holds", "fails"))
    # plain throughout, plain at the end, residual (not here), residual below plain, A-B, A-C, B-C
    assert labels == [holds, holds, fails, holds, holds, fails, fails]


def test_gradient_claims_of_imagenet_networks_have_a_stage_more(tmp_path: Path) -> None:
    claim = artifacts.Claim(
        "healthy",
        higher="plain34",
        lower="plain18",
        metric="gradient_norm",
        scope="throughout",
        factor=0.1,
    )
    artifact = Artifact("x", "x", "x", "x", arms=FIG4.arms, claims=(claim,))
    found = frames(tmp_path, *FOUR)
    [row] = table(artifact, found).claims
    assert row.result.detail.startswith("in 45 of 45 rows and stages")  # 9 rows, conv1 to layer4


# Figures


def drawn(artifact: Artifact, found: Frames) -> Figure:
    figure = artifacts.load(artifact.name).draw(make_view(artifact, found))
    assert isinstance(figure, Figure)
    return figure


def test_fig_4_is_drawn_as_in_the_paper(tmp_path: Path) -> None:
    figure = drawn(FIG4, frames(tmp_path, *FOUR))
    left, right = figure.axes
    for ax, network, final in (
        (left, "plain-34", (32.5, 32.6)),
        (right, "ResNet-34", (24.9, 28.4)),
    ):
        assert len(ax.get_lines()) == 8  # two networks, two errors, ours and the paper's
        assert {(600_000, e) for e in final} <= set(ends(ax))
        assert ax.get_ylim() == (20, 65)
        assert ax.get_xlim() == (0, 600_000)
        theirs = [np.asarray(line.get_ydata()).tolist() for line in ax.get_lines()]
        for split in ("train", "test"):
            assert curve("fig4", network, split)["error_pct"].tolist() in theirs
    assert {line.get_linestyle() for line in left.get_lines()} == {"-"}
    assert sorted({line.get_linewidth() for line in left.get_lines()}) == [0.6, 0.9, 1.6, 2.2]
    [thin] = [x for x in left.get_lines() if ends_at(x) == (600_000, 32.5)]
    [bold] = [x for x in left.get_lines() if ends_at(x) == (600_000, 32.6)]
    assert (thin.get_linewidth(), bold.get_linewidth()) == (0.9, 2.2)
    assert thin.get_color() == bold.get_color() == style.colour("plain34")
    ticks = [t.get_text() for t in left.get_xticklabels()]
    assert ticks == ["0", "10", "20", "30", "40", "50", "60"]
    assert "validation error, centre crop" in words(figure)
    assert "Data set: imagenet." in small_print(figure)


def ends_at(line: Line2D) -> tuple[float, float]:
    x, y = (np.asarray(values, dtype=float) for values in (line.get_xdata(), line.get_ydata()))
    return float(x[-1]), round(float(y[-1]), 2)


def test_a_curve_below_the_papers_axis_is_still_seen(tmp_path: Path) -> None:
    made = imagenet("plain34"), imagenet("resnet34-A", train_error=12.0)
    left, right = drawn(FIG4, frames(tmp_path, *made)).axes
    assert left.get_ylim() == right.get_ylim() == (0, 65)


def test_fig_4_under_a_shorter_protocol_is_drawn_by_the_fraction(tmp_path: Path) -> None:
    found = frames(tmp_path, imagenet("plain18", protocol="short"))
    [left] = drawn(FIG4, found).axes
    assert left.get_xlabel() == "fraction of training"
    assert max(x for x, _ in ends(left)) == 1.0
    assert min(x for x, _ in ends(left)) == pytest.approx(550 / 600, abs=1e-3)


def test_the_small_companion_shows_no_curve_of_the_paper(tmp_path: Path) -> None:
    fakes = [small(arm.name, 20.0 + i, 40.0 + i) for i, arm in enumerate(IMAGENETTE.arms)]
    figure = drawn(IMAGENETTE, frames(tmp_path, *fakes, *FOUR))
    plain_, residual, options = figure.axes
    assert [len(ax.get_lines()) for ax in figure.axes] == [4, 4, 6]
    assert {ax.get_ylim() for ax in figure.axes} == {(0, 100)}
    assert len({to_hex(line.get_color()) for line in options.get_lines()}) == 3
    assert "the paper's curves" not in words(figure)
    printed = small_print(figure)
    assert "Data set: imagenette. Protocol: imagenette" in printed
    assert "stand beside no ImageNet value" in printed
    assert (plain_.get_xlim(), residual.get_xlabel()) == ((0, 500), "iterations")


def test_tables_are_drawn_published_quoted_and_recorded(tmp_path: Path) -> None:
    found = frames(tmp_path, *FOUR, imagenet("resnet34-A", 25.3, 7.9, seed=1), imagenet("resnet50"))
    figure = drawn(TABLE3, found)
    top1, top5 = figure.axes
    names = [t.get_text() for t in top1.get_yticklabels()]
    assert names[:4] == ["VGG-16", "GoogLeNet", "PReLU-net", "plain-34"]
    marks = {
        (label, round(float(x), 2), names[round(float(y))])
        for line in top1.get_lines()
        for label in [str(line.get_label())]
        for x, y in zip(*(np.asarray(v) for v in (line.get_xdata(), line.get_ydata())), strict=True)
    }
    assert ("quoted by the paper", 28.07, "VGG-16") in marks
    assert ("paper", 25.03, "ResNet-34-A") in marks
    assert ("ours, mean of the final iterates", 25.2, "ResNet-34-A") in marks
    assert {("each seed", 25.1, "ResNet-34-A"), ("each seed", 25.3, "ResNet-34-A")} <= marks
    assert len(top5.get_lines()) > len(names)
    assert "Not evaluated yet: resnet50." in small_print(figure)


def test_table_5_draws_ensembles_apart_from_the_published_one(tmp_path: Path) -> None:
    ensemble(tmp_path / "results", "dense-of1-0", "resnet50/paper/seed0")
    [ax] = drawn(TABLE5, frames(tmp_path)).axes
    names = [t.get_text() for t in ax.get_yticklabels()]
    assert names[-2:] == ["ResNet (ILSVRC'15)", "dense-of1-0"]
    found = {str(line.get_label()): float(np.asarray(line.get_xdata())[0]) for line in ax.lines}
    assert found["paper"] == 3.57
    assert found["ours, on the validation images: not comparable"] == 4.1


@pytest.mark.parametrize("artifact", OURS, ids=lambda a: a.name)
@pytest.mark.parametrize("complete", [True, False])
def test_no_words_lie_on_words(tmp_path: Path, artifact: Artifact, complete: bool) -> None:
    fakes = [
        Fake(arm.name, 35.0, 30.0, dataset=arm.dataset, protocol=artifact.protocol, seed=seed)
        for arm in artifact.arms[: None if complete else 2]
        for seed in (0, 1)
    ]
    ensemble(tmp_path / "results", "dense-of2-01234567", "a/paper/seed0", "b/paper/seed0")
    found = frames(tmp_path, *fakes)
    with style.style():
        assert overlaps(drawn(artifact, found)) == []


def test_digests_follow_evaluations_and_ensembles_and_leave_others_alone(tmp_path: Path) -> None:
    def digest(name: str, artifact: Artifact, *fakes: Fake) -> str:
        return plotted_digest(make_view(artifact, frames(tmp_path / name, *fakes)))

    cifar = artifacts.load("fig1").artifact
    one = Fake("plain20", 9.7, 1.4)
    assert digest("a", cifar, one) == digest("b", cifar, one, *FOUR)
    bare = digest("c", TABLE2, imagenet("plain18"))
    evaluated = digest("d", TABLE2, imagenet("plain18", 27.9, 9.4))
    assert len({bare, evaluated, digest("e", TABLE2, imagenet("plain18", 27.8, 9.4))}) == 3
    seen = set()
    for name, top5 in (("f", 4.1), ("g", 4.2)):
        ensemble(tmp_path / name / "results", "one", "a/paper/seed0", top5=top5)
        seen.add(digest(name, TABLE5))
    assert len(seen) == 2


def test_colours_of_imagenet_depths_differ() -> None:
    names = [*(f"plain{d}" for d in (18, 34)), *(f"resnet{d}" for d in BOTTLENECK_DEPTHS)]
    assert len({style.colour(name) for name in names}) == len(IMAGENET_DEPTHS)
    assert style.colour("plain34") == style.colour("resnet34-C")


# What is missing, and how long it takes


def test_missing_runs_of_both_kinds(tmp_path: Path) -> None:
    rows = missing_runs(OURS, frames(tmp_path, *FOUR[:2], Fake("resnet20")))
    named = {(str(m.run), m.wanted_by) for m in rows}
    assert ("imagenet/resnet18-A/paper/seed0", ("table2", "fig4")) in named
    assert ("imagenet/resnet152/paper/seed1", ("table5",)) in named  # two of its kind
    assert ("imagenette/plain34/imagenette/seed0", ("imagenette",)) in named
    assert not any(run.startswith("imagenet/plain") for run, _ in named)
    last = rows[-1]
    assert last.command == (
        "python -m resnet_repro run table5 --arms resnet152 --seeds 1 --protocol paper"
    )


def test_hours_are_scaled_by_multiply_adds_within_a_data_set(tmp_path: Path) -> None:
    found = frames(
        tmp_path,
        imagenet("resnet50", images_per_second=500.0, device_name="Some GPU"),
        Fake("plain20", device_name="Some Processor"),
        Fake("plain18", dataset="imagenette", protocol="imagenette", device_name="Old"),
    )
    rows = {str(m.run): m.hours for m in missing_runs(OURS, found)}
    # 600,000 * 256 images / 500 a second / 3,600 = 85.33 h of ResNet-50; counts in the records
    count = {c.name: c.multiply_adds for c in committed().counts}
    expected = 600_000 * 256 / 500 / 3600 * count["resnet152"] / count["resnet50"]
    assert rows["imagenet/resnet152/paper/seed0"] == {"Some GPU, fp32": pytest.approx(expected)}
    # 500 * 256 images at 1,000 a second on plain-18, crop 112: the same crop on both sides
    ratio = count["plain34"] / count["plain18"]
    assert rows["imagenette/plain34/imagenette/seed0"] == {
        "Old, fp32": pytest.approx(500 * 256 / 1000 / 3600 * ratio)
    }
    grid = missing_grid(missing_runs([TABLE4, artifacts.load("fig1").artifact], found))
    column = grid.columns.index("hours on Some GPU, fp32")
    cells = {row[0]: row[column] for row in grid.rows}
    assert cells["plain56 seed 0, paper"] == NOT_MEASURED
    assert cells["resnet101 seed 0 on imagenet, paper"] != NOT_MEASURED


def committed() -> Frames:
    return read_frames([ROOT / "results" / "recorded"])


def test_a_smaller_crop_takes_less_time(tmp_path: Path) -> None:
    found = frames(tmp_path, small("plain18", 20.0, 40.0))  # crop 112
    same, full = (seconds_per_image(found, "imagenette", "plain18", crop) for crop in (112, 224))
    assert same == {"Some Processor, fp32": pytest.approx(0.001)}
    assert full["Some Processor, fp32"] == pytest.approx(0.004)
    assert seconds_per_image(found, "imagenet", "plain18") == {}
    assert seconds_per_image(found, "imagenette", "resnet18-C") == {}  # not counted


def test_the_time_table_names_data_set_and_threads(tmp_path: Path) -> None:
    rows = pace(frames(tmp_path, Fake("plain20"), imagenet("plain18"))).rows
    assert [row[5] for row in rows] == ["1", "1"]
    assert [row[:3] for row in rows] == [
        ("plain20", "cifar10", "paper"),
        ("plain18", "imagenet", "paper"),
    ]


def test_the_results_page_shows_them_all_and_what_is_wanting(tmp_path: Path) -> None:
    ensemble(tmp_path / "results", "dense-of1-0", "resnet50/paper/seed0")
    found = frames(tmp_path, *FOUR, imagenet("resnet50"), Fake("resnet20", 8.7))
    where = tmp_path / "docs" / "results.md"
    text = results_page(where, [tmp_path / "results"], found, tmp_path / "figures")
    for artifact in OURS:
        assert f"\n## {artifact.title}\n" in text
    assert "[27.70 (n = 1)](../results/imagenet/plain18/paper/seed0)" in text
    assert "[4.10 (n = 1)](../results/imagenet/ensembles/dense-of1-0.json)" in text
    tail = text[text.index("\n## Missing\n") :]
    assert "| imagenet/resnet50/paper/seed0 | table3 | `python -m resnet_repro evaluate" in tail
    assert "`python -m resnet_repro evaluate --run RUN --crops dense` (table4)" in tail
    assert "wants an ensemble" not in tail
    bare = results_page(where, [], frames(tmp_path / "none"), tmp_path / "figures")
    runs = [f"--run RESULTS/imagenet/{a.name}/paper/seed0" for a in TABLE5.arms]
    assert (
        f"evaluate {' '.join(runs)} --run RESULTS/imagenet/resnet152/paper/seed1 --crops dense`"
        in bare
    )


REPORT = """
import sys
from pathlib import Path
from resnet_repro.models.names import BOTTLENECK_DEPTHS, IMAGENET_DEPTHS
from resnet_repro.paper import artifacts
from resnet_repro.report.write import write_report
paths = write_report([Path(sys.argv[1])], Path(sys.argv[2]), Path(sys.argv[2]),
                     ["fig4", "table2", "table5", "imagenette"])
print(*sorted(p.name for p in paths if p.suffix == ".svg"))
"""


def test_the_report_needs_no_torch(tmp_path: Path) -> None:
    write(tmp_path / "results", FOUR[0], small("plain18", 20.0, 40.0))
    ensemble(tmp_path / "results", "one", "resnet50/paper/seed0")
    block = tmp_path / "block"
    block.mkdir()
    for name in ("torch", "torchvision", "safetensors"):
        (block / f"{name}.py").write_text("raise AssertionError('reporting imports ' + __name__)")
    done = subprocess.run(
        [sys.executable, "-c", REPORT, str(tmp_path / "results"), str(tmp_path / "out")],
        env={"PYTHONPATH": f"{block}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["fig4.svg", "imagenette.svg", "table2.svg", "table5.svg"]
