"""Table 3: shortcut options and depth on ImageNet, 10-crop."""

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
    "plain34": "plain-34",
    "resnet34-A": "ResNet-34 A",
    "resnet34-B": "ResNet-34 B",
    "resnet34-C": "ResNet-34 C",
    "resnet50": "ResNet-50",
    "resnet101": "ResNet-101",
    "resnet152": "ResNet-152",
}


def _lower(text: str, lower: str, higher: str) -> Claim:
    return Claim(text, higher=higher, lower=lower, metric="ten_crop_top1_error")


ARTIFACT = Artifact(
    name="table3",
    title=_("Table 3: shortcut options and depth on ImageNet"),
    section=_("section 4.1, Table 3"),
    says=_(
        "Every shortcut option beats the plain net; projections help slightly and are "
        "not essential; accuracy grows with depth to 152 layers."
    ),
    arms=tuple(Arm(network, network, "imagenet") for network in ROWS),
    published=tuple(
        Published(network, metric, "table3", row)
        for network, row in ROWS.items()
        for metric in ("ten_crop_top1_error", "ten_crop_top5_error")
    ),
    claims=(
        *(
            _lower(
                _("Option {option} has a lower error than the plain net", option=option),
                lower=f"resnet34-{option}",
                higher="plain34",
            )
            for option in "ABC"
        ),
        _lower(_("Option B is slightly better than A"), lower="resnet34-B", higher="resnet34-A"),
        _lower(_("Option C is marginally better than B"), lower="resnet34-C", higher="resnet34-B"),
        *(
            _lower(
                _(
                    "{deeper} has a lower error than {network}",
                    deeper=ROWS[deeper],
                    network=ROWS[network],
                ),
                deeper,
                network,
            )
            for network, deeper in pairwise(("resnet34-C", "resnet50", "resnet101", "resnet152"))
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
