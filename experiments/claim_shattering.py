"""Shattered gradients: Balduzzi et al. (2017) at the paper's own nets.

Section 4.1 finds the plain nets' gradients healthy in norm. Here is looked at how they change
from one input to the next. Along circles through pairs of test images, the gradient of a random
mixture of a block's channels is taken with respect to the input. Before training, in a plain net
neighbouring inputs' gradients have the less in common the deeper the block, until they resemble
white noise; shortcuts keep them alike for longer.

Beside it stand the norms before training, which no row of a record has: batch normalisation keeps
the signal's variance on the way to the output, but not the gradient's on the way back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from resnet_repro.messages import _
from resnet_repro.paper.artifacts import Arm, Artifact, Claim

if TYPE_CHECKING:  # drawing libraries load slowly, and declaring needs none of them
    from matplotlib.figure import Figure

    from resnet_repro.report.load.view import View

ARMS = ("plain20", "resnet20", "plain56", "resnet56")


def _more_alike(text: str, higher: str, lower: str) -> Claim:
    return Claim(text, higher=higher, lower=lower, metric="initial_correlation")


ARTIFACT = Artifact(
    name="claim_shattering",
    title=_("Gradients of neighbouring inputs in plain and residual nets, on CIFAR-10"),
    section=_("ours; after Balduzzi et al. (2017)"),
    says=_(
        "Before training, the gradients of a deep plain net change from one input to "
        "the next like white noise; those of a residual net do not."
    ),
    arms=tuple(Arm(name, name) for name in ARMS),
    claims=(
        *(
            _more_alike(
                _("At {depth} layers the residual net's gradients are more alike", depth=depth),
                f"resnet{depth}",
                f"plain{depth}",
            )
            for depth in (20, 56)
        ),
        _more_alike(_("The deeper plain net's gradients are less alike"), "plain20", "plain56"),
    ),
    notes=(
        _(
            "Compared are the gradients after the last block at neighbouring inputs on the "
            "circles, by their correlation over the circle, before training. Batch "
            "normalisation then has the statistics of one batch of training images, and "
            "after training its moving averages, so that each output depends on its own "
            "input alone."
        ),
        _(
            "The last panel is of another gradient: that of the loss with respect to each "
            "layer's weights, over one batch of training images."
        ),
    ),
)


def draw(view: View) -> Figure:
    """Correlation of neighbours after each block and by distance; norms by layer."""
    from resnet_repro.report.plots.shattering import shattering_figure

    return shattering_figure(view)


if __name__ == "__main__":
    from resnet_repro.cli import run_script

    run_script(__file__)
