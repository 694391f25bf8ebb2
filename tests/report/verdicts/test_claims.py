"""Claims against numbers worked out by hand; the arithmetic stands beside each."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnet_repro.report.statistics import family_half_width, mean_half_width, own_half_width
from resnet_repro.report.verdicts.claims import (
    ClaimResult,
    claim_counted,
    claim_higher,
    claim_near,
    claim_throughout,
)
from resnet_repro.report.verdicts.curves import at_chance, past_chance

ONE = (1, 1)
UNKNOWN = "(one seed, spread unknown)"


# Intervals


def test_an_arm_of_several_seeds_lends_its_spread_to_the_other() -> None:
    # variance 0.02 with df 1: 12.706205 * 0.141421 * sqrt(1/2 + 1)
    assert own_half_width([1.0, 1.2], [0.5]) == pytest.approx(2.200779, abs=1e-5)


def test_two_arms_of_several_seeds_pool_theirs() -> None:
    # variances 0.02 and 0.08 with df 1 each: s^2 = 0.05, df 2; 4.302653 * 0.223607 * 1
    assert own_half_width([1.0, 1.2], [0.4, 0.8]) == pytest.approx(0.962103, abs=1e-5)


def test_single_seeds_have_no_interval() -> None:
    assert own_half_width([1.0], [2.0]) is None


def test_two_families_keep_their_own_spreads() -> None:
    # variances of the means 0.04 each, df 2 each: df = (0.08)^2 / (2 * 0.0016 / 2) = 4
    # h = 2.776445 * sqrt(0.08)
    assert family_half_width((0.2, 2), 1, (0.2, 2), 1) == pytest.approx(0.785297, abs=1e-5)
    # 0.04 / 4 and nothing: df = 2, h = 4.302653 * 0.1
    assert family_half_width((0.2, 2), 4, (0.0, 5), 1) == pytest.approx(0.430265, abs=1e-5)
    assert family_half_width((0.0, 2), 4, (0.0, 5), 1) == 0.0


def test_beside_a_number_the_mean_alone_is_uncertain() -> None:
    # 2.776445 * 0.16 / sqrt(4)
    assert mean_half_width((0.16, 4), 4) == pytest.approx(0.222116, abs=1e-5)


# Final values


@pytest.mark.parametrize(
    ("difference", "expected"),
    [(0.51, "holds"), (0.5, "inconclusive"), (-0.5, "inconclusive"), (-0.51, "fails")],
)
def test_a_claim_goes_by_the_interval(difference: float, expected: str) -> None:
    found = claim_higher(difference, 0.5, ONE)
    assert (found.verdict, found.label, found.detail) == (expected, expected, "final values")


@pytest.mark.parametrize(
    ("difference", "expected"), [(0.3, "holds"), (-0.3, "fails"), (0.0, "inconclusive")]
)
def test_without_a_spread_a_claim_goes_by_sign_and_says_so(
    difference: float, expected: str
) -> None:
    found = claim_higher(difference, None, ONE)
    assert found.label == f"{expected} {UNKNOWN}"


@pytest.mark.parametrize(
    ("difference", "expected"),
    [
        (0.3, "holds"),  # 0.3 + 0.5 < 0.84
        (-0.3, "holds"),
        (0.4, "inconclusive"),  # 0.9 > 0.84
        (-0.4, "inconclusive"),
        (1.3, "inconclusive"),  # 1.3 - 0.5 < 0.84
        (1.4, "fails"),  # 0.9 > 0.84
        (-1.4, "fails"),
    ],
)
def test_similar_means_that_the_whole_interval_lies_within_the_margin(
    difference: float, expected: str
) -> None:
    found = claim_near(difference, 0.5, (3, 3), 0.84)
    assert (found.verdict, found.detail) == (expected, "final values, margin 0.84")


@pytest.mark.parametrize(
    ("difference", "expected"),
    [
        (3.51, "holds"),  # 0.01 + 0.3 < 0.5
        (3.75, "inconclusive"),
        (3.25, "inconclusive"),
        (4.35, "fails"),  # 0.85 - 0.3 > 0.5
        (2.65, "fails"),
        (0.0, "fails"),
    ],
)
def test_near_an_expected_difference(difference: float, expected: str) -> None:
    found = claim_near(difference, 0.3, ONE, 0.5, by=3.5)
    assert found.verdict == expected
    assert found.detail == "final values, 3.5 expected, margin 0.5"


def test_similar_without_a_spread_goes_by_the_difference_and_says_so() -> None:
    verdicts = [claim_near(d, None, ONE, 0.84).label for d in (0.5, -0.5, 0.9, -0.9, 0.84)]
    words = ("holds", "holds", "fails", "fails", "inconclusive")
    assert verdicts == [f"{word} {UNKNOWN}" for word in words]


def test_what_is_counted_has_no_chance_in_it() -> None:
    found = claim_counted(15_300, 11_300)
    assert (found.label, found.difference, found.detail) == ("holds", 4000.0, "counted")
    assert claim_counted(1, 2).label == "fails"
    assert claim_counted(2, 2).label == "fails"


def test_words_that_judge_nothing_have_nothing_to_add() -> None:
    assert [ClaimResult(v).label for v in ("missing", "diverged", "reduced")] == [
        "missing",
        "diverged",
        "reduced",
    ]


# Every row


def test_a_claim_about_every_row() -> None:
    # rows averaged over two seeds and one: 1.0, 0.5, 3.0
    found = claim_throughout([[2.0, -1.0, 3.0], [0.0, 2.0, 3.0]], [[0.0, 0.0, 0.0]])
    assert (found.verdict, found.n) == ("holds", (2, 1))
    assert found.difference == pytest.approx(1.5)
    # by seed 4/3 and 5/3: s = 0.235702, df 1; 12.706205 * 0.235702 * sqrt(1/2 + 1)
    assert found.half_width == pytest.approx(3.667965, abs=1e-5)
    # by row s = 1.41, 2.12, 0: only the last exceeds its own interval
    assert found.detail == "in 3 of 3 rows, 1 beyond noise"


@pytest.mark.parametrize(
    ("rows", "expected", "detail"),
    [
        ([1.0] * 31 + [-0.1], "inconclusive", "in 31 of 32 rows"),
        ([1.0, 1.0, -9.0], "inconclusive", "in 2 of 3 rows"),
        ([1.0, -1.0], "fails", "in 1 of 2 rows"),
        ([1.0, 0.0], "fails", "in 1 of 2 rows"),  # equal is not higher
        ([1.0, 0.1], "holds", "in 2 of 2 rows"),
    ],
)
def test_a_claim_about_every_row_on_one_seed(rows: list[float], expected: str, detail: str) -> None:
    found = claim_throughout([rows], [[0.0] * len(rows)])
    assert (found.label, found.detail) == (f"{expected} {UNKNOWN}", detail)


def test_a_claim_about_every_row_may_have_a_floor() -> None:
    def verdict(*rows: float) -> str:
        return claim_throughout([list(rows)], [[0.0] * len(rows)], floor=-1.0).verdict

    assert verdict(-0.9, 0.5) == "holds"
    assert verdict(-1.1, 0.5, 0.5) == "inconclusive"
    assert verdict(-1.0, -2.0) == "fails"


def test_noise_is_measured_from_the_floor() -> None:
    # per row s = 0.1 * sqrt(2), df 1: h = 12.706205 * 0.141421 * sqrt(1.5) = 2.2008
    higher = [[1.1, 1.3], [1.3, 1.5]]  # rows 1.2 and 1.4 above 0, 2.2 and 2.4 above -1
    found = claim_throughout(higher, [[0.0, 0.0]], floor=-1.0)
    assert found.detail == "in 2 of 2 rows, 1 beyond noise"


def test_rows_left_out_are_told() -> None:
    found = claim_throughout([[1.0]], [[0.0]], left_out=2)
    assert found.detail == "in 1 of 1 rows, 2 at chance left out"
    found = claim_throughout([[]], [[]], left_out=3)
    assert (found.verdict, found.detail) == ("inconclusive", "3 at chance left out")
    assert claim_throughout([[]], [[]]).verdict == "missing"


def test_chance_is_what_guessing_gets_wrong_less_noise() -> None:
    # sqrt(0.1 * 0.9 / 1300) = 0.83 points; three times that are 2.5
    assert at_chance("cifar10") == at_chance("digits") == 87.5
    assert at_chance("imagenet") == pytest.approx(97.4)
    assert at_chance("image-folder") == 100.0


def test_rows_before_either_net_has_left_chance_are_left_out() -> None:
    keys = [(i, "train_error") for i in (1, 2, 3, 4)]
    a = [[90.1, 89.8, 90.0, 89.9], [90.1, 89.8, 89.0, 89.9]]
    b = [[90.0, 89.9, 60.0, 88.0]]  # leaves at the third row, and comes back
    kept, x, y, left_out = past_chance("train_error", "cifar10", keys, a, b)
    assert (kept, left_out) == (keys[2:], 2)
    assert (x, y) == ([[90.0, 89.9], [89.0, 89.9]], [[60.0, 88.0]])
    # What is no training error is no matter of guessing.
    assert past_chance("test_error", "cifar10", keys, a, b)[3] == 0
    assert past_chance("train_error", "cifar10", keys, a, a)[3] == 4
    assert past_chance("train_error", "image-folder", keys, a, b)[3] == 0


# Invariants

HALF = st.none() | st.floats(0, 10)


@given(st.floats(-50, 50), HALF)
def test_a_claim_and_its_opposite_never_both_hold(difference: float, h: float | None) -> None:
    here, there = claim_higher(difference, h, ONE), claim_higher(-difference, h, ONE)
    opposite = {"holds": "fails", "fails": "holds", "inconclusive": "inconclusive"}
    assert there.verdict == opposite[here.verdict]


@given(st.floats(-5, 5), HALF, st.floats(0.01, 3))
def test_similar_does_not_depend_on_which_arm_is_named_first(
    difference: float, h: float | None, margin: float
) -> None:
    here, there = (claim_near(d, h, ONE, margin) for d in (difference, -difference))
    assert here.verdict == there.verdict


@given(
    st.lists(st.floats(0, 100), min_size=2, max_size=5),
    st.lists(st.floats(0, 100), min_size=1, max_size=5),
)
def test_the_interval_does_not_depend_on_which_arm_is_named_first(
    a: list[float], b: list[float]
) -> None:
    assert own_half_width(a, b) == own_half_width(b, a)


@given(st.floats(0.01, 5), st.integers(1, 30), st.integers(1, 9), st.integers(1, 9))
def test_equal_families_are_one_with_more_degrees_of_freedom(
    s: float, df: int, n: int, m: int
) -> None:
    here, there = (family_half_width((s, df), *n_m) for n_m in ((n, (s, df), m), (m, (s, df), n)))
    assert here == pytest.approx(there)
    assert family_half_width((s, df), n + 1, (s, df), n + 1) < family_half_width(
        (s, df), n, (s, df), n
    )
