"""The artifacts that are ours: shortcuts, warm-up and gradients; what they declare and judge."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from resnet_repro import paths
from resnet_repro.paper import artifacts
from resnet_repro.report.claims import ClaimRow
from resnet_repro.report.columns import CLAIMS, plain_rows, text_grid
from resnet_repro.report.load.records import read_frames
from resnet_repro.report.tables import table
from resnet_repro.report.verdicts.curves import at_chance
from resnet_repro.report.verdicts.rule import MARGIN
from resnet_repro.sweep import plan
from tests.helpers.records import Fake, imagenet, write

SHORTCUTS = artifacts.load("shortcuts_cifar").artifact
WARMUP = artifacts.load("warmup110").artifact
GRADIENTS = artifacts.load("gradients_cifar").artifact
FIG6 = artifacts.load("fig6").artifact
TABLE6 = artifacts.load("table6").artifact
UNKNOWN = "(one seed, spread unknown)"


def claims(tmp_path: Path, artifact: artifacts.Artifact, *fakes: Fake) -> list[ClaimRow]:
    write(tmp_path / "results", *fakes)
    return list(table(artifact, read_frames([tmp_path / "results"])).claims)


def no_warmup(train: float, test: float, seed: int = 0) -> Fake:
    return Fake("resnet110-nowarmup", test, train, seed=seed, network="resnet110")


# Shortcuts


def test_every_pair_of_options_is_compared_at_either_depth() -> None:
    assert [arm.network for arm in SHORTCUTS.arms] == [
        "resnet20",
        "resnet20-B",
        "resnet20-C",
        "resnet56",
        "resnet56-B",
        "resnet56-C",
    ]
    assert [(c.higher, c.lower) for c in SHORTCUTS.claims[:3]] == [
        ("resnet20", "resnet20-B"),
        ("resnet20", "resnet20-C"),
        ("resnet20-B", "resnet20-C"),
    ]
    assert len(SHORTCUTS.claims) == 6
    # Table 3, top-1: 25.03 (A), 24.52 (B), 24.19 (C)
    assert {c.margin for c in SHORTCUTS.claims} == {0.84}


def test_options_are_compared_by_every_seed_of_either(tmp_path: Path) -> None:
    a, b = (8.7, 8.9, 8.8), (8.4, 8.7, 8.5)
    fakes = [Fake("resnet20", e, seed=s) for s, e in enumerate(a)]
    fakes += [Fake("resnet20-B", e, seed=s) for s, e in enumerate(b)]
    fakes += [Fake("resnet20-C", 7.5)]
    first, second, third, *_ = claims(tmp_path, SHORTCUTS, *fakes)
    # 8.8 - 8.533333; s^2 = (2 * 0.01 + 2 * 0.023333 + 4 * 0.0256) / 8 = 0.021133
    # h = 2.306004 * 0.145373 * sqrt(1/3 + 1/3)
    assert first.result.difference == pytest.approx(0.266667, abs=1e-6)
    assert first.result.half_width == pytest.approx(0.273715, abs=1e-5)
    assert first.result.label == "holds"
    # h = 2.306004 * 0.145373 * sqrt(1/3 + 1) = 0.387089
    assert second.result.label == "fails"  # 1.3 - 0.387 > 0.84
    assert third.result.label == "inconclusive"  # 1.033 - 0.387 < 0.84
    [row] = plain_rows(CLAIMS, [first])
    assert (row["margin"], row["higher_n"], row["lower_n"]) == (0.84, 3, 3)


# Warm-up


def test_without_warm_up_the_rate_is_the_full_one_from_the_first_step(tmp_path: Path) -> None:
    request = plan.Request(WARMUP, results=tmp_path)
    with_, without = plan.plan(request, "cpu")
    assert (with_.run.arm, without.run.arm) == ("resnet110", "resnet110-nowarmup")
    assert with_.run.protocol == without.run.protocol == "paper"
    assert (with_.recipe.warmup_lr, without.recipe.warmup_lr) == (0.01, 0.0)
    # A trainer warms while warmup_lr is above 0.
    assert with_.recipe.learning_rate(0, warming=with_.recipe.warmup_lr > 0) == 0.01
    assert without.recipe.learning_rate(0, warming=without.recipe.warmup_lr > 0) == 0.1
    specs = [plan.make_spec(p, "0" * 64) for p in (with_, without)]
    assert specs[0].network == specs[1].network == "resnet110"
    assert specs[0].hash != specs[1].hash
    assert plan.rerun_command(request, without).endswith(
        "run warmup110 --arms resnet110-nowarmup --seeds 0 --protocol paper"
    )


def test_footnote_5_is_two_claims_start_and_end(tmp_path: Path) -> None:
    # Four of the paper's standard deviations of 0.16.
    assert WARMUP.claims[1].margin == 0.64
    first, similar, *_ = claims(
        tmp_path, WARMUP, Fake("resnet110", 6.6, 0.1), no_warmup(train=20.0, test=6.6)
    )
    assert first.result.label == f"holds {UNKNOWN}"
    assert first.result.detail == "first rows, iteration 8,000"
    # first rows: final + (7/8)^2 * (80 - final); the ripple is the same in both
    assert first.result.difference == pytest.approx(19.9 * (1 - 49 / 64))
    assert first.higher_mean is not None
    assert first.lower_mean is not None
    assert first.higher_mean - first.lower_mean == pytest.approx(first.result.difference)
    # 2.776445 * 0.16 * sqrt(2): by the paper's own seeds
    assert similar.result.half_width == pytest.approx(0.628238, abs=1e-5)
    assert similar.result.label == "holds"  # 0.628 < 0.64


def test_a_warm_up_that_matters_fails_the_claim(tmp_path: Path) -> None:
    fakes = [Fake("resnet110", 6.6, 0.1), no_warmup(train=0.05, test=7.9)]
    first, similar, *_ = claims(tmp_path, WARMUP, *fakes)
    assert first.result.label == f"fails {UNKNOWN}"  # it starts lower
    assert similar.result.label == "fails"  # 1.3 - 0.628 > 0.64


@pytest.mark.parametrize(
    ("ended", "label"),
    [
        ((391,), "holds (one seed, spread unknown)"),
        ((201,), "holds (one seed, spread unknown)"),
        ((199,), "fails (one seed, spread unknown)"),
        ((601,), "fails (one seed, spread unknown)"),
        # s = 7.071068, df 1: h = 12.706205 * 7.071068 / sqrt(2) = 63.53
        ((380, 390), "holds"),
        ((540, 550), "inconclusive"),  # 145 + 63.5 > 200
        ((700, 710), "fails"),  # 305 - 63.5 > 200
        ((391, None), "fails"),  # one that never ended
    ],
)
def test_about_400_iterations(tmp_path: Path, ended: tuple[int | None, ...], label: str) -> None:
    fakes = [Fake("resnet110", seed=s, warmup_ended=end) for s, end in enumerate(ended)]
    *_, ends, _ = claims(tmp_path, WARMUP, *fakes)
    assert ends.result.label == label
    if ended == (391,):
        assert ends.result.difference == -9
        assert ends.result.detail == "final values, margin 200"
        assert "400" in text_grid(CLAIMS, [ends]).rows[0]
    if None in ended:
        assert ends.result.detail == "never in resnet110 seed 1"
    rows = table(WARMUP, read_frames([tmp_path / "results"])).rows
    assert not any(row.metric == "warmup_ended" for row in rows)


@pytest.mark.parametrize(
    ("start", "label"),
    # The made-up curve's first row is 0.766 of its start, 0.234 of its end, and a ripple of 1.75
    # at most.
    [(97.0, "holds (one seed, spread unknown)"), (80.0, "fails (one seed, spread unknown)")],
)
def test_at_chance_for_several_epochs(tmp_path: Path, start: float, label: str) -> None:
    fake = dataclasses.replace(no_warmup(train=95.0, test=7.0), start=start)
    *_, chance = claims(tmp_path, WARMUP, fake)
    assert chance.claim.value == at_chance("cifar10")
    assert chance.result.label == label
    assert chance.result.detail == "first rows, iteration 8,000"


# Against what the paper quotes


def test_resnet_110_beside_fitnet_and_highway(tmp_path: Path) -> None:
    fitnet_size, highway_size, fitnet, highway, thin = claims(
        tmp_path, TABLE6, Fake("resnet110", 7.5, parameters=1_727_962)
    )
    assert fitnet_size.result.label == "holds"  # 2.5 M
    assert fitnet_size.result.difference == 2_500_000 - 1_727_962
    assert highway_size.result.label == "holds"  # 2.3 M
    assert text_grid(CLAIMS, [fitnet_size]).rows[0][2:5] == (
        "FitNet-19 2,500,000",
        "resnet110 1,727,962",
        "+772,038",
    )
    # 8.39 - 7.5; one run: 2.776445 * 0.16 * sqrt(2) = 0.628
    assert fitnet.result.label == "holds"
    assert fitnet.result.half_width == pytest.approx(0.628238, abs=1e-5)
    # 7.72 - 7.5; five runs: 2.776445 * 0.16 * sqrt(1 + 1/5) = 0.487
    assert highway.result.label == "inconclusive"
    assert highway.result.half_width == pytest.approx(0.486631, abs=1e-5)
    assert highway.result.n == (5, 1)
    assert thin.result.label == "holds"  # 8.80


def test_what_was_quoted_is_not_beaten_by_another_protocol(tmp_path: Path) -> None:
    found = claims(tmp_path, TABLE6, Fake("resnet110", 6.6, protocol="short"))
    assert [row.result.label for row in found[2:]] == ["reduced"] * 3
    none = claims(tmp_path / "none", TABLE6)
    assert {row.result.label for row in none} == {"missing"}


def test_152_layers_cost_less_than_vgg() -> None:
    table1 = artifacts.load("table1").artifact
    found = table(table1, read_frames([paths.RECORDED])).claims
    assert [row.result.label for row in found] == ["holds", "holds"]
    assert [(row.claim.higher, row.claim.lower) for row in found] == [
        ("vgg16", "resnet152"),
        ("vgg19", "resnet152"),
    ]
    assert {row.protocol for row in found} == {""}


def test_the_gain_of_resnet_34_is_near_the_papers(tmp_path: Path) -> None:
    table2 = artifacts.load("table2").artifact
    for name, gain, label in (("a", 3.6, "holds"), ("b", 2.9, "fails")):
        fakes = imagenet("plain34", 28.5, 10.0), imagenet("resnet34-A", 28.5 - gain, 7.8)
        [row] = [r for r in claims(tmp_path / name, table2, *fakes) if r.claim.by]
        assert row.claim.margin == MARGIN
        assert row.result.label == f"{label} {UNKNOWN}"
        assert row.result.difference == pytest.approx(gain)


# Gradients


def plain56(*norms: float, weights: float | None = 1.0) -> Fake:
    return Fake("plain56", gradients=norms, weights=weights, rows=4)


def test_healthy_gradients_are_above_a_tenth_in_every_stage_and_row(tmp_path: Path) -> None:
    small, missing = claims(
        tmp_path,
        GRADIENTS,
        Fake("plain20", gradients=(0.4, 0.4, 0.4, 0.4, 0.4), weights=2.0, rows=4),
        plain56(0.2, 1.6, 0.8, 0.8, 0.001),  # the last stage is not compared; weights of norm 1
    )
    assert small.result.label == f"holds {UNKNOWN}"
    # iterations 1, 16,000 ... 64,000; of equal ratios the first is named
    assert small.result.detail == (
        "in 20 of 20 rows and stages, smallest ratio 0.25 (conv1, iteration 1)"
    )
    # mean of log10(0.25), log10(2), 0, 0 = (-0.602060 + 0.301030) / 4
    assert small.result.difference == pytest.approx(-0.0752575, abs=1e-6)
    assert missing.result.label == "missing"
    assert any("gradient norm times" in cell for cell in text_grid(CLAIMS, [small]).rows[0])


def test_without_weight_norms_gradients_are_not_compared(tmp_path: Path) -> None:
    """As recipe version 1 recorded them: neither missing from the record nor judged."""
    fakes = [Fake("plain20"), plain56(0.2, 0.2, 0.2, 0.2, 0.2, weights=None)]
    small, _ = claims(tmp_path, GRADIENTS, *fakes)
    assert small.result.label == "missing"


@pytest.mark.parametrize(
    ("norms", "label"),
    [
        ((0.03, 0.4, 0.4, 0.4, 0.4), "inconclusive"),  # conv1 alone has vanished
        ((0.03, 0.03, 0.4, 0.4, 0.4), "fails"),  # half of the stages
        ((0.0, 0.0, 0.0, 0.0, 0.0), "fails"),
        ((40.0, 40.0, 40.0, 40.0, 40.0), "holds"),  # larger has not vanished
    ],
)
def test_gradients_that_vanish_are_found(
    tmp_path: Path, norms: tuple[float, ...], label: str
) -> None:
    reference = Fake("resnet56", gradients=(0.4,) * 5, rows=4)
    _, found = claims(tmp_path, GRADIENTS, reference, plain56(*norms))
    assert found.result.label == f"{label} {UNKNOWN}"


def test_gradient_claims_average_the_logarithm_over_seeds(tmp_path: Path) -> None:
    # ratios 0.05 and 0.8 in conv1: their geometric mean is 0.2, above a tenth
    rest = (0.4, 0.4, 0.4, 0.4)
    fakes = [Fake("plain20", gradients=(0.4, *rest), seed=seed, rows=4) for seed in (0, 1)] + [
        Fake("plain56", gradients=(norm, *rest), seed=seed, rows=4)
        for seed, norm in enumerate((0.02, 0.32))
    ]
    found, _ = claims(tmp_path, GRADIENTS, *fakes)
    assert found.result.label == "holds"
    assert "smallest ratio 0.2 (conv1" in found.result.detail


def test_the_table_shows_the_first_stages_median_norm(tmp_path: Path) -> None:
    write(tmp_path, Fake("plain20", gradients=(0.125, 9.0, 9.0, 9.0, 9.0)))
    rows = table(GRADIENTS, read_frames([tmp_path])).rows
    [row] = [r for r in rows if (r.arm, r.metric) == ("plain20", "gradient_norm")]
    assert row.ours.mean == 0.125


# Fig. 6


def test_fig_6_claims_that_residual_nets_reverse_the_order(tmp_path: Path) -> None:
    found = claims(
        tmp_path,
        FIG6,
        Fake("plain20", 9.7, 1.4),
        Fake("resnet20", 8.8, 0.8),
        Fake("resnet32", 7.5, 0.3),
    )
    labels = {row.claim.text: row.result.label for row in found}
    assert labels["ResNet-32 has a lower training error than ResNet-20"] == f"holds {UNKNOWN}"
    text = "At 20 layers the residual net has a lower training error than the plain one"
    assert labels[text] == f"holds {UNKNOWN}"
    assert labels["ResNet-56 has a lower training error than ResNet-44"] == "missing"
