"""The rows a claim about the course of training compares."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from resnet_repro.report.load.records import read_frames
from resnet_repro.report.verdicts.claims import claim_near, claim_throughout
from resnet_repro.report.verdicts.curves import (
    CHANCE_NOISE,
    at_chance,
    mean_of,
    past_chance,
    row_means,
    shared_rows,
    smallest_ratio,
)
from tests.helpers.records import Fake, write

KEYS = [(100, "train_error"), (200, "train_error"), (300, "train_error")]


def test_chance_is_what_guessing_gets_wrong_less_noise() -> None:
    assert at_chance("cifar10") == 90.0 - CHANCE_NOISE
    assert at_chance("imagenet") == pytest.approx(99.9 - CHANCE_NOISE)
    assert at_chance("no such data") == 100.0


def test_rows_begin_where_either_net_has_left_chance() -> None:
    edge = at_chance("cifar10")
    a, b = [[90.0, edge, 50.0]], [[90.0, 89.0, 60.0]]
    keys, first, second, left = past_chance("train_error", "cifar10", KEYS, a, b)
    assert (keys, first, second, left) == (KEYS[1:], [[edge, 50.0]], [[89.0, 60.0]], 1)
    assert past_chance("train_error", "cifar10", KEYS, [[90.0] * 3], [[90.0] * 3])[3] == 3
    assert past_chance("test_error", "cifar10", KEYS, a, b) == (KEYS, a, b, 0)


def test_seeds_of_unequal_rows_are_no_rows() -> None:
    for ragged in ([[1.0, 2.0], [1.0]],):
        with pytest.raises(ValueError, match="zip"):
            row_means(ragged)
        with pytest.raises(ValueError, match="zip"):
            claim_throughout(ragged, [[0.0, 0.0]])
    with pytest.raises(ValueError, match="zip"):
        claim_throughout([[1.0, 2.0]], [[0.0]])
    with pytest.raises(ValueError, match="zip"):
        past_chance("train_error", "cifar10", KEYS, [[90.0, 90.0]], [[90.0]])


def test_means_over_rows_and_runs() -> None:
    assert mean_of([[1.0, 2.0], [3.0, 6.0]]) == 3.0
    assert mean_of([]) is None
    assert row_means([[1.0, 2.0], [3.0, 6.0]]) == [2.0, 4.0]


def test_the_smallest_ratio_is_named_with_its_place() -> None:
    keys = [(1, "conv1"), (1, "layer1"), (1000, "conv1")]
    a, b = [[0.0, -1.0, 2.0]], [[0.0, 0.0, 2.0]]  # logarithms: ratios 1, 0.1, 1
    assert smallest_ratio(keys, a, b) == "smallest ratio 0.1 (layer1, iteration 1)"
    assert smallest_ratio([], [], []) == ""


def test_only_rows_that_all_runs_have_are_shared(tmp_path: Path) -> None:
    write(tmp_path, Fake("resnet20", 8.0), Fake("plain20", 9.0), Fake("plain20", 10.0, seed=1))
    frames = read_frames([tmp_path])
    runs = [frames.runs_of("cifar10", arm, "paper") for arm in ("resnet20", "plain20")]
    keys, (one, two) = shared_rows("test_error", frames, *runs)
    assert keys
    assert [len(one), len(two)] == [1, 2]
    assert all(len(curve) == len(keys) for side in (one, two) for curve in side)
    assert [curve[-1] for curve in two] == [9.0, 10.0]


def test_gradients_are_compared_by_their_logarithms_stage_by_stage(tmp_path: Path) -> None:
    write(tmp_path, Fake("resnet20", 8.0), Fake("plain20", 9.0))
    frames = read_frames([tmp_path])
    runs = [frames.runs_of("cifar10", arm, "paper") for arm in ("resnet20", "plain20")]
    keys, (one, _) = shared_rows("gradient_norm", frames, *runs)
    assert {stage for _, stage in keys} == {"conv1", "layer1", "layer2", "layer3"}
    norms = frames.gradients[frames.gradients["arm"] == "resnet20"]
    for (iteration, stage), value in zip(keys, one[0], strict=True):
        row = norms[norms["iteration"] == iteration]
        assert value == pytest.approx(math.log10(float(row[stage].iloc[0])))


def test_a_claim_keeps_what_it_was_judged_by() -> None:
    near = claim_near(0.3, 0.1, (2, 3), 0.5)
    assert (near.n, near.difference, near.half_width) == ((2, 3), 0.3, 0.1)
    guessing = claim_throughout([[], []], [[]], left_out=4)
    assert (guessing.verdict, guessing.n) == ("inconclusive", (2, 1))
    assert guessing.detail == "4 at chance left out"


def test_stages_are_counted_as_such() -> None:
    found = claim_throughout([[1.0, 2.0]], [[0.0, 3.0]], stages=True)
    assert found.detail == "in 1 of 2 rows and stages"
