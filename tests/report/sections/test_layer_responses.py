"""Layer responses under `paper` beside Fig. 7's curves, by the two differences of the rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from resnet_repro.paper.published import layer_std
from resnet_repro.records import schema, store
from resnet_repro.report.load.records import read_frames
from resnet_repro.report.results_page import results_page
from resnet_repro.report.sections.layer_responses import DRAWN, WITHIN, layer_responses
from tests.helpers.records import Fake, write

PAPER = [float(std) for std in layer_std("ResNet-20")["std"]]


def _record(results: Path, stds: Sequence[float], **changes: object) -> None:
    """A record of ResNet-20 whose layers respond so."""
    fake = Fake("resnet20", **changes)  # type: ignore[arg-type]
    write(results, fake)
    layers: list[dict[str, object]] = [
        {"layer": i, "name": f"layer{i}", "std": std} for i, std in enumerate(stds, 1)
    ]
    store.write_table(fake.run.folder(results) / "layers.csv", schema.LAYERS, layers)


def test_every_curve_of_fig_7_is_known() -> None:
    for arm in DRAWN:
        name = arm.replace("plain", "plain-").replace("resnet", "ResNet-")
        assert not layer_std(name).empty


@pytest.mark.parametrize(
    ("change", "level", "shape", "verdict"),
    [
        (lambda i, std: std, 0.0, 0.0, "agrees"),
        (lambda i, std: 1.09 * std, 9.0, 0.0, "agrees"),
        (lambda i, std: 0.5 * std, -50.0, 0.0, "level differs"),
        # Every second layer up, the others down by a fifth of the mean, nine and nine of nineteen.
        (
            lambda i, std: std + (0 if i == 9 else 0.2 * (-1) ** (i + (i > 9)) * _mean()),
            0.0,
            100 * 0.2 * 18 / 19,
            "shape differs",
        ),
        (lambda i, std: 3 * _mean() if i % 2 else 0.1, None, None, "level and shape differ"),
    ],
)
def test_level_and_shape(
    tmp_path: Path,
    change: Callable[[int, float], float],
    level: float | None,
    shape: float | None,
    verdict: str,
) -> None:
    _record(tmp_path, [change(i, std) for i, std in enumerate(PAPER)])
    (found,) = layer_responses(read_frames([tmp_path]))
    assert (found.layers, found.n) == (19, 1)
    if level is not None:
        assert found.level == pytest.approx(level, abs=1e-9)
        assert found.shape == pytest.approx(shape, abs=1e-9)
    assert found.verdict == verdict


def _mean() -> float:
    return sum(PAPER) / len(PAPER)


def test_the_bounds_belong_to_agreement(tmp_path: Path) -> None:
    _record(tmp_path, [(1 + WITHIN / 100 - 1e-6) * std for std in PAPER])
    _record(tmp_path / "other", [(1 + WITHIN / 100 + 1e-6) * std for std in PAPER])
    (inside,) = layer_responses(read_frames([tmp_path]))
    (outside,) = layer_responses(read_frames([tmp_path / "other"]))
    assert (inside.verdict, outside.verdict) == ("agrees", "level differs")


def test_seeds_are_averaged_layer_by_layer_and_other_protocols_left_out(tmp_path: Path) -> None:
    _record(tmp_path, [0.9 * std for std in PAPER])
    _record(tmp_path, [1.1 * std for std in PAPER], seed=1)
    _record(tmp_path, [9.0] * 19, protocol="short")
    (found,) = layer_responses(read_frames([tmp_path]))
    assert found.n == 2
    assert found.level == pytest.approx(0.0, abs=1e-9)


def test_a_network_of_which_a_run_diverged_is_left_out(tmp_path: Path) -> None:
    _record(tmp_path, PAPER)
    write(tmp_path, Fake("resnet20", None, None, seed=1, status="diverged"))
    assert layer_responses(read_frames([tmp_path])) == []


def test_the_results_page_shows_them_and_leads_to_the_records(tmp_path: Path) -> None:
    page, figures = tmp_path / "results.md", tmp_path / "figures"
    before = results_page(page, [tmp_path], read_frames([tmp_path]), figures)
    assert "beside Fig. 7" not in before
    _record(tmp_path, PAPER)
    text = results_page(page, [tmp_path], read_frames([tmp_path]), figures)
    line = next(line for line in text.splitlines() if line.startswith("| resnet20 | 19 |"))
    assert "(cifar10/resnet20/paper/seed0)" in line
    assert line.endswith("| +0.0 % | 0.0 % | agrees |")
