"""The joint test of a table, against numbers worked out by hand."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnet_repro.messages import translated
from resnet_repro.paper import artifacts
from resnet_repro.report import render
from resnet_repro.report.comparison import (
    compare_records,
    comparison_json,
    comparison_lines,
)
from resnet_repro.report.load.records import read_frames
from resnet_repro.report.tables import table
from resnet_repro.report.verdicts.joint import Difference, combine, family_test, joint_test
from resnet_repro.report.write import write_report
from tests.helpers.records import Fake, imagenet, write

S = 0.16
# 0.04 / 2 + 0.09 / (4/3) = 0.0875; F = 0.0875 / (2 * 0.0256) = 1.708984
# With two degrees of freedom above, p = (1 + 2 F / df)^(-df / 2) = 1.854492^-2 = 0.290770
RESIDUAL = [Difference(0.2, 1, 1), Difference(-0.3, 3, 1)], (0.16, 4)
# 0.25 / 2 + 0.01 / 2 = 0.13; F = 0.13 / (2 * 0.04) = 1.625; p = 1 / (1 + 1.625) = 0.380952
PLAIN = [Difference(0.5, 1, 1), Difference(0.1, 1, 1)], (0.2, 2)


def test_one_family_is_an_f_test() -> None:
    found = family_test("residual", *RESIDUAL)
    assert (found.arms, found.df) == (2, 4)
    assert found.f == pytest.approx(1.708984, abs=1e-6)
    assert found.p == pytest.approx(0.290770, abs=1e-6)
    joint = joint_test("test_error", "cifar10", {"residual": RESIDUAL})
    assert joint is not None
    assert joint.p == found.p  # one family is not combined with anything


def test_a_published_mean_of_several_runs_scatters_less() -> None:
    # 0.04 / (1/2 + 1/5) = 0.0571429; F = 0.0571429 / (1 * 0.0256) = 2.232143
    found = family_test("residual", [Difference(0.2, 2, 5)], (0.16, 4))
    assert found.f == pytest.approx(2.232143, abs=1e-6)


def test_a_joint_test_says_of_what_it_is() -> None:
    joint = joint_test("test_error", "imagenet", {"residual": RESIDUAL})
    assert joint is not None
    assert (joint.metric, joint.dataset) == ("test_error", "imagenet")


def test_without_any_spread_a_difference_is_no_chance() -> None:
    found = family_test("residual", [Difference(0.2, 1, 1), Difference(0.0, 1, 1)], (0.0, 4))
    assert found.p == 0.0
    assert family_test("residual", [Difference(0.0, 1, 1)], (0.0, 4)).f == 0.0


def test_two_families_are_combined_by_fishers_method() -> None:
    joint = joint_test("test_error", "cifar10", {"residual": RESIDUAL, "plain": PLAIN})
    assert joint is not None
    assert [t.family for t in joint.families] == ["plain", "residual"]
    # q = 0.290770 * 0.380952 = 0.110769; p = q (1 - ln q) = 0.110769 * 3.200308
    assert joint.p == pytest.approx(0.354499, abs=1e-5)
    assert joint.verdict == "consistent together"


def test_far_off_is_not_consistent_together() -> None:
    # 4 * 0.5 / (4 * 0.0256) = 19.53; of true results hardly ever
    joint = joint_test("test_error", "cifar10", {"residual": ([Difference(1.0, 1, 1)] * 4, (S, 9))})
    assert joint is not None
    assert joint.p < 0.001
    assert joint.verdict == "not consistent together"


def test_a_single_difference_has_its_own_verdict_and_no_joint_test() -> None:
    assert joint_test("test_error", "cifar10", {}) is None
    assert joint_test("test_error", "cifar10", {"plain": ([Difference(1, 1, 1)], (S, 4))}) is None


def test_seeds_that_do_not_scatter() -> None:
    assert family_test("plain", [Difference(0.0, 1, 1)], (0.0, 1)).p == 1.0
    assert family_test("plain", [Difference(0.1, 1, 1)], (0.0, 1)).p == 0.0
    assert combine([0.0, 0.5]) < 1e-250
    assert combine([1.0, 1.0]) == 1.0


def test_true_results_fail_it_in_one_case_of_twenty() -> None:
    """Five arms of three seeds and one published run each, the spread estimated from them."""
    rng = np.random.Generator(np.random.Philox(0))
    n, arms, draws = 3, 5, 2000
    s = S * np.sqrt(rng.chisquare(14, draws) / 14)
    d = rng.normal(0, S * np.sqrt(1 / n + 1), (draws, arms))
    tests = [
        family_test("residual", [Difference(float(x), n, 1) for x in row], (float(sd), 14))
        for row, sd in zip(d, s, strict=True)
    ]
    assert np.mean([t.p < 0.05 for t in tests]) == pytest.approx(0.05, abs=0.015)


@given(st.floats(-2, 2), st.floats(-2, 2), st.floats(0.01, 2), st.integers(1, 30))
def test_neither_order_nor_sign_matters(a: float, b: float, s: float, df: int) -> None:
    one = family_test("plain", [Difference(a, 1, 1), Difference(b, 2, 5)], (s, df))
    two = family_test("plain", [Difference(-b, 2, 5), Difference(-a, 1, 1)], (s, df))
    assert one == two


# From records to words


FAKES = (
    *(Fake("resnet20", 8.75 + d, seed=i) for i, d in enumerate((0.1, 0.3))),
    *(Fake("resnet32", 7.51 + d, 0.3, seed=i) for i, d in enumerate((-0.1, 0.1))),
    *(Fake("plain20", 9.70 + d, 1.4, seed=i) for i, d in enumerate((-0.1, 0.3))),
    Fake("plain56", 13.1, 5.9),
    Fake("resnet44", 9.0, protocol="short"),
)


def test_every_form_of_a_table_tells_the_joint_test(tmp_path: Path) -> None:
    write(tmp_path / "results", *FAKES)
    found = table(artifacts.load("fig6").artifact, read_frames([tmp_path / "results"]))
    joint = found.joint
    assert joint is not None
    assert [(t.family, t.arms, t.df) for t in joint.families] == [
        ("plain", 2, 1),
        ("residual", 2, 6),
    ]
    # residual: d = 0.2, 0.0 with 1/2 + 1 = 1.5 each; s^2 = (0.02 + 0.02 + 4 * 0.0256) / 6
    # F = (0.04 / 1.5) / (2 * 0.023733) = 0.561798
    assert joint.families[1].f == pytest.approx(0.561798, abs=1e-6)
    line = render.joint_text(joint)
    assert line.startswith("Joint test of the differences in test error, %: plain nets F = ")
    assert "residual nets F = 0.56 with 2 and 6 degrees of freedom, p = 0.598" in line
    assert line.endswith(": consistent together.")
    assert line in render.markdown(found)
    assert "Joint test of the differences" in render.latex(found)
    assert any(note.startswith("Joint test: p is how often") for note in found.notes)
    assert translated(line, "zh_CN") is not None
    plain_joint = render.joint_json(joint)
    assert plain_joint is not None
    json.dumps(plain_joint, allow_nan=False)
    assert plain_joint["verdict"] == "consistent together"
    compared = compare_records(
        artifacts.load("fig6").artifact, tmp_path / "results", tmp_path / "empty"
    )
    assert comparison_lines(compared) == [f"suite: {line}"]
    assert comparison_json(compared)["joint"] == {"suite": plain_joint, "yours": None}


def test_the_page_shows_it_below_the_table(tmp_path: Path) -> None:
    write(tmp_path / "results", *FAKES)
    page = tmp_path / "page.html"
    write_report([tmp_path / "results"], tmp_path, tmp_path, ["fig6"], page=page)
    [found] = re.findall(r'id="artifact-fig6-joint">(.*?)</p>', page.read_text())
    assert "data-zh=" in found
    assert "p = 0.598" in found


def test_top_5_errors_of_the_same_runs_take_no_part(tmp_path: Path) -> None:
    write(
        tmp_path,
        *(imagenet("resnet34-A", 25.0 + s / 10, 7.8 + s / 10, seed=s) for s in (0, 1)),
        imagenet("resnet34-B", 24.5, 7.5),
        imagenet("plain34", 28.5, 10.0),
    )
    joint = table(artifacts.load("table3").artifact, read_frames([tmp_path])).joint
    assert joint is not None
    assert joint.metric == "ten_crop_top1_error"
    assert [(t.family, t.arms) for t in joint.families] == [("residual", 2)]
    line = render.joint_text(joint)
    assert "top-1 error, 10-crop, %: residual nets F = " in line
    assert "with 2 and 1 degree of freedom, p" in line
    assert translated(line, "zh_CN") is not None
