"""Hours and cost of whole tables: from rates, by the work of each run."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.cluster import MARKER, STATED, Machine, grid, hours, measured, stated
from resnet_repro.models.cost import work_per_image
from resnet_repro.sweep.plan import kind_of
from tests.conftest import REPO, refused

ENTRY = """
[[machine]]
name = "x"
network = "resnet20"
dataset = "cifar10"
images_per_second = {rate}
rate_from = "made up"
price = 2.0
"""


def test_a_table_takes_its_work_at_the_stated_rate(tmp_path: Path) -> None:
    path = tmp_path / "machines.toml"
    path.write_text(ENTRY.format(rate=1000.0))
    [machine] = stated(path)
    one, five = (hours("table6", machine, seeds) for seeds in (1, 5))
    assert one is not None
    assert five is not None
    assert five == pytest.approx(5 * one)
    # Training alone, of nets whose work is their depth: the tests at the rows come on top.
    nets = sum(depth / 20 for depth in (20, 32, 44, 56, 110, 1202))
    least = nets * 64_000 * 128 / 1000 / 3600
    assert least < one < 1.5 * least
    assert hours("table2", machine) is None  # another kind of images
    [(_, cell, other, source)] = grid([machine], ("table6", "table2")).rows
    assert cell == f"{five:,.0f} h, {2 * five:,.0f} USD"
    assert (other, source) == ("not measured", "made up; no price")


def test_the_stated_machines_are_read_and_the_page_has_a_place_for_them() -> None:
    machines = stated(STATED)
    assert len(machines) >= 2
    for machine in machines:
        assert hours("table4", machine)
        assert machine.name in (REPO / "docs" / "cluster.md").read_text()
    assert (REPO / "docs" / "cluster.md").read_text().count(f"<!-- {MARKER}:") == 2


def test_what_is_no_list_of_machines_is_said(tmp_path: Path) -> None:
    path = tmp_path / "machines.toml"
    for text in ("", "no toml", "[[machine]]\nname = 'x'\n", ENTRY.format(rate=0)):
        path.write_text(text)
        refused(lambda: stated(path), "no list of machines")


def test_records_give_the_rate_of_the_devices_they_were_made_on(tmp_path: Path) -> None:
    machine = measured(REPO / "results" / "recorded", "cpu")
    assert machine.seconds[kind_of("resnet20", "cifar10")] > 0
    assert hours("table6", measured(tmp_path, "cpu")) is None
    work = work_per_image("resnet20")
    assert work is not None
    assert hours("table6", Machine("x", {"cifar10": 1 / work})) is not None
