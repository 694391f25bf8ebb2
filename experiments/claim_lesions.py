"""Networks without one of their blocks: Veit, Wilber and Belongie (2016) at the paper's own nets.

Section 3.2's block adds to what passes by. If so, a residual net is a sum over many paths and most
of them survive when a block is deleted; a plain net has one path. The test error is measured after
each block is deleted (its layers replaced by its shortcut; a plain net's by the identity, or by
option A's shortcut where the size changes), after several are, and after two of one stage changed
places. The claims compare the mean rise of the error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from resnet_repro.messages import _
from resnet_repro.paper.artifacts import Arm, Artifact, Claim

if TYPE_CHECKING:  # drawing libraries load slowly, and declaring needs none of them
    from matplotlib.figure import Figure

    from resnet_repro.report.load.view import View

ARMS = ("plain20", "resnet20", "plain56", "resnet56")

ARTIFACT = Artifact(
    name="claim_lesions",
    title=_("Plain and residual nets without some of their blocks, on CIFAR-10"),
    section=_("ours; after Veit et al. (2016)"),
    says=_(
        "Without one of its blocks a plain net is left guessing; a residual net, a sum "
        "over many paths, loses far less."
    ),
    arms=tuple(Arm(name, name) for name in ARMS),
    claims=(
        *(
            Claim(
                _("At {depth} layers the plain net misses a deleted block more", depth=depth),
                higher=f"plain{depth}",
                lower=f"resnet{depth}",
                metric="deletion_rise",
            )
            for depth in (20, 56)
        ),
        *(
            Claim(
                _(
                    "At {depth} layers the plain net suffers more from two blocks swapped",
                    depth=depth,
                ),
                higher=f"plain{depth}",
                lower=f"resnet{depth}",
                metric="swap_rise",
            )
            for depth in (20, 56)
        ),
        Claim(
            _("The deeper residual net misses a deleted block less"),
            higher="resnet20",
            lower="resnet56",
            metric="deletion_rise",
        ),
    ),
    notes=(
        _(
            "Studied are the weights a record keeps, rounded to half precision, with batch "
            "normalisation's moving averages, on the first test images of the canonical "
            "order; the rise is above the whole network's error on the same images."
        ),
    ),
)


def draw(view: View) -> Figure:
    """Errors without each block, without several drawn at random, and with two swapped."""
    from resnet_repro.report.plots.lesions import lesion_figure

    return lesion_figure(view)


if __name__ == "__main__":
    from resnet_repro.cli import run_script

    run_script(__file__)
