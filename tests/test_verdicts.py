"""Verdicts against numbers worked out by hand; the arithmetic stands beside each."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnet_repro.artifacts import Published
from resnet_repro.paper.published import PublishedValue, published_for
from resnet_repro.report.verdicts import (
    Outcome,
    claim_final,
    claim_similar,
    claim_throughout,
    compare,
    half_width,
    judge,
    judge_exact,
    pooled_std,
    t_quantile,
)

[RESNET20] = published_for(Published("any", "test_error", "table6", "ResNet-20"))  # 8.75
[PARAMS20] = published_for(Published("any", "params", "table6", "ResNet-20"))  # 0.27
[PARAMS1202] = published_for(Published("any", "params", "table6", "ResNet-1202"))  # 19.4
MEAN110, BEST110 = published_for(Published("any", "test_error", "table6", "ResNet-110"))
[ABOVE60] = published_for(Published("any", "train_error", "sec4.2", "plain-110"))
[BELOW01] = published_for(Published("any", "train_error", "sec4.2", "ResNet-1202"))

S, DF = 0.16, 4  # the paper's five runs; t(0.975, 4) = 2.776445


def outcomes(*values: float | None) -> list[Outcome]:
    return [Outcome(seed, value) for seed, value in enumerate(values)]


def verdict(
    ours: list[Outcome],
    published: PublishedValue,
    *,
    spread: tuple[float, int] | None = (S, DF),
    dataset: str = "cifar10",
    protocol: str = "paper",
) -> str:
    return judge(ours, published, spread, dataset=dataset, protocol=protocol).verdict


@pytest.mark.parametrize(
    ("df", "t"), [(1, 12.7062047), (2, 4.3026527), (4, 2.7764451), (6, 2.4469119), (30, 2.0422725)]
)
def test_t_quantiles_are_those_of_the_tables(df: int, t: float) -> None:
    assert t_quantile(df) == pytest.approx(t, abs=1e-6)


def test_one_seed_beside_one_published_run() -> None:
    # h = 2.776445 * 0.16 * sqrt(1/1 + 1/1) = 0.444231 * 1.414214 = 0.628238 > 0.5
    found = compare([8.95], RESNET20, S, DF)
    assert found.half_width == pytest.approx(0.628238, abs=1e-5)
    assert found.difference == pytest.approx(0.20)
    assert (found.n, found.mean, found.std, found.verdict) == (1, 8.95, None, "inconclusive")


def test_one_seed_can_still_be_worse_or_better() -> None:
    assert compare([9.40], RESNET20, S, DF).verdict == "worse"  # d = 0.65 > 0.628
    assert compare([8.10], RESNET20, S, DF).verdict == "better"  # d = -0.65


def test_three_seeds_with_their_own_spread_pooled_in() -> None:
    ours = [8.6, 8.8, 9.0]  # mean 8.8, variance (0.04 + 0 + 0.04) / 2 = 0.04
    # s^2 = (4 * 0.16^2 + 2 * 0.04) / 6 = (0.1024 + 0.08) / 6 = 0.0304; s = 0.174356
    pooled = pooled_std([ours], (S, DF))
    assert pooled is not None
    s, df = pooled
    assert (s, df) == pytest.approx((0.174356, 6), abs=1e-6)
    # h = 2.446912 * 0.174356 * sqrt(1/3 + 1) = 0.426634 * 1.154701 = 0.492634
    found = compare(ours, RESNET20, s, df)
    assert found.half_width == pytest.approx(0.492634, abs=1e-5)
    assert found.difference == pytest.approx(0.05)
    assert found.std == pytest.approx(0.2)
    assert found.best == 8.6
    assert found.verdict == "reproduced"


def test_five_seeds_beside_five_published_runs() -> None:
    # h = 0.444231 * sqrt(1/5 + 1/5) = 0.444231 * 0.632456 = 0.280956
    found = compare([6.5, 6.6, 6.7, 6.8, 6.9], MEAN110, S, DF)
    assert found.half_width == pytest.approx(0.280956, abs=1e-5)
    assert found.difference == pytest.approx(6.7 - 6.61)
    assert found.verdict == "reproduced"
    assert compare([6.9] * 5, MEAN110, S, DF).verdict == "worse"  # 0.29 > 0.281
    assert compare([6.32] * 5, MEAN110, S, DF).verdict == "better"  # -0.29


def test_half_a_point_is_the_widest_interval_that_settles_anything() -> None:
    # n = n_published = 1, df = 4: h = t * s * sqrt(2) = 0.5 at s = 0.5 / (2.776445 * 1.414214)
    s = 0.5 / (2.7764451052 * 2**0.5)
    assert compare([8.75], RESNET20, s * 0.999, 4).verdict == "reproduced"
    assert compare([8.75], RESNET20, s * 1.001, 4).verdict == "inconclusive"


def test_without_any_spread_nothing_is_settled() -> None:
    found = judge(outcomes(8.75), RESNET20, None, dataset="cifar10", protocol="paper")
    assert (found.verdict, found.half_width, found.difference) == ("inconclusive", None, 0.0)


def test_pooling_weighs_by_degrees_of_freedom() -> None:
    # variances 0.02 (df 1) and 0.01 (df 2): (0.02 + 2 * 0.01) / 3 = 0.013333; s = 0.115470
    found = pooled_std([[1.0, 1.2], [5.0, 5.1, 5.2], [9.0]], None)
    assert found == pytest.approx((0.1154701, 3))
    assert pooled_std([[1.0], []], None) is None
    assert pooled_std([[1.0]], (0.16, 4)) == pytest.approx((0.16, 4))


def test_nothing_run_is_missing() -> None:
    found = judge([], RESNET20, (S, DF), dataset="cifar10", protocol="paper")
    assert (found.n, found.verdict, found.mean, found.difference) == (0, "missing", None, None)


def test_one_diverged_seed_takes_the_mean_away() -> None:
    ours = [Outcome(0, 8.7), Outcome(1, 90.0, diverged=True), Outcome(2, 8.8)]
    found = judge(ours, RESNET20, (S, DF), dataset="cifar10", protocol="paper")
    assert (found.n, found.verdict, found.mean, found.difference) == (3, "diverged", None, None)
    assert verdict(outcomes(8.7, None), RESNET20) == "diverged"
    assert verdict(ours, RESNET20, protocol="short") == "diverged"


def test_another_protocol_is_reduced_and_still_shows_the_difference() -> None:
    found = judge(outcomes(11.0), RESNET20, None, dataset="cifar10", protocol="short")
    assert found.verdict == "reduced"
    assert found.difference == pytest.approx(2.25)
    assert verdict(outcomes(8.75), RESNET20, protocol="paper+bn_batch=64") == "reduced"


def test_other_data_are_not_compared() -> None:
    found = judge(outcomes(8.75), RESNET20, (S, DF), dataset="digits", protocol="paper")
    assert (found.verdict, found.mean, found.difference) == ("not comparable", 8.75, None)
    assert verdict(outcomes(8.75), RESNET20, dataset="cifar10-45k") == "not comparable"


def test_a_best_has_no_verdict() -> None:
    found = judge(outcomes(6.5, 6.4, 6.6), BEST110, (S, DF), dataset="cifar10", protocol="paper")
    assert (found.verdict, found.best, found.difference) == ("", 6.4, None)


@pytest.mark.parametrize(
    ("values", "published", "expected"),
    [
        ((65.0,), ABOVE60, "holds"),
        ((60.0,), ABOVE60, "fails"),
        ((61.0, 55.0), ABOVE60, "fails"),  # mean 58
        ((0.05,), BELOW01, "holds"),
        ((0.1,), BELOW01, "fails"),
        ((0.02, 0.12), BELOW01, "holds"),  # mean 0.07
    ],
)
def test_bounds(values: tuple[float, ...], published: PublishedValue, expected: str) -> None:
    assert verdict(outcomes(*values), published) == expected
    assert verdict(outcomes(*values), published, protocol="short") == "reduced"


def test_a_bound_has_neither_difference_nor_interval() -> None:
    found = judge(outcomes(65.0), ABOVE60, (S, DF), dataset="cifar10", protocol="paper")
    assert (found.difference, found.half_width) == (None, None)


@pytest.mark.parametrize(
    ("count", "published", "expected"),
    [
        (269_722, PARAMS20, "equal"),  # 0.269722 -> 0.27
        (272_474, PARAMS20, "equal"),  # option B: 0.272474 -> 0.27, which print cannot tell apart
        (275_572, PARAMS20, "differs"),  # 0.28
        (264_999, PARAMS20, "differs"),  # 0.26
        (19_421_274, PARAMS1202, "equal"),  # 19.421274 -> 19.4
        (19_350_000, PARAMS1202, "equal"),  # half rounds up
        (19_349_999, PARAMS1202, "differs"),
    ],
)
def test_exact_values(count: int, published: PublishedValue, expected: str) -> None:
    found = judge_exact([count, count], published, "cifar10")
    assert (found.verdict, found.mean) == (expected, count)


def test_runs_of_one_arm_that_count_differently_differ() -> None:
    assert judge_exact([269_722, 269_723], PARAMS20, "cifar10").verdict == "differs"
    assert judge_exact([], PARAMS20, "cifar10").verdict == "missing"
    assert judge_exact([269_722], PARAMS20, "digits").verdict == "not comparable"


@pytest.mark.parametrize(
    ("difference", "expected"),
    [(0.3, "holds (one seed)"), (-0.3, "fails (one seed)"), (0.0, "inconclusive (one seed)")],
)
def test_a_claim_on_one_seed_goes_by_sign_and_says_so(difference: float, expected: str) -> None:
    found = claim_final([difference])
    assert (found.label, found.half_width, found.n) == (expected, None, 1)


@pytest.mark.parametrize(
    ("differences", "expected"),
    [
        # standard deviation 0.2 each: h = 4.302653 * 0.2 / sqrt(3) = 0.496828
        ([1.0, 1.2, 1.4], "holds"),  # 1.2 - 0.497 > 0
        ([-0.1, 0.1, 0.3], "inconclusive"),
        ([-1.0, -1.2, -1.4], "fails"),
    ],
)
def test_a_claim_on_three_seeds_goes_by_the_interval(
    differences: list[float], expected: str
) -> None:
    found = claim_final(differences)
    assert found.half_width == pytest.approx(0.496828, abs=1e-5)
    assert (found.verdict, found.label) == (expected, expected)


@pytest.mark.parametrize(
    ("differences", "expected"),
    [
        # standard deviation 0.2 each: h = 0.496828 as above
        ([-0.2, 0.0, 0.2], "holds"),  # 0.497 < 0.84
        ([0.1, 0.3, 0.5], "holds"),  # 0.3 + 0.497 < 0.84
        ([0.2, 0.4, 0.6], "inconclusive"),  # 0.4 + 0.497 > 0.84
        ([-0.2, -0.4, -0.6], "inconclusive"),
        ([1.1, 1.3, 1.5], "inconclusive"),  # 1.3 - 0.497 < 0.84
        ([1.2, 1.4, 1.6], "fails"),  # 1.4 - 0.497 > 0.84
        ([-1.2, -1.4, -1.6], "fails"),
    ],
)
def test_similar_means_that_the_whole_interval_lies_within_the_margin(
    differences: list[float], expected: str
) -> None:
    found = claim_similar(differences, 0.84)
    assert found.half_width == pytest.approx(0.496828, abs=1e-5)
    assert (found.verdict, found.detail) == (expected, "final values, margin 0.84")


@pytest.mark.parametrize(
    ("difference", "expected"),
    [
        (0.5, "holds (one seed)"),
        (-0.5, "holds (one seed)"),
        (0.9, "fails (one seed)"),
        (-0.9, "fails (one seed)"),
        (0.84, "inconclusive (one seed)"),
    ],
)
def test_similar_on_one_seed_goes_by_the_difference_and_says_so(
    difference: float, expected: str
) -> None:
    assert claim_similar([difference], 0.84).label == expected
    assert claim_similar([], 0.84).verdict == "missing"


def test_a_claim_about_every_row_may_have_a_floor() -> None:
    assert claim_throughout([[-0.9, 0.5]], floor=-1.0).verdict == "holds"
    found = claim_throughout([[-1.1, 0.5, 0.5]], floor=-1.0)
    assert (found.verdict, found.detail) == ("inconclusive", "in 2 of 3 rows")
    assert claim_throughout([[-1.0, -2.0]], floor=-1.0).verdict == "fails"


def test_a_claim_about_every_row() -> None:
    # rows averaged over the two seeds: 1.0, 0.5, 3.0
    found = claim_throughout([[2.0, -1.0, 3.0], [0.0, 2.0, 3.0]])
    assert (found.verdict, found.detail) == ("holds", "in 3 of 3 rows")
    assert found.difference == pytest.approx(1.5)
    # by seed 4/3 and 5/3: standard deviation 0.235702, h = 12.706205 * 0.235702 / sqrt(2)
    assert found.half_width == pytest.approx(2.117701, abs=1e-5)


@pytest.mark.parametrize(
    ("rows", "expected", "detail"),
    [
        ([1.0] * 31 + [-0.1], "inconclusive (one seed)", "in 31 of 32 rows"),
        ([1.0, 1.0, -9.0], "inconclusive (one seed)", "in 2 of 3 rows"),
        ([1.0, -1.0], "fails (one seed)", "in 1 of 2 rows"),
        ([1.0, 0.0], "fails (one seed)", "in 1 of 2 rows"),  # equal is not higher
        ([1.0, 0.1], "holds (one seed)", "in 2 of 2 rows"),
    ],
)
def test_a_claim_about_every_row_on_one_seed(rows: list[float], expected: str, detail: str) -> None:
    found = claim_throughout([rows])
    assert (found.label, found.detail) == (expected, detail)


def test_claims_without_runs_are_missing() -> None:
    assert claim_final([]).verdict == "missing"
    assert claim_throughout([]).label == "missing"
    assert claim_throughout([[]]).verdict == "missing"


ERRORS = st.floats(0, 100, allow_nan=False)
SEEDS = st.lists(ERRORS, min_size=1, max_size=6)


@given(SEEDS, st.floats(0.01, 5), st.integers(1, 30))
def test_better_and_worse_are_mirror_images(ours: list[float], s: float, df: int) -> None:
    mirrored = dataclasses.replace(RESNET20, value=-RESNET20.value)
    here = compare(ours, RESNET20, s, df)
    there = compare([-x for x in ours], mirrored, s, df)
    swap = {"better": "worse", "worse": "better"}
    assert there.verdict == swap.get(here.verdict, here.verdict)
    assert here.difference is not None
    assert there.difference == -here.difference
    assert there.half_width == here.half_width


@given(st.lists(SEEDS, max_size=5), st.randoms(use_true_random=False))
def test_pooling_does_not_depend_on_order(groups: list[list[float]], random) -> None:  # type: ignore[no-untyped-def]
    shuffled = [random.sample(g, len(g)) for g in groups]
    random.shuffle(shuffled)
    assert pooled_std(shuffled, (S, DF)) == pooled_std(groups, (S, DF))


@given(st.floats(0.01, 5), st.integers(1, 50), st.integers(1, 50), st.integers(1, 50))
def test_more_seeds_never_widen_the_interval(s: float, df: int, n: int, published: int) -> None:
    assert half_width((s, df), n + 1, published) <= half_width((s, df), n, published)
    assert half_width((s, df), n, published + 1) <= half_width((s, df), n, published)


@given(st.lists(st.floats(-50, 50), min_size=2, max_size=6))
def test_a_claim_and_its_opposite_never_both_hold(differences: list[float]) -> None:
    here, there = claim_final(differences), claim_final([-d for d in differences])
    opposite = {"holds": "fails", "fails": "holds", "inconclusive": "inconclusive"}
    assert there.verdict == opposite[here.verdict]


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=6), st.floats(0.01, 3))
def test_similar_does_not_depend_on_which_arm_is_named_first(
    differences: list[float], margin: float
) -> None:
    here, there = (claim_similar(d, margin) for d in (differences, [-x for x in differences]))
    assert here.verdict == there.verdict
