"""Verdicts against numbers worked out by hand; the arithmetic stands beside each."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnet_repro.paper.artifacts import Published
from resnet_repro.paper.published import PublishedValue, published_for
from resnet_repro.report.statistics import half_width, pooled_std, standard_error, t_quantile
from resnet_repro.report.verdicts.rule import Outcome, compare, judge, judge_exact, verdict_of

[RESNET20] = published_for(Published("any", "test_error", "table6", "ResNet-20"))  # 8.75
[PARAMS20] = published_for(Published("any", "params", "table6", "ResNet-20"))  # 0.27
[PARAMS1202] = published_for(Published("any", "params", "table6", "ResNet-1202"))  # 19.4
MEAN110, BEST110 = published_for(Published("any", "test_error", "table6", "ResNet-110"))
[ABOVE60] = published_for(Published("any", "train_error", "sec4.2", "plain-110"))
[BELOW01] = published_for(Published("any", "train_error", "sec4.2", "ResNet-1202"))

# The paper's five runs; t(0.975, 4) = 2.776445, t(0.95, 4) = 2.131847
S, DF = 0.16, 4
PAPERS = (S, DF)


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


def test_quantiles_of_the_one_sided_tests() -> None:
    assert t_quantile(4, 0.95) == pytest.approx(2.1318468, abs=1e-6)


def test_one_seed_beside_one_published_run() -> None:
    # h = 2.776445 * 0.16 * sqrt(1/1 + 1/1) = 0.444231 * 1.414214 = 0.628238
    # one-sided: 2.131847 * 0.226274 = 0.482382, so half a point needs |d| < 0.017618
    found = compare([8.95], RESNET20, PAPERS)
    assert found.half_width == pytest.approx(0.628238, abs=1e-5)
    assert found.difference == pytest.approx(0.20)
    assert (found.n, found.mean, found.std, found.verdict) == (1, 8.95, None, "consistent")
    assert compare([8.767], RESNET20, PAPERS).verdict == "reproduced"  # d = 0.017
    assert compare([8.733], RESNET20, PAPERS).verdict == "reproduced"
    assert compare([8.768], RESNET20, PAPERS).verdict == "consistent"  # d = 0.018
    assert compare([8.732], RESNET20, PAPERS).verdict == "consistent"


def test_one_seed_can_be_worse_or_better() -> None:
    assert compare([9.37], RESNET20, PAPERS).verdict == "consistent"  # d = 0.62 < 0.628
    assert compare([9.38], RESNET20, PAPERS).verdict == "worse"  # d = 0.63
    assert compare([8.13], RESNET20, PAPERS).verdict == "consistent"
    assert compare([8.12], RESNET20, PAPERS).verdict == "better"


def test_three_seeds_with_their_own_spread_pooled_in() -> None:
    ours = [8.6, 8.8, 9.0]  # mean 8.8, variance (0.04 + 0 + 0.04) / 2 = 0.04
    # s^2 = (4 * 0.16^2 + 2 * 0.04) / 6 = (0.1024 + 0.08) / 6 = 0.0304; s = 0.174356
    pooled = pooled_std([ours], PAPERS)
    assert pooled == pytest.approx((0.174356, 6), abs=1e-6)
    # se = 0.174356 * sqrt(1/3 + 1) = 0.201329; h = 2.446912 * 0.201329 = 0.492634
    found = compare(ours, RESNET20, pooled)
    assert found.half_width == pytest.approx(0.492634, abs=1e-5)
    assert found.difference == pytest.approx(0.05)
    assert found.std == pytest.approx(0.2)
    assert found.best == 8.6
    # one-sided: 0.05 + 1.943180 * 0.201329 = 0.05 + 0.391218 < 0.5
    assert found.verdict == "reproduced"
    assert compare([v + 0.06 for v in ours], RESNET20, pooled).verdict == "consistent"  # d = 0.11


def test_five_seeds_beside_five_published_runs() -> None:
    # se = 0.16 * sqrt(1/5 + 1/5) = 0.101193; h = 0.280956; one-sided 0.215728
    found = compare([6.5, 6.6, 6.7, 6.8, 6.9], MEAN110, PAPERS)
    assert found.half_width == pytest.approx(0.280956, abs=1e-5)
    assert found.difference == pytest.approx(6.7 - 6.61)
    assert found.verdict == "reproduced"
    assert compare([6.9] * 5, MEAN110, PAPERS).verdict == "worse"  # 0.29 > 0.281, 0.506 > 0.5
    assert compare([6.32] * 5, MEAN110, PAPERS).verdict == "better"


def test_a_difference_shown_to_be_small_is_reproduced_although_it_is_not_chance() -> None:
    # 0.283 is outside the interval of 0.281, but 0.283 + 0.216 = 0.499 < 0.5
    assert verdict_of(0.283, PAPERS, 5, 5) == "reproduced"
    assert verdict_of(-0.283, PAPERS, 5, 5) == "reproduced"
    assert verdict_of(0.285, PAPERS, 5, 5) == "worse"  # 0.5007


def test_without_chance_the_difference_alone_decides() -> None:
    assert verdict_of(0.49, (0.0, 3), 2, 1) == "reproduced"
    assert verdict_of(0.5, (0.0, 3), 2, 1) == "worse"
    assert verdict_of(-0.5, (0.0, 3), 2, 1) == "better"


def test_without_any_spread_the_difference_is_shown_and_not_judged() -> None:
    found = judge(outcomes(8.75), RESNET20, None, dataset="cifar10", protocol="paper")
    assert (found.verdict, found.half_width, found.difference) == ("undetermined", None, 0.0)
    assert verdict(outcomes(20.0), RESNET20, spread=None) == "undetermined"


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


def test_what_was_counted_is_kept_where_there_is_no_verdict() -> None:
    other = judge_exact([269_722, 269_722], PARAMS20, "digits")
    assert (other.n, other.verdict, other.mean) == (2, "not comparable", 269_722)
    unpublished = judge_exact([269_722, 269_722], None, "cifar10")
    assert (unpublished.n, unpublished.verdict, unpublished.mean) == (2, "", 269_722)
    missing = judge_exact([], None, "cifar10")
    assert (missing.n, missing.verdict, missing.mean) == (0, "missing", None)


@pytest.mark.parametrize(("count", "verdict"), [(265_000, "equal"), (264_999, "differs")])
def test_half_of_the_last_printed_digit_is_rounded_up(count: int, verdict: str) -> None:
    assert judge_exact([count], PARAMS20, "cifar10").verdict == verdict


ERRORS = st.floats(0, 100, allow_nan=False)
SEEDS = st.lists(ERRORS, min_size=1, max_size=6)


@given(SEEDS, st.floats(0.01, 5), st.integers(1, 30))
def test_better_and_worse_are_mirror_images(ours: list[float], s: float, df: int) -> None:
    mirrored = dataclasses.replace(RESNET20, value=-RESNET20.value)
    here = compare(ours, RESNET20, (s, df))
    there = compare([-x for x in ours], mirrored, (s, df))
    swap = {"better": "worse", "worse": "better"}
    assert there.verdict == swap.get(here.verdict, here.verdict)
    assert here.difference is not None
    assert there.difference == -here.difference
    assert there.half_width == here.half_width


RANK = {"worse": 0, "better": 0, "consistent": 1, "reproduced": 2}


@given(st.floats(-2, 2), st.floats(0.01, 2), st.integers(1, 30), st.integers(1, 9))
def test_more_seeds_with_the_same_mean_can_only_say_more(
    d: float, s: float, df: int, n: int
) -> None:
    """What was reproduced stays so; what was not consistent does not become it."""
    few, many = (verdict_of(d, (s, df), k, 1) for k in (n, n + 1))
    if few == "reproduced":
        assert many == "reproduced"
    if few in ("better", "worse"):
        assert many in (few, "reproduced")
    assert standard_error(s, n + 1, 1) < standard_error(s, n, 1)


@given(st.floats(0, 3), st.floats(0, 3), st.floats(0.01, 2), st.integers(1, 30))
def test_a_larger_difference_never_has_the_better_verdict(
    d: float, more: float, s: float, df: int
) -> None:
    near, far = (RANK[verdict_of(x, (s, df), 1, 1)] for x in (d, d + more))
    assert far <= near


@given(st.lists(SEEDS, max_size=5), st.randoms(use_true_random=False))
def test_pooling_does_not_depend_on_order(groups: list[list[float]], random) -> None:  # type: ignore[no-untyped-def]
    shuffled = [random.sample(g, len(g)) for g in groups]
    random.shuffle(shuffled)
    assert pooled_std(shuffled, PAPERS) == pooled_std(groups, PAPERS)


@given(st.floats(0.01, 5), st.integers(1, 50), st.integers(1, 50), st.integers(1, 50))
def test_more_seeds_never_widen_the_interval(s: float, df: int, n: int, published: int) -> None:
    assert half_width((s, df), n + 1, published) <= half_width((s, df), n, published)
    assert half_width((s, df), n, published + 1) <= half_width((s, df), n, published)
