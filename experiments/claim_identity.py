"""Identity by construction: section 1's deeper solution, written down for trained nets.

Section 1 of the paper: a deeper plain net has a solution at least as good as the shallower one's,
as the added layers may be identities; yet training finds none as good. Here a trained net is
deepened by blocks that compute an identity: delta kernels in a plain net, a zeroed residual in a
residual one. Its training error is measured at each depth, beside the nets trained at that depth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from resnet_repro.messages import _
from resnet_repro.paper.artifacts import Arm, Artifact, Claim

if TYPE_CHECKING:  # drawing libraries load slowly, and declaring needs none of them
    from matplotlib.figure import Figure

    from resnet_repro.report.load.view import View

DEPTHS = (20, 32, 44, 56)  # of the plain nets in Fig. 6

ARTIFACT = Artifact(
    name="claim_identity",
    title=_("Trained nets made deeper by identities, on CIFAR-10"),
    section=_("ours; section 1 says so without numbers"),
    says=_(
        "A deeper plain net as good as the shallower one exists, its added layers "
        "being identities; trained from scratch the deeper plain net is worse all the "
        "same."
    ),
    arms=tuple(Arm(f"{kind}{d}", f"{kind}{d}") for kind in ("plain", "resnet") for d in DEPTHS),
    claims=(
        Claim(
            _("A better plain net of 56 layers exists than the one that training found"),
            higher="plain56",
            lower="plain20",
            metric="identity_error",
        ),
        Claim(
            _("Training found a better residual net of 56 layers than the one made of 20"),
            higher="resnet20",
            lower="resnet56",
            metric="identity_error",
        ),
    ),
    notes=(
        _(
            "Each net's weights, as its record keeps them, rounded to half precision, were "
            "deepened to 56 layers by identity blocks, equally many in every stage; one of "
            "56 layers is as it was trained. The error is on the first training images of "
            "the canonical order, not augmented, with batch normalisation's moving "
            "averages."
        ),
    ),
)


def draw(view: View) -> Figure:
    """Training error against depth: each net as trained, and deepened."""
    from resnet_repro.report.plots.deepening import identity_figure

    return identity_figure(view)


if __name__ == "__main__":
    from resnet_repro.cli import run_script

    run_script(__file__)
