"""Figures: what they show, that it can be found again in the files, and that they repeat."""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import seaborn  # type: ignore[import-untyped, unused-ignore]
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from PIL import Image

from resnet_repro import paths
from resnet_repro.errors import UserError
from resnet_repro.paper import artifacts
from resnet_repro.paper.published import curve
from resnet_repro.report.load.records import read_frames
from resnet_repro.report.load.view import View, make_view
from resnet_repro.report.plots import style
from resnet_repro.report.plots.curves import Panel, training_curves
from resnet_repro.report.plots.digest import plotted_digest
from resnet_repro.report.plots.files import dark, save, stored_digest
from resnet_repro.report.plots.panels import spread_out
from tests.helpers.records import Fake, write

PLAIN = (Fake("plain20", 9.7, 1.4, rows=16), Fake("plain56", 13.2, 6.0, rows=16))


def view_of(tmp_path: Path, artifact: str, *fakes: Fake) -> View:
    write(tmp_path / "results", *fakes)
    return make_view(artifacts.load(artifact).artifact, read_frames([tmp_path / "results"]))


def draw(view: View) -> Figure:
    figure = artifacts.load(view.artifact.name).draw(view)
    assert isinstance(figure, Figure)
    return figure


def texts(figure: Figure) -> list[Text]:
    """Every text of a figure that is drawn, once."""
    unseen = set()  # the labels of ticks beyond an axis's ends exist, and are not drawn
    for ax in figure.axes:
        for axis, (low, high) in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim())):
            ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
            unseen |= {t.label1 for t in ticks if not low <= float(t.get_loc()) <= high}
    found = [t for t in figure.findobj(match=Text) if isinstance(t, Text) and t not in unseen]
    return [t for t in found if t.get_visible() and t.get_text().strip()]


def words(figure: Figure) -> str:
    return "\n".join(t.get_text() for t in texts(figure))


def xs(line: Line2D) -> list[float]:
    return [float(x) for x in np.asarray(line.get_xdata(), dtype=float)]


def ys(line: Line2D) -> list[float]:
    return [float(y) for y in np.asarray(line.get_ydata(), dtype=float)]


def ends(ax: Axes) -> list[tuple[float, float]]:
    """The last finite point of each line, rounded."""
    return [(round(xs(line)[-1], 3), round(ys(line)[-1], 2)) for line in ax.get_lines()]


def small_print(figure: Figure) -> str:
    return " ".join(figure.texts[-1].get_text().split())


def test_fig_1_draws_ours_over_the_papers_curves(tmp_path: Path) -> None:
    left, right = draw(view_of(tmp_path, "fig1", *PLAIN)).axes
    assert (64_000, 1.48) in ends(left)  # the paper's
    assert (64_000, 1.4) in ends(left)
    assert (64_000, 9.7) in ends(right)
    assert (64_000, 9.68) in ends(right)
    assert len(left.get_lines()) == len(right.get_lines()) == 4
    assert {line.get_linestyle() for line in left.get_lines()} == {"--"}
    assert {line.get_linestyle() for line in right.get_lines()} == {"-"}
    assert left.get_ylim() == (0, 20)
    assert left.get_xlabel() == "iterations (1e4)"


def test_a_shorter_protocol_is_drawn_by_the_fraction_of_training(tmp_path: Path) -> None:
    short = [dataclasses.replace(f, protocol="short") for f in PLAIN]
    figure = draw(view_of(tmp_path, "fig1", *short))
    left, _ = figure.axes
    assert {x for x, _ in ends(left)} == {1.0}
    first = min(xs(line)[0] for line in left.get_lines())
    assert first == pytest.approx(4_000 / 64_000)
    assert left.get_xlim() == (0, 1)
    assert left.get_xlabel() == "fraction of training"
    assert "Protocol: short (8,000 of the paper's 64,000 iterations)." in small_print(figure)


def test_what_ends_above_the_papers_axis_is_in_a_strip_on_it(tmp_path: Path) -> None:
    high = Fake("plain56", 34.0, 31.0, protocol="short")
    axes = draw(view_of(tmp_path, "fig1", high)).axes
    assert [ax.get_ylim() for ax in axes] == [(0, 20), (20, 100)] * 2
    for ax, other in zip(axes[::2], axes[1::2], strict=True):
        assert ends(ax) == ends(other)  # the same curves in both
    named = {t.get_text(): t for t in axes[3].texts}
    assert list(named) == ["plain-56"]
    assert named["plain-56"].get_fontweight() == "bold"
    assert [t.get_text() for t in axes[2].texts] == ["paper's 20", "paper's 56"]


@pytest.mark.parametrize(
    ("wanted", "places"),
    [
        ([], []),
        ([5.0, 50.0], [5.0, 50.0]),
        ([20.0, 20.0, 20.0], [10.0, 20.0, 30.0]),
        ([20.0, 22.0, 60.0, 61.0], [16.0, 26.0, 55.5, 65.5]),
        ([1.0, 1.0], [5.0, 15.0]),  # the lower end of the axis
        ([99.0, 99.0], [85.0, 95.0]),
    ],
)
def test_names_at_curves_ends_stand_apart_and_as_near_as_may_be(
    wanted: list[float], places: list[float]
) -> None:
    assert spread_out(wanted, 10.0, 5.0, 95.0) == pytest.approx(places)


def test_fig_7_keeps_the_papers_axis_and_shows_what_lies_above(tmp_path: Path) -> None:
    usual = draw(view_of(tmp_path / "usual", "fig7", Fake("plain20", response=2.0))).axes
    assert [ax.get_ylim()[0] for ax in usual] == [0, 0]
    figure = draw(view_of(tmp_path / "high", "fig7", Fake("plain20", response=20.0)))
    low, strip, _, _ = figure.axes
    assert low.get_ylim() == usual[0].get_ylim()
    assert strip.get_ylim()[0] == low.get_ylim()[1]
    assert strip.get_ylim()[1] > max(highs(strip)) == 20.0


def highs(ax: Axes) -> list[float]:
    return [max(ys(line)) for line in ax.get_lines()]


def test_what_was_not_run_is_named_and_the_paper_still_drawn(tmp_path: Path) -> None:
    figure = draw(view_of(tmp_path, "fig6", Fake("resnet20", 8.8), Fake("resnet110", 6.6)))
    residual, right = figure.axes  # of the plain nets none was run: they have no panel
    assert len(residual.get_lines()) == 14  # five networks of the paper's, training and test; ours
    assert len(right.get_lines()) == 6
    assert right.get_xlim() == (32_000, 64_000)
    # The paper's right panel, drawn from 35,000 on, not its middle one over again.
    papers = [line for line in right.get_lines() if line.get_linewidth() == 0.9]
    assert min(xs(line)[0] for line in papers) == 35_000
    assert "Not run: plain20, plain32, plain44, plain56, plain110, resnet32" in small_print(figure)
    assert len(draw(view_of(tmp_path / "none", "fig6")).axes) == 3  # the paper's alone
    assert "Seeds: n = 1." in small_print(figure)
    assert "ResNet-110" in words(figure)


def test_several_seeds_are_thin_lines_around_a_bold_mean(tmp_path: Path) -> None:
    view = view_of(
        tmp_path, "fig1", *(Fake("plain20", e, seed=s) for s, e in enumerate((9.0, 10.0, 11.0)))
    )
    figure = draw(view)
    _, right = figure.axes
    widths = sorted(line.get_linewidth() for line in right.get_lines())
    # two of the paper's, three seeds, one mean
    assert widths == [0.6, 0.6, 0.6, 0.9, 0.9, 2.0]
    bold = max(right.get_lines(), key=lambda line: line.get_linewidth())
    assert ys(bold)[-1] == pytest.approx(10.0)
    assert "Seeds: n = 3." in small_print(figure)
    assert "thin: each seed" in words(figure)
    assert "thin: each seed" not in words(draw(view_of(tmp_path / "one", "fig1", Fake("plain20"))))


def test_the_mean_ends_where_a_seed_does(tmp_path: Path) -> None:
    lost = Fake("plain20", None, None, seed=1, status="diverged")
    _, right = draw(view_of(tmp_path, "fig1", Fake("plain20"), lost)).axes
    bold = max(right.get_lines(), key=lambda line: line.get_linewidth())
    assert all(math.isnan(y) for y in ys(bold))


def test_unequal_numbers_of_seeds_are_told_arm_by_arm(tmp_path: Path) -> None:
    figure = draw(view_of(tmp_path, "fig1", *PLAIN, Fake("plain20", seed=1)))
    assert "Seeds: n = 1 (plain56), n = 2 (plain20)." in small_print(figure)


def test_a_diverged_run_is_named_and_breaks_no_figure(tmp_path: Path) -> None:
    view = view_of(tmp_path, "fig1", PLAIN[0], Fake("plain56", None, None, status="diverged"))
    figure = draw(view)
    assert "Diverged: plain56." in small_print(figure)
    assert figure.axes[0].get_ylim() == (0, 20)


def test_the_demo_shows_the_whole_range_and_no_curve_of_the_paper(tmp_path: Path) -> None:
    fakes = [
        Fake(arm, e, e, protocol="demo", dataset="digits")
        for arm, e in (("plain20-w8", 3.0), ("plain56-w8", 67.0), ("resnet56-w8", 1.0))
    ]
    figure = draw(view_of(tmp_path, "demo", *fakes))
    left, right = figure.axes
    assert left.get_ylim() == right.get_ylim() == (0, 100)
    assert len(left.get_lines()) == 4
    assert len(right.get_lines()) == 2
    assert "the paper's curves" not in words(figure)
    assert "Not run: resnet20-w8." in small_print(figure)


def test_table_6_draws_published_and_recorded_with_intervals(tmp_path: Path) -> None:
    fakes = [Fake("resnet110", e, seed=s) for s, e in enumerate((6.5, 6.6, 6.7))]
    figure = draw(view_of(tmp_path, "table6", Fake("resnet20", 8.9), *fakes))
    layers, parameters = figure.axes
    assert [t.get_text() for t in layers.get_xticklabels()] == [
        "20", "32", "44", "56", "110", "1202",
    ]  # fmt: skip
    assert [t.get_text() for t in parameters.get_xticklabels()][-1] == "19.4"
    published, ours = layers.containers
    assert ys(published[0]) == [8.75, 7.51, 7.17, 6.97, 6.61, 7.93]
    assert ys(ours[0]) == [8.9, pytest.approx(6.6)]
    # s^2 = (4 * 0.0256 + 2 * 0.01) / 6, t(0.975, 6) = 2.446912: h = 0.349490 / sqrt(3) at 110
    _, (segments,) = ours[1], ours[2]
    low, high = segments.get_segments()[1][:, 1]
    assert (high - low) / 2 == pytest.approx(0.201778, abs=1e-5)


def test_without_seeds_to_go_by_table_6_shows_no_interval(tmp_path: Path) -> None:
    figure = draw(view_of(tmp_path, "table6", Fake("resnet20", 12.0, protocol="short")))
    assert "none at the suite's means" in small_print(figure)


def overlaps(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of upright words that share more than a sliver of space."""
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call, unused-ignore]
    figure.draw_without_rendering()
    boxes = [
        # Of the words alone: an annotation's own extent takes in its line.
        (t.get_text(), Text.get_window_extent(t, renderer).padded(-1))
        for t in texts(figure)
        if t.get_rotation() in (0, 90)
    ]
    return [
        (a, b) for i, (a, box) in enumerate(boxes) for b, other in boxes[:i] if box.overlaps(other)
    ]


@pytest.mark.parametrize("protocol", ["paper", "short"])
@pytest.mark.parametrize(
    "artifact",
    ["fig1", "fig6", "table6", "demo", "shortcuts_cifar", "warmup110", "gradients_cifar"],
)
def test_no_words_lie_on_words(tmp_path: Path, artifact: str, protocol: str) -> None:
    arms = artifacts.load(artifact).artifact.arms
    fakes = [
        Fake(arm.name, 9.0, 2.0, protocol=protocol, dataset=arm.dataset, seed=seed)
        for arm in arms[:3]
        for seed in (0, 1)
    ]
    with style.style():
        assert overlaps(draw(view_of(tmp_path, artifact, *fakes))) == []


def test_the_palette_is_seaborns_colour_blind_one() -> None:
    assert list(style.palette()) == list(seaborn.color_palette("colorblind"))


def test_two_arms_of_one_network_differ_in_colour_and_name() -> None:
    arms = artifacts.load("warmup110").artifact.arms
    hues = style.arm_colours(arms)
    assert hues["resnet110"] == style.colour("resnet110") != hues["resnet110-nowarmup"]
    assert [style.arm_label(arm) for arm in arms] == ["ResNet-110", "ResNet-110 (nowarmup)"]


def test_colours_go_by_depth() -> None:
    assert style.colour("plain56") == style.colour("resnet56-w8")
    assert len({style.colour(f"resnet{d}") for d in style.DEPTHS}) == len(style.DEPTHS)


# Files


def saved(tmp_path: Path, view: View, folder: str) -> tuple[Path, Path]:
    svg, png = save(draw(view), tmp_path / folder, "f", plotted_digest(view))
    return svg, png


def test_files_name_their_data_and_hold_no_dates(tmp_path: Path) -> None:
    view = view_of(tmp_path, "fig1", *PLAIN)
    svg, png = saved(tmp_path, view, "out")
    digest = plotted_digest(view)
    assert stored_digest(svg) == stored_digest(png) == digest
    with Image.open(png) as image:
        assert image.text == {"Description": f"data-sha256: {digest}"}  # type: ignore[attr-defined]
    text = svg.read_text()
    assert not re.search(r"<dc:date>|Matplotlib", text)
    ElementTree.fromstring(text)


def test_text_in_svg_stays_text(tmp_path: Path) -> None:
    svg, _ = saved(tmp_path, view_of(tmp_path, "fig1", *PLAIN), "out")
    text = svg.read_text()
    assert "<text" in text
    assert "plain-56" in text
    assert "iterations (1e4)" in text


def test_an_svg_follows_a_dark_page(tmp_path: Path) -> None:
    svg, _ = saved(tmp_path, view_of(tmp_path, "fig6", *PLAIN, Fake("resnet110")), "out")
    text = svg.read_text()
    sheet = re.search(r"@media \(prefers-color-scheme: dark\) \{(.*?)\n\}", text, re.DOTALL)
    assert sheet is not None
    drawn = set(re.findall(r'"[^"]*?((?:fill|stroke): #[0-9a-f]{6})', text.replace(sheet[0], "")))
    assert drawn
    for kind, colour in (part.split(": ") for part in drawn):
        assert f'[style*="{kind}: {colour}"] {{ {kind}: {dark(colour)} !important }}' in sheet[1]
        if colour in style.COLOURS:
            assert contrast(dark(colour), dark("#ffffff")) > 3  # WCAG's least for graphics
    assert contrast(dark("#000000"), dark("#ffffff")) > 7


def luminance(colour: str) -> float:
    """Relative luminance as WCAG defines it."""
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), parts, strict=True))


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("path", sorted(paths.FIGURES.glob("*.svg")), ids=lambda path: path.stem)
def test_no_words_of_a_committed_figure_are_too_small_to_read(path: Path) -> None:
    """7 points at the width of a repository's page, which shows no figure wider than WIDTH."""
    text = path.read_text()
    width = re.search(r'<svg [^>]*width="([\d.]+)pt" [^>]*viewBox="0 0 ([\d.]+) ', text)
    assert width is not None
    assert width[1] == width[2]  # so that a unit is a point
    sizes = [float(size) for size in re.findall(r"font(?:-size)?: [^;]*?([\d.]+)px", text)]
    assert float(width[1]) < 72 * style.WIDTH + 0.01
    assert min(sizes) >= 7


def test_the_same_records_give_the_same_bytes(tmp_path: Path) -> None:
    first = saved(tmp_path, view_of(tmp_path / "a", "fig1", *PLAIN), "one")
    second = saved(tmp_path, view_of(tmp_path / "b", "fig1", *reversed(PLAIN)), "two")
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_a_users_own_style_does_not_leak_in(tmp_path: Path) -> None:
    import matplotlib as mpl

    view = view_of(tmp_path, "fig1", *PLAIN)
    first = saved(tmp_path, view, "one")
    with mpl.rc_context({"font.size": 20, "axes.facecolor": "black", "svg.fonttype": "path"}):
        second = saved(tmp_path, view, "two")
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_the_digest_follows_the_data_and_nothing_else(tmp_path: Path) -> None:
    base = plotted_digest(view_of(tmp_path / "a", "fig1", *PLAIN))
    moved = plotted_digest(view_of(tmp_path / "b", "fig1", *reversed(PLAIN)))
    assert moved == base
    # An arm of another artifact changes nothing.
    more = plotted_digest(view_of(tmp_path / "c", "fig1", *PLAIN, Fake("resnet20")))
    assert more == base
    changes = {"test_error": 9.71, "seed": 1, "precision": "bf16", "rows": 15, "status": "diverged"}
    others = {
        plotted_digest(
            view_of(
                tmp_path / name,
                "fig1",
                dataclasses.replace(PLAIN[0], **{name: value}),  # type: ignore[arg-type]
                PLAIN[1],
            )
        )
        for name, value in changes.items()
    }
    assert len(others - {base}) == len(changes)


def test_a_file_without_a_digest_is_named(tmp_path: Path) -> None:
    path = tmp_path / "f.svg"
    path.write_text("<svg/>")
    with pytest.raises(UserError, match="names no data"):
        stored_digest(path)
    with pytest.raises(UserError, match="cannot read"):
        stored_digest(tmp_path / "none.svg")


def test_an_unwritable_folder_is_the_users_to_mend(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(UserError, match="cannot write"):
        saved(tmp_path, view_of(tmp_path, "fig1", *PLAIN), "out")


def test_a_panel_may_show_arms_the_paper_never_drew(tmp_path: Path) -> None:
    view = view_of(tmp_path, "demo", Fake("plain20-w8", protocol="demo", dataset="digits"))
    figure = training_curves(view, [Panel("digits", ("plain20-w8",), figure="fig6", panel="left")])
    assert len(figure.axes[0].get_lines()) == 2


def test_the_papers_curve_is_drawn_where_the_paper_has_it(tmp_path: Path) -> None:
    _, right = draw(view_of(tmp_path, "fig1")).axes
    points = curve("fig1", "plain-56", "test")
    drawn = [ys(line) for line in right.get_lines()]
    assert points["error_pct"].tolist() in drawn


# Our own artifacts


def test_warm_up_is_drawn_at_the_start_and_whole_beside_one_curve_of_the_paper(
    tmp_path: Path,
) -> None:
    arms = artifacts.load("warmup110").artifact.arms
    fakes = [Fake(arm.name, 7.0, 0.2, network=arm.network, rows=64) for arm in arms]
    first, whole = draw(view_of(tmp_path, "warmup110", *fakes)).axes
    assert first.get_xlim() == (0, 8_000)
    assert first.get_ylim() == (0, 100)
    assert whole.get_xlim() == (0, 64_000)
    assert whole.get_ylim() == (0, 20)
    assert len(first.get_lines()) == 4  # two arms, training and test
    assert len(whole.get_lines()) == 6  # the paper drew its warm-up alone
    assert ends(whole).count((64_000, 7.0)) == 2
    ticks = [t.get_text() for t in first.get_xticklabels()]
    assert ticks == ["0", "0.2", "0.4", "0.6", "0.8"]


def test_each_seed_of_each_shortcut_is_a_dot_beside_its_mean(tmp_path: Path) -> None:
    errors = {"resnet20": (8.6, 8.8), "resnet20-B": (8.4,), "resnet56-C": (7.0,)}
    fakes = [Fake(a, e, seed=s) for a, values in errors.items() for s, e in enumerate(values)]
    twenty, fifty_six = draw(view_of(tmp_path, "shortcuts_cifar", *fakes)).axes
    assert [t.get_text() for t in twenty.get_xticklabels()] == ["A", "B", "C"]
    assert (twenty.get_title(), fifty_six.get_title()) == ("20 layers", "56 layers")
    dots = [ys(line) for line in twenty.get_lines() if line.get_label() == "each seed"]
    assert dots == [[8.6, 8.8], [8.4]]
    means = [ys(container[0]) for container in twenty.containers]
    assert means == [[pytest.approx(8.7)], [8.4]]
    hollow = [ys(line) for line in twenty.get_lines() if "published" in str(line.get_label())]
    assert hollow == [[8.75]]
    # s^2 = (4 * 0.0256 + 1 * 0.02) / 5 = 0.02448, t(0.975, 5) = 2.570582: 0.402196 / sqrt(n)
    (segments,) = twenty.containers[1][2]
    low, high = segments.get_segments()[0][:, 1]
    assert (high - low) / 2 == pytest.approx(0.402196, abs=1e-5)


def test_published_errors_are_no_yardstick_of_a_shorter_protocol(tmp_path: Path) -> None:
    view = view_of(tmp_path, "shortcuts_cifar", Fake("resnet20", 12.9, protocol="short"))
    figure = draw(view)
    assert "published" not in words(figure)
    twenty, fifty_six = figure.axes
    assert len(twenty.get_yticks()) > 0
    assert len(fifty_six.get_yticks()) == 0  # nothing recorded, so no scale


def test_gradient_norms_are_averaged_by_their_logarithm(tmp_path: Path) -> None:
    fakes = [
        Fake("plain20", seed=0, gradients=(0.1, 0.5, 0.5, 0.5, 0.5)),
        Fake("plain20", seed=1, gradients=(0.4, 0.5, 0.5, 0.5, 0.5)),
        Fake("resnet56", gradients=(0.0, 0.5, 0.5, 0.5, 0.5)),
    ]
    left, right = draw(view_of(tmp_path, "gradients_cifar", *fakes)).axes
    assert left.get_yscale() == right.get_yscale() == "log"
    assert left.get_ylim() == right.get_ylim()
    first = left.get_lines()[0]
    assert ys(first) == pytest.approx(
        [0.2] * 9
    )  # sqrt(0.1 * 0.4), at the first step and eight rows
    assert first.get_linestyle() == "--"
    assert len(left.get_lines()) == len(right.get_lines()) == 5
    assert all(math.isnan(y) for y in ys(right.get_lines()[0]))  # 0 is not on this axis
    assert {line.get_linestyle() for line in right.get_lines()} == {"-"}
