"""Table 4: single networks on ImageNet, in the fully-convolutional form at five sizes."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from resnet_repro.messages import _
from resnet_repro.paper.artifacts import Arm, Artifact, Claim, Published

if TYPE_CHECKING:  # drawing libraries load slowly, and declaring needs none of them
    from matplotlib.figure import Figure

    from resnet_repro.report.load.view import View

# Network: its name in the paper's table.
ROWS = {
    "resnet34-B": "ResNet-34 B",
    "resnet34-C": "ResNet-34 C",
    "resnet50": "ResNet-50",
    "resnet101": "ResNet-101",
    "resnet152": "ResNet-152",
}

ARTIFACT = Artifact(
    name="table4",
    title=_("Table 4: single networks on ImageNet"),
    section=_("section 4.1, Table 4"),
    says=_("A single ResNet of 152 layers beats every earlier result, ensembles among them."),
    arms=tuple(Arm(network, network, "imagenet") for network in ROWS),
    published=tuple(
        Published(network, metric, "table4", row)
        for network, row in ROWS.items()
        for metric in ("dense_top1_error", "dense_top5_error")
    ),
    claims=tuple(
        Claim(
            _(
                "{deeper} has a lower error than {network}",
                deeper=ROWS[deeper],
                network=ROWS[network],
            ),
            higher=network,
            lower=deeper,
            metric="dense_top5_error",
        )
        for network, deeper in pairwise(ROWS)
    ),
    notes=(
        _(
            "What the paper quotes was tested as its authors saw fit; one of these lines "
            "was measured on the test images."
        ),
    ),
)


def draw(view: View) -> Figure:
    """The paper's errors and ours, and those it quotes; a line a network."""
    from resnet_repro.report.plots.errors import errors_by_network

    return errors_by_network(view, ("top1_error", "top5_error"))


if __name__ == "__main__":
    from resnet_repro.cli import run_script

    run_script(__file__)
