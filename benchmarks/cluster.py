"""Hours and cost of whole tables on kinds of machines: `python -m benchmarks.cluster`.

From rates that the recorded runs had, and from those stated in machines.toml.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from resnet_repro.cli.console import console, print_rows
from resnet_repro.errors import UserError
from resnet_repro.markup import Grid, markdown_grid
from resnet_repro.models.cost import work_per_image
from resnet_repro.paper import artifacts
from resnet_repro.paths import RECORDED
from resnet_repro.records.files import read_text
from resnet_repro.report.write import update_between_markers
from resnet_repro.sweep import plan

TABLES = ("table6", "table2", "table3", "table4")
SEEDS = 5
STATED = Path(__file__).with_name("machines.toml")
MARKER = "hours"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@dataclass(frozen=True)
class Machine:
    """A kind of device: seconds a unit of work, by kind of run, and USD an hour, if stated."""

    name: str
    seconds: Mapping[str, float]  # under the kinds of `plan.kind_of`
    price: float | None = None
    source: str = ""


def stated(path: Path) -> list[Machine]:
    """The machines of a file such as machines.toml. Raises UserError for one that is none."""
    try:
        entries = tomllib.loads(read_text(path))["machine"]
        return [_stated(entry) for entry in entries]
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is no list of machines ({error}): see {STATED}") from error


def _stated(entry: Mapping[str, object]) -> Machine:
    network, rate = str(entry["network"]), float(str(entry["images_per_second"]))
    work = work_per_image(network)
    if work is None or rate <= 0:
        raise ValueError(f"{network} at {rate} images a second")
    dataset = str(entry.get("dataset", "imagenet"))
    price = entry.get("price")
    return Machine(
        str(entry["name"]),
        {plan.kind_of(network, dataset): 1 / (rate * work)},
        None if price is None else float(str(price)),
        f"{entry['rate_from']}; {entry.get('price_from', 'no price')}",
    )


def measured(records: Path, device: str) -> Machine:
    """What the recorded runs took on devices of a kind; no seconds where there are none."""
    rates = plan.measured_rates([records], device)
    return Machine(f"{device}, as recorded", rates, None, "median of this project's records")


def hours(table: str, machine: Machine, seeds: int = SEEDS) -> float | None:
    """Hours of one device for every run of a table under `paper`; None if not to be known."""
    request = plan.Request(
        artifacts.load(table).artifact,
        seeds=tuple(range(seeds)),
        protocol="paper",
        results=Path("/nonexistent"),
    )
    total = 0.0
    for run in plan.plan(request, ""):
        seconds = machine.seconds.get(plan.kind_of(run.arm.network, run.arm.dataset))
        if seconds is None or not run.work:
            return None
        total += seconds * run.work
    return total / 3600


def grid(machines: Sequence[Machine], tables: Sequence[str] = TABLES) -> Grid:
    """A row a machine: hours of each table on one device, and the price where one is stated."""
    rows = []
    for machine in machines:
        found = [hours(table, machine) for table in tables]
        rows.append((machine.name, *(_cell(h, machine.price) for h in found), machine.source))
    return Grid(("one device", *tables, "rate; price"), tuple(rows))


def _cell(found: float | None, price: float | None) -> str:
    if found is None:
        return "not measured"
    cost = "" if price is None else f", {found * price:,.0f} USD"
    return f"{found:,.0f} h{cost}"


@app.command()
def cluster(
    machines: Annotated[Path, typer.Option(metavar="FILE", help="Stated rates.")] = STATED,
    records: Annotated[Path, typer.Option(metavar="DIR", help="Measured rates.")] = RECORDED,
    page: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Renew the table between its markers.")
    ] = None,
) -> None:
    """Hours of one device, and cost, for whole tables with five seeds under `paper`."""
    own = [measured(records, device) for device in ("cpu", "cuda")]
    found = grid([m for m in own if m.seconds] + stated(machines))
    print_rows(console(), f"{SEEDS} seeds", found.columns, found.rows)
    if page:
        update_between_markers(page, MARKER, markdown_grid(found))


if __name__ == "__main__":
    app()
