"""Fig. 4: training of plain and residual nets of 18 and 34 layers on ImageNet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resnet_repro.messages import _
from resnet_repro.paper.artifacts import Arm, Artifact, Claim, Published

if TYPE_CHECKING:  # drawing libraries load slowly, and declaring needs none of them
    from matplotlib.figure import Figure

    from resnet_repro.report.load.view import View

# Network: its name in the paper's figure.
PLAIN = {"plain18": "plain-18", "plain34": "plain-34"}
RESIDUAL = {"resnet18-A": "ResNet-18", "resnet34-A": "ResNet-34"}

ARTIFACT = Artifact(
    name="fig4",
    title=_("Fig. 4: training of plain and residual nets of 18 and 34 layers on ImageNet"),
    section=_("section 4.1, Fig. 4"),
    says=_(
        "The deeper plain net has the higher training error throughout; of the "
        "residual nets the deeper one has the lower, and both learn faster from the "
        "start."
    ),
    arms=tuple(Arm(network, network, "imagenet") for network in (*PLAIN, *RESIDUAL)),
    published=tuple(
        Published(network, metric, "fig4", row)
        for network, row in (PLAIN | RESIDUAL).items()
        for metric in ("test_error", "train_error")
    ),
    claims=(
        Claim(
            _("plain-34 has a higher training error than plain-18 throughout"),
            higher="plain34",
            lower="plain18",
            scope="throughout",
        ),
        Claim(
            _("plain-34 has a higher validation error than plain-18"),
            higher="plain34",
            lower="plain18",
            metric="test_error",
        ),
        Claim(
            _("ResNet-34 has a lower training error than ResNet-18"),
            higher="resnet18-A",
            lower="resnet34-A",
        ),
        Claim(
            _("ResNet-34 has a lower validation error than ResNet-18"),
            higher="resnet18-A",
            lower="resnet34-A",
            metric="test_error",
        ),
        Claim(
            _("ResNet-34 has a lower training error than plain-34"),
            higher="plain34",
            lower="resnet34-A",
        ),
        Claim(
            _("ResNet-18 converges faster than plain-18: its first row has the lower error"),
            higher="plain18",
            lower="resnet18-A",
            metric="test_error",
            scope="first",
        ),
    ),
)


def draw(view: View) -> Figure:
    """Plain nets left, residual nets right; training error thin, validation error bold."""
    from resnet_repro.report.plots.curves import Panel, training_curves

    return training_curves(
        view,
        (
            Panel("plain nets", tuple(PLAIN), figure="fig4", panel="left", bottom=20.0, top=65.0),
            Panel(
                "residual nets", tuple(RESIDUAL), figure="fig4", panel="right", bottom=20.0,
                top=65.0,
            ),
        ),
    )  # fmt: skip


if __name__ == "__main__":
    from resnet_repro.cli import run_script

    run_script(__file__)
