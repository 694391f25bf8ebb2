"""The rates in docs/verdicts.md are those that the rule has."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from resnet_repro.report.verdicts import error_rates
from resnet_repro.report.verdicts.rule import JUDGED, verdict_of
from tests.conftest import REPO

PAGE = REPO / "docs" / "verdicts.md"


def test_many_at_once_are_judged_as_one_is() -> None:
    rng = np.random.Generator(np.random.Philox(0))
    d, s = rng.normal(0, 0.5, 500), np.abs(rng.normal(0.16, 0.1, 500))
    found = error_rates.verdicts_of(d, s, 6, 3, 1)
    for i, (difference, spread) in enumerate(zip(d, s, strict=True)):
        which = [name for name in JUDGED if found[name][i]]
        assert which == [verdict_of(float(difference), (float(spread), 6), 3, 1)]


def test_rates_are_those_of_the_tests_they_are_made_of() -> None:
    """A true result is judged to be off in 5 % at most, one half a point off reproduced in 5 %."""
    true = error_rates.rates(0.0, 1, 1).verdicts
    assert sum(true.values()) == pytest.approx(1.0)
    # Outside the interval it is in 5 %, of which some are shown to be under half a point.
    assert 0.03 < true["better"] + true["worse"] < 0.05
    assert true["better"] == pytest.approx(true["worse"], abs=0.003)
    for n in error_rates.SEEDS:
        off = error_rates.rates(0.5, n, 1).verdicts
        assert off["reproduced"] <= 0.055
        assert error_rates.together(0.0, n)[1] == pytest.approx(0.05, abs=0.005)
    more = [error_rates.rates(0.0, n, 1).verdicts["reproduced"] for n in error_rates.SEEDS]
    assert more == sorted(more)


def test_degrees_of_freedom_are_those_of_five_nets_and_the_papers_runs() -> None:
    assert [error_rates.degrees(n) for n in (1, 3, 5)] == [4, 14, 24]


def test_the_page_has_what_the_command_computes(tmp_path: Path) -> None:
    """Else run `python -m resnet_repro.report.verdicts.error_rates`."""
    page = Path(shutil.copy(PAGE, tmp_path))
    error_rates.main(page)
    assert page.read_text() == PAGE.read_text()
