"""docs/results.md: numbers lead to records, gaps are named with their cost, and it repeats."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from resnet_repro.cli import main
from resnet_repro.paper import artifacts
from resnet_repro.report.load.frames import Frames
from resnet_repro.report.load.records import read_frames
from resnet_repro.report.results_page import results_page
from resnet_repro.report.sections.short_vs_full import agreement, predictions, spearman
from resnet_repro.report.throughput import seconds_per_image
from resnet_repro.report.todo import missing_grid, missing_runs
from resnet_repro.report.write import write_report
from tests.helpers.records import Fake, counts, write

TABLE6 = artifacts.load("table6").artifact
FIG1 = artifacts.load("fig1").artifact
DEMO = artifacts.load("demo").artifact
FAKES = (
    Fake("resnet20", 8.7),
    Fake("resnet20", 8.9, seed=1),
    Fake("resnet20", 12.9, protocol="short"),
    Fake("plain20", 9.7, 1.4),
    Fake("plain56", 13.2, 6.0),
)


def frames(tmp_path: Path, *fakes: Fake) -> Frames:
    write(tmp_path / "recorded", *fakes)
    return read_frames([tmp_path / "recorded"])


def page(tmp_path: Path, *fakes: Fake) -> str:
    found = frames(tmp_path, *fakes)
    where = tmp_path / "docs" / "results.md"
    return results_page(where, [tmp_path / "recorded"], found, tmp_path / "figures")


# The page


def test_numbers_lead_to_their_records(tmp_path: Path) -> None:
    text = page(tmp_path, *FAKES)
    seeds = "../recorded/cifar10/resnet20/paper"
    assert f"[8.80 ± 0.14 (n = 2)]({seeds})" in text  # the folder of both seeds
    assert "[12.90 (n = 1)](../recorded/cifar10/resnet20/short/seed0)" in text
    assert "[plain56 13.20](../recorded/cifar10/plain56/paper/seed0)" in text  # a claim's side
    links = re.findall(r"\]\((\.\./[^)]+)\)", text)
    assert len(links) > 10
    assert all((tmp_path / "docs" / link).resolve().is_dir() for link in links)


def test_every_number_of_ours_is_linked(tmp_path: Path) -> None:
    text = page(tmp_path, *FAKES)
    for line in text.splitlines():
        for cell in re.split(r"(?<!\\)\| ", line):
            bare = re.fullmatch(r"\d+\.\d\d( ± \d\.\d\d)? \(n = \d\) ", cell)
            # what the paper printed with its own n has no record
            assert bare is None or cell in ("6.61 ± 0.16 (n = 5) ", "7.72 ± 0.16 (n = 5) "), line


def test_counted_numbers_lead_to_their_counts(tmp_path: Path) -> None:
    counts(tmp_path / "recorded", "resnet50")
    text = page(tmp_path)
    assert "](../recorded/counts/resnet50.json)" in text
    assert "resnet101.json" not in text


def test_parameters_of_a_network_without_runs_lead_to_its_count(tmp_path: Path) -> None:
    counts(tmp_path / "recorded", "resnet20", "resnet110")
    text = page(tmp_path, *FAKES)
    rows = {"resnet110": "counts/resnet110.json", "resnet20": "cifar10/resnet20"}
    for arm, place in rows.items():
        line = next(s for s in text.splitlines() if s.startswith(f"| {arm} | parameters"))
        assert f"](../recorded/{place})" in line


def test_figures_are_shown_where_there_are_some(tmp_path: Path) -> None:
    (tmp_path / "figures").mkdir()
    for name in ("fig1", "fig7"):
        (tmp_path / "figures" / f"{name}.svg").write_text("<svg/>")
    text = page(tmp_path, FAKES[3])
    assert "](../figures/fig1.svg)" in text
    assert "](../figures/fig6.svg)" not in text  # not drawn
    text = page(tmp_path / "other")
    assert "fig7.svg" not in text  # nothing of it recorded


def test_every_artifact_of_the_paper_has_a_section_and_an_entry(tmp_path: Path) -> None:
    text = page(tmp_path)
    for name in artifacts.names():
        artifact = artifacts.load(name).artifact
        assert (f"\n## {artifact.title}\n" in text) == (name != "demo")
    anchors = set(re.findall(r"\]\(#([^)]+)\)", text))
    headings = re.findall(r"^## (.+)$", text, re.M)
    made = {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}
    assert anchors <= made


def test_the_same_records_give_the_same_page(tmp_path: Path) -> None:
    assert page(tmp_path / "a", *FAKES) == page(tmp_path / "b", *reversed(FAKES))


def test_the_command_writes_it_with_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "recorded", FAKES[3])
    where = tmp_path / "docs" / "results.md"
    words = ["report", "fig1", "--results-dir", str(tmp_path / "recorded")]
    words += ["--figures-dir", str(tmp_path / "figures"), "--tables-dir", str(tmp_path / "t")]
    assert main([*words, "--results-page", str(where)]) == 0
    assert f"wrote {where}" in capsys.readouterr().out
    assert "](../figures/fig1.svg)" in where.read_text()


def test_without_the_option_no_page_is_written(tmp_path: Path) -> None:
    write(tmp_path / "recorded", FAKES[3])
    written = write_report([tmp_path / "recorded"], tmp_path / "f", tmp_path / "t", ["fig1"])
    assert not [path for path in written if path.name == "results.md"]


# Missing


def test_missing_runs_come_seed_by_seed_and_once(tmp_path: Path) -> None:
    found = missing_runs([FIG1, TABLE6, DEMO], frames(tmp_path, *FAKES))
    named = [(m.run.arm, m.run.seed) for m in found]
    # One seed of everything first; the paper ran ResNet-110 five times.
    assert named == [
        *((f"resnet{depth}", 0) for depth in (32, 44, 56, 110, 1202)),
        *(("resnet110", seed) for seed in (1, 2, 3, 4)),
    ]
    assert found[0].command == (
        "python -m resnet_repro run table6 --arms resnet32 --seeds 0 --protocol paper"
    )


def test_a_shorter_record_is_named_and_does_not_count(tmp_path: Path) -> None:
    found = missing_runs([FIG1], frames(tmp_path, Fake("plain20", protocol="short")))
    assert [(m.run.arm, m.elsewhere) for m in found] == [
        ("plain20", ("short",)),
        ("plain56", ()),
    ]


def test_a_diverged_run_is_no_missing_one(tmp_path: Path) -> None:
    found = missing_runs([FIG1], frames(tmp_path, Fake("plain20", None, None, status="diverged")))
    assert [m.run.arm for m in found] == ["plain56"]


def test_hours_are_scaled_by_the_networks_work(tmp_path: Path) -> None:
    found = frames(
        tmp_path, Fake("plain20"), Fake("resnet20", device_name="Some GPU", precision="bf16")
    )
    # 1,000 images a second at 20 layers: 56/20 of a millisecond an image at 56
    assert seconds_per_image(found, "cifar10", "plain56") == {
        "Some GPU, bf16": pytest.approx(0.0028),
        "Some Processor, fp32": pytest.approx(0.0028),
    }
    narrow = seconds_per_image(found, "cifar10", "plain20-w8")
    assert narrow["Some GPU, bf16"] == pytest.approx(0.00025)
    rows = missing_runs([FIG1], found)
    # 64,000 * 128 images * 0.0028 s / 3,600 = 6.3716 h
    assert rows[0].hours["Some GPU, bf16"] == pytest.approx(6.3716, abs=1e-4)
    grid = missing_grid(rows)
    assert grid.columns[3:5] == ("hours on Some GPU, bf16", "hours on Some Processor, fp32")
    assert grid.rows[0][3] == "6.4"


def test_without_any_record_there_are_no_hours_to_give(tmp_path: Path) -> None:
    found = missing_runs([FIG1], frames(tmp_path))
    assert [m.hours for m in found] == [{}, {}]
    assert missing_grid(found).columns == ("run", "wanted by", "recorded under", "command")


def test_nothing_missing_is_said(tmp_path: Path) -> None:
    everything = [
        Fake(
            m.arm.name,
            network=m.arm.network,
            seed=m.run.seed,
            dataset=m.run.dataset,
            protocol=m.run.protocol,
        )
        for m in missing_runs(
            [artifacts.load(n).artifact for n in artifacts.names()], frames(tmp_path)
        )
    ]
    assert {f.dataset for f in everything} == {"cifar10", "imagenet", "imagenette"}
    assert "every run that an artifact wants is recorded" in page(tmp_path, *everything)


# Prediction


def pair(arm: str, quarter: float, full: float) -> list[Fake]:
    return [Fake(arm, quarter, protocol="quarter"), Fake(arm, full)]


def test_no_arm_under_both_protocols_is_said_in_one_line(tmp_path: Path) -> None:
    text = page(tmp_path, Fake("plain20", protocol="short"), Fake("plain56"))
    assert "No arm has a record under both `quarter` and `paper` yet.\n" in text


def test_arms_under_both_protocols_are_set_side_by_side(tmp_path: Path) -> None:
    fakes = [
        *pair("resnet20", 12.9, 8.7),
        *pair("resnet32", 11.4, 7.6),
        *pair("plain20", 12.0, 9.7),
        Fake("plain20", 14.0, protocol="quarter", seed=1),
    ]
    found = predictions(frames(tmp_path, *fakes))
    assert [(p.arm, p.quarter, p.full) for p in found] == [
        ("resnet32", 11.4, 7.6),
        ("resnet20", 12.9, 8.7),
        ("plain20", 13.0, 9.7),
    ]
    assert agreement(found) == "cifar10: rank agreement of 3 arms (Spearman): 1.00."
    text = page(tmp_path, *fakes)
    row = next(line for line in text.splitlines() if line.startswith("| plain20 | [13.00 (n = 2)]"))
    assert "(../recorded/cifar10/plain20/quarter)" in row
    assert row.endswith("| -3.30 |")


def test_two_arms_have_no_rank_agreement(tmp_path: Path) -> None:
    fakes = [*pair("resnet20", 12.9, 8.7), *pair("resnet32", 11.4, 7.6)]
    found = predictions(frames(tmp_path, *fakes))
    assert agreement(found) == "cifar10: too few arms (2) to compare ranks."


def test_a_diverged_arm_predicts_nothing(tmp_path: Path) -> None:
    lost = Fake("plain20", None, None, status="diverged")
    assert predictions(frames(tmp_path, Fake("plain20", protocol="quarter"), lost)) == []


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([1.0, 2.0, 3.0], [10.0, 20.0, 15.0], 0.5),  # d = 0, 1, -1: 1 - 6 * 2 / (3 * 8)
        ([3.0, 2.0, 1.0], [1.0, 2.0, 3.0], -1.0),
        ([1.0, 1.0, 2.0], [1.0, 2.0, 3.0], 0.8660254),  # ranks 1.5, 1.5, 3: sqrt(3) / 2
        ([1.0, 1.0, 1.0], [1.0, 2.0, 3.0], None),
    ],
)
def test_rank_correlation(a: list[float], b: list[float], expected: float | None) -> None:
    found = spearman(a, b)
    assert found == (None if expected is None else pytest.approx(expected))
