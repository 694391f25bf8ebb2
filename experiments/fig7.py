"""Fig. 7: how strongly each 3x3 layer of plain and residual nets responds, on CIFAR-10."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resnet_repro.messages import _
from resnet_repro.paper.artifacts import Arm, Artifact, Claim

if TYPE_CHECKING:  # drawing libraries load slowly, and declaring needs none of them
    from matplotlib.figure import Figure

    from resnet_repro.report.load.view import View

ARMS = ("plain20", "plain56", "resnet20", "resnet56", "resnet110")


def _smaller(text: str, higher: str, lower: str) -> Claim:
    return Claim(text, higher=higher, lower=lower, metric="layer_std")


ARTIFACT = Artifact(
    name="fig7",
    title=_("Fig. 7: standard deviation of layer responses on CIFAR-10"),
    section=_("section 4.2, Fig. 7"),
    says=_(
        "Residual nets respond more weakly than their plain counterparts, and the "
        "deeper a residual net is, the less each of its layers changes the signal."
    ),
    arms=tuple(Arm(name, name) for name in ARMS),
    claims=(
        _smaller(_("At 20 layers the residual net responds more weakly"), "plain20", "resnet20"),
        _smaller(_("At 56 layers the residual net responds more weakly"), "plain56", "resnet56"),
        _smaller(_("ResNet-56 responds more weakly than ResNet-20"), "resnet20", "resnet56"),
        _smaller(_("ResNet-110 responds more weakly than ResNet-56"), "resnet56", "resnet110"),
    ),
)


def draw(view: View) -> Figure:
    """The layers in their order, and sorted by response, as in the paper."""
    from resnet_repro.report.plots.responses import layer_responses

    return layer_responses(view)


if __name__ == "__main__":
    from resnet_repro.cli import run_script

    run_script(__file__)
