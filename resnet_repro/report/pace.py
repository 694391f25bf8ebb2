"""How fast the recorded runs were, and what a run therefore takes."""

from __future__ import annotations

from resnet_repro.report.frames import LABELS, Frames
from resnet_repro.report.render import Grid


def pace(frames: Frames) -> Grid:
    """Images per second of each finished run and the hours its training takes at that pace.

    The median over the rows of its record, tests left out: a machine that did other things
    for a while, or a run that was interrupted, does not move it.
    """
    rows = []
    timing = frames.timing
    for run in frames.runs.sort_values(list(LABELS)).to_dict("records"):
        mine = timing
        for label in LABELS:
            mine = mine[mine[label] == run[label]]
        rate = float(mine["images_per_second"].median())
        images = float((mine["images_per_second"] * mine["seconds"]).sum())
        hours = images / rate / 3600
        rows.append(
            (
                str(run["arm"]),
                str(run["protocol"]),
                str(run["seed"]),
                f"{run['device_name']}, {run['precision']}",
                f"{rate:,.0f}",
                f"{hours:.1f}",
            )
        )
    return Grid(("network", "protocol", "seed", "machine", "images a second", "hours"), tuple(rows))
