"""The signal's path: how much of what a block puts out is what it was given.

Section 3.1 of the paper expects residual functions to be small, as corrections to an identity, and
section 4.2 finds quiet responses in residual nets. Here the signal itself is followed: the cosine
between what each block is given and what it puts out, and the shortcut's part of what is added.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from resnet_repro.messages import _
from resnet_repro.paper.artifacts import Arm, Artifact, Claim

if TYPE_CHECKING:  # drawing libraries load slowly, and declaring needs none of them
    from matplotlib.figure import Figure

    from resnet_repro.report.load.view import View

DEPTHS = (20, 56)

ARTIFACT = Artifact(
    name="claim_path",
    title=_("The signal's path through plain and residual nets, on CIFAR-10"),
    section=_("ours; after sections 3.1 and 4.2"),
    says=_(
        "A residual block passes on much of what it is given; a plain block replaces most of it."
    ),
    arms=tuple(Arm(f"{kind}{d}", f"{kind}{d}") for d in DEPTHS for kind in ("plain", "resnet")),
    claims=tuple(
        Claim(
            _("At {depth} layers a residual block passes on more of what it is given", depth=depth),
            higher=f"resnet{depth}",
            lower=f"plain{depth}",
            metric="signal_kept",
        )
        for depth in DEPTHS
    ),
    notes=(
        _(
            "Followed are the first test images of the canonical order, through the "
            "weights a record keeps, rounded to half precision, with batch normalisation's "
            "moving averages. Compared is the cosine of a block's input and its output "
            "after the ReLU, the mean over the blocks that keep the shape: 1 where a block "
            "is an identity."
        ),
    ),
)


def draw(view: View) -> Figure:
    """What each block keeps of its input, and the shortcut's share of what is added."""
    from resnet_repro.report.plots.shortcut_signal import path_figure

    return path_figure(view)


if __name__ == "__main__":
    from resnet_repro.cli import run_script

    run_script(__file__)
