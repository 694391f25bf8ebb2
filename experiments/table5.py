"""Table 5: ensembles on ImageNet. The paper's was measured by the test server, ours cannot be.

The paper combines six models of different depth, two of them of 152 layers, and does not say
which the others are. Ours are the networks of Table 4, the deepest trained with two seeds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from resnet_repro.messages import _
from resnet_repro.paper.artifacts import Arm, Artifact, Published

if TYPE_CHECKING:  # drawing libraries load slowly, and declaring needs none of them
    from matplotlib.figure import Figure

    from resnet_repro.report.load.view import View

MEMBERS = ("resnet34-B", "resnet34-C", "resnet50", "resnet101")
TWICE = "resnet152"

ARTIFACT = Artifact(
    name="table5",
    title=_("Table 5: ensembles on ImageNet"),
    section=_("section 4.1, Table 5"),
    says=_("Six residual nets together have a top-5 error of 3.57 % on the test images."),
    arms=(
        *(Arm(network, network, "imagenet") for network in MEMBERS),
        Arm(TWICE, TWICE, "imagenet", seeds=2),
    ),
    published=(Published("ensemble", "top5_error", "table5", "ResNet (ILSVRC'15)"),),
    ensemble=True,
    notes=(
        _(
            "The published errors are the test server's, of images whose labels nobody "
            "else has; an ensemble here is tested on the validation images, so the two are "
            "not comparable."
        ),
        _(
            "The paper does not name its six models, of which two have 152 layers. Here "
            "they are the networks of Table 4, ResNet-152 with two seeds."
        ),
    ),
)


def draw(view: View) -> Figure:
    """The paper's error, those it quotes, and our ensembles on the validation images."""
    from resnet_repro.report.plots.errors import errors_by_network

    return errors_by_network(view, ("top5_error",))


if __name__ == "__main__":
    from resnet_repro.cli import run_script

    run_script(__file__)
