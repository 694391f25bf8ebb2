"""Work per image, and the pace of recorded runs."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnet_repro.errors import UserError
from resnet_repro.models.cost import seconds_per_work, typical_pace, work_per_image

RATES = st.lists(st.floats(1, 1e6), min_size=1)


def test_work_goes_with_depth_and_the_square_of_width() -> None:
    small, deep, wide = (work_per_image(n) for n in ("plain20-w8", "resnet110-w8", "resnet20-w16"))
    assert small
    assert deep
    assert wide
    assert deep / small == pytest.approx(110 / 20)
    assert wide / small == 4


def test_imagenet_networks_work_by_their_multiply_adds() -> None:
    full, half = (work_per_image("resnet34-A", crop) for crop in (224, 112))
    assert full
    assert half
    assert half == pytest.approx(full / 4, rel=0.01)
    assert work_per_image("resnet18-C") is None  # nobody counted it


def test_an_unknown_network_is_refused() -> None:
    with pytest.raises(UserError, match="unknown network"):
        work_per_image("alexnet")


@given(RATES, st.sampled_from((0.0, -1.0, math.nan, math.inf)))
def test_rows_that_measured_nothing_do_not_move_the_pace(rates: list[float], bad: float) -> None:
    assert typical_pace([*rates, bad]) == typical_pace(rates)
    assert typical_pace([bad]) is None
    assert seconds_per_work("resnet20", None, [bad]) is None


@given(RATES)
def test_a_unit_of_work_gives_back_the_pace(rates: list[float]) -> None:
    unit, work = seconds_per_work("resnet20", None, rates), work_per_image("resnet20")
    pace = typical_pace(rates)
    assert unit
    assert work
    assert pace
    assert unit * work == pytest.approx(1 / pace)
