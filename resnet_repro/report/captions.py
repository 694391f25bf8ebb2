"""The line above a table: protocols, machines and precisions of its runs, or what was counted."""

from __future__ import annotations

from collections.abc import Sequence

from resnet_repro.messages import _, joined
from resnet_repro.paper.artifacts import Artifact
from resnet_repro.paper.published import ITERATIONS
from resnet_repro.records.counts import Count
from resnet_repro.records.datasets import PHOTOGRAPHS
from resnet_repro.report.load.evaluations import settings_words
from resnet_repro.report.load.frames import Frames, Run, sort_protocols


def protocol_words(runs: Sequence[Run], protocol: str) -> str:
    """`short (8,000 of the paper's 64,000 iterations)`, from what the runs' specs say."""
    here = [run for run in runs if run.protocol == protocol]
    lengths = sorted({run.schedule for run in here})
    counted = joined(" or ", [f"{n:,}" for n in lengths])
    papers = {ITERATIONS.get(run.dataset) for run in here}
    full = papers.pop() if len(papers) == 1 else None
    if full is not None and lengths != [full]:
        return _(
            "{protocol} ({n} of the paper's {full:,} iterations)",
            protocol=protocol,
            n=counted,
            full=full,
        )
    return _("{protocol} ({n} iterations)", protocol=protocol, n=counted)


def caption(runs: Sequence[Run]) -> str:
    """One line naming the protocols, machines and precisions of the runs.

    Of photographs the data set, too: the name of an ImageNet network does not say on what.
    """
    if not runs:
        return _("Nothing recorded yet.")
    protocols = sort_protocols(run.protocol for run in runs)
    images = sorted({run.dataset for run in runs if run.dataset in PHOTOGRAPHS})
    parts = [
        _data_sets(images),
        _protocols([protocol_words(runs, p) for p in protocols]),
        _machines(sorted({run.device_name for run in runs})),
        _precisions(sorted({run.precision for run in runs})),
    ]
    return joined(" ", parts)


def counted_caption(artifact: Artifact, counts: Sequence[Count]) -> str:
    """One line saying what was counted, of the artifact's networks."""
    networks = {arm.network for arm in artifact.arms}
    inputs = sorted({input_words(count) for count in counts if count.name in networks})
    if not inputs:
        return _("Nothing recorded yet.")
    return _(
        "Counted, not trained. Multiply-adds of the convolutions and linear layers, for one image "
        "of {shape}.",
        shape=joined(" or ", inputs),
    )


def input_words(count: Count) -> str:
    """The image that was counted on: 3 x 32 x 32."""
    return " x ".join(str(n) for n in count.input)


def ensemble_caption(artifact: Artifact, frames: Frames) -> str:
    """One line saying who the ensembles' members are."""
    found = frames.ensembles_of(artifact)
    if not found:
        return _("Nothing recorded yet.")
    return joined(
        " ",
        [
            _(
                "{ensemble}: {members} ({settings}).",
                ensemble=e.name,
                members=", ".join(e.made.members),
                settings=settings_words(e.made) or _("settings not stated"),
            )
            for e in found
        ],
    )


def _data_sets(names: Sequence[str]) -> str:
    found = joined(", ", names)
    one = _("Data set: {names}.", names=found)
    return _("Data sets: {names}.", names=found) if len(names) > 1 else one if names else ""


def _protocols(names: Sequence[str]) -> str:
    found = joined(", ", names)
    one = _("Protocol: {names}.", names=found)
    return _("Protocols: {names}.", names=found) if len(names) > 1 else one


def _machines(names: Sequence[str]) -> str:
    found = joined(", ", names)
    one = _("Machine: {names}.", names=found)
    return _("Machines: {names}.", names=found) if len(names) > 1 else one


def _precisions(names: Sequence[str]) -> str:
    found = joined(", ", names)
    one = _("Precision: {names}.", names=found)
    return _("Precisions: {names}.", names=found) if len(names) > 1 else one
