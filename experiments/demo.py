"""The demo: the paper's degradation problem on handwritten digits, in minutes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resnet_repro.messages import _
from resnet_repro.paper.artifacts import Arm, Artifact, Claim

if TYPE_CHECKING:  # drawing libraries load slowly, and declaring needs none of them
    from matplotlib.figure import Figure

    from resnet_repro.report.load.view import View

PLAIN = ("plain20-w8", "plain56-w8")
RESIDUAL = ("resnet20-w8", "resnet56-w8")

ARTIFACT = Artifact(
    name="demo",
    title=_("Demo: plain and residual nets of 20 and 56 layers on handwritten digits"),
    section=_("after Figs 1 and 6"),
    says=_("More layers make a plain net harder to train; shortcuts take that difficulty away."),
    arms=tuple(Arm(name, name, dataset="digits") for name in (*PLAIN, *RESIDUAL)),
    protocol="demo",
    figure="demo_degradation",
    claims=(
        Claim(
            _("The plain net of 56 layers has a higher training error than that of 20"),
            higher="plain56-w8",
            lower="plain20-w8",
        ),
        Claim(
            _("At 56 layers, the residual net has a lower training error than the plain one"),
            higher="plain56-w8",
            lower="resnet56-w8",
        ),
    ),
)


def draw(view: View) -> Figure:
    """Plain nets beside residual nets, training and test error, on the whole range."""
    from resnet_repro.report.plots.curves import Panel, training_curves

    return training_curves(
        view,
        (Panel("plain nets", PLAIN, top=100.0), Panel("residual nets", RESIDUAL, top=100.0)),
    )


if __name__ == "__main__":
    from resnet_repro.cli import run_script

    run_script(__file__)
