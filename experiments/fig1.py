"""Fig. 1: plain nets of 20 and 56 layers on CIFAR-10, the degradation problem."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resnet_repro.messages import _
from resnet_repro.paper.artifacts import Arm, Artifact, Claim, Published
from resnet_repro.paper.published import first_drawn

if TYPE_CHECKING:  # drawing libraries load slowly, and declaring needs none of them
    from matplotlib.figure import Figure

    from resnet_repro.report.load.view import View

ARMS = ("plain20", "plain56")

DRAWN = first_drawn("fig1", "plain-56", "train")

ARTIFACT = Artifact(
    name="fig1",
    title=_("Fig. 1: plain nets of 20 and 56 layers on CIFAR-10"),
    section=_("section 1, Fig. 1"),
    says=_("A deeper plain net has the higher training error, and with it the higher test error."),
    arms=tuple(Arm(name, name) for name in ARMS),
    published=(
        Published("plain20", "test_error", "fig1", "plain-20"),
        Published("plain56", "test_error", "fig1", "plain-56"),
        Published("plain20", "train_error", "fig1", "plain-20"),
        Published("plain56", "train_error", "fig1", "plain-56"),
    ),
    claims=(
        Claim(
            _("The deeper plain net has the higher training error throughout"),
            higher="plain56",
            lower="plain20",
            metric="train_error",
            scope="throughout",
        ),
        Claim(
            _("The deeper plain net has the higher test error"),
            higher="plain56",
            lower="plain20",
            metric="test_error",
        ),
    ),
    notes=(
        _(
            "The paper's figure ends at 20 %, and so shows plain-56 from iteration "
            "{drawn:,} on: how slowly it learned before, and how far a shorter schedule "
            "should bring it, is not known.",
            drawn=DRAWN,
        ),
    ),
)


def draw(view: View) -> Figure:
    """Training error on the left, test error on the right, as in the paper."""
    from resnet_repro.report.plots.curves import Panel, training_curves

    return training_curves(
        view,
        (
            Panel("training error", ARMS, splits=("train",), figure="fig1"),
            Panel("test error", ARMS, splits=("test",), figure="fig1"),
        ),
    )


if __name__ == "__main__":
    from resnet_repro.cli import run_script

    run_script(__file__)
