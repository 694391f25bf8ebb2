"""The notebooks' pictures: what they show, and one that is drawn anew in its place."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest

from resnet_repro.notebook import bars, draw_block, pictures, plot, show
from resnet_repro.records.store import Row
from resnet_repro.report.plots.style import new_figure, style

pytest.importorskip("IPython")


def rows(*errors: float) -> list[Row]:
    return [
        {"iteration": at, "train_error": error, "test_error": error}
        for at, error in enumerate(errors, 1)
    ]


def test_a_figure_is_shown_as_svg_with_its_words_as_text_and_the_same_bytes() -> None:
    def drawn() -> str:
        with style():
            figure, (axis,) = new_figure(4, 3, 1)
            axis.plot([1, 2, 3], [0.123456, 0.1, 0.3])
            axis.set_title("A title of 0.12345 that stands alone")
        return str(show(figure).data)

    assert "A title of 0.12345 that stands alone" in drawn()
    assert drawn() == drawn()
    paths = re.findall(r' d="([^"]*)"', drawn())
    assert paths
    assert not any(re.search(r"\.\d{3}", path) for path in paths)


def test_lines_and_bars_name_what_they_show() -> None:
    svg = plot({"plain20-w8": [1, 2], "noise": {0: 1.0, 5: 2.0}}, "Title", x="block", y="share (%)")
    for words in ("plain-20", "noise", "Title", "block", "share (%)"):
        assert words in svg.data
    svg = bars({"plain": {"one": 1.25}, "residual": {"one": 2.0}}, "Title", "error (%)")
    for words in ("plain", "residual", "one", "1.2", "2.0", "error (%)"):
        assert words in svg.data


def test_a_block_is_drawn_as_a_file_of_its_own() -> None:
    svg = draw_block(channels=32).data
    assert svg.startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert "conv, 32" in svg
    assert "var(" not in svg  # no style sheet of a page


def test_errors_are_drawn_anew_in_one_place_as_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    handle = SimpleNamespace(update=shown.append)

    def display(picture: Any, *, display_id: bool) -> SimpleNamespace:
        assert display_id
        shown.append(picture)
        return handle

    monkeypatch.setattr("IPython.get_ipython", lambda: object())
    monkeypatch.setattr("IPython.display.display", display)
    curves = pictures.Curves(seconds=0)
    curves.take("resnet20-w8", rows(90))
    curves.take("resnet20-w8", rows(90, 50))
    curves.take("mine", rows(80))
    assert len(shown) == 3
    assert "mine" not in shown[1].data
    assert "mine" in shown[2].data
    assert "ResNet-20" in shown[2].data
    seldom = pictures.Curves(seconds=3600)
    seldom.take("resnet20-w8", rows(90))
    seldom.take("resnet20-w8", rows(90, 50))
    assert len(shown) == 4
    seldom.draw()  # the end is always shown
    assert len(shown) == 5


def test_outside_of_a_notebook_nothing_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "errors_figure", lambda nets: pytest.fail("drawn"))
    pictures.Curves().take("resnet20-w8", rows(90))
