"""Table 2: plain and residual nets of 18 and 34 layers on ImageNet, 10-crop.

Section 4.1 calls the nets of 18 layers "comparably accurate", plain or residual. That needs a
number: ours is the difference between options A and B in Table 3, which the paper calls slight.

It also says that the residual net of 34 layers reduces the top-1 error by 3.5 % against the plain
one. That is met by a gain less than half a point from it, the margin of every verdict.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from resnet_repro.messages import _
from resnet_repro.paper.artifacts import Arm, Artifact, Claim, Published
from resnet_repro.paper.published import published_for

if TYPE_CHECKING:  # drawing libraries load slowly, and declaring needs none of them
    from matplotlib.figure import Figure

    from resnet_repro.report.load.view import View

# Network: its name in the paper's table.
ROWS = {
    "plain18": "plain-18",
    "resnet18-A": "ResNet-18",
    "plain34": "plain-34",
    "resnet34-A": "ResNet-34",
}
METRIC: Final = "ten_crop_top1_error"
GAIN = 3.5  # points of top-1 error, section 4.1; Table 2: 28.54 - 25.03
WITHIN = 0.5  # points: report.verdicts.MARGIN, which loads slowly


def margin() -> float:
    """Between the top-1 errors of Table 3's options A and B, in points."""
    a, b = (
        published_for(Published("", METRIC, "table3", f"ResNet-34 {option}"))[0].value
        for option in "AB"
    )
    return round(a - b, 2)


def _higher(text: str, higher: str, lower: str) -> Claim:
    return Claim(text, higher=higher, lower=lower, metric=METRIC)


ARTIFACT = Artifact(
    name="table2",
    title=_("Table 2: plain and residual nets of 18 and 34 layers on ImageNet"),
    section=_("section 4.1, Table 2"),
    says=_("Without shortcuts the deeper net has the higher error, with them the lower one."),
    arms=tuple(Arm(network, network, "imagenet") for network in ROWS),
    published=(
        *(Published(network, METRIC, "table2", row) for network, row in ROWS.items()),
        *(Published(network, "train_error", "fig4", row) for network, row in ROWS.items()),
    ),
    claims=(
        _higher(_("plain-34 has a higher error than plain-18"), "plain34", "plain18"),
        Claim(
            _("plain-34 has a higher training error than plain-18 throughout"),
            higher="plain34",
            lower="plain18",
            scope="throughout",
        ),
        _higher(_("ResNet-34 has a lower error than ResNet-18"), "resnet18-A", "resnet34-A"),
        Claim(
            _("ResNet-34 has a lower training error than ResNet-18"),
            higher="resnet18-A",
            lower="resnet34-A",
        ),
        _higher(_("ResNet-34 has a lower error than plain-34"), "plain34", "resnet34-A"),
        Claim(
            _(
                "ResNet-34's error is {gain} points below plain-34's, to within {within}",
                gain=GAIN,
                within=WITHIN,
            ),
            higher="plain34",
            lower="resnet34-A",
            metric=METRIC,
            margin=WITHIN,
            by=GAIN,
        ),
        Claim(
            _(
                "At 18 layers plain and residual net differ by less than {margin:.2f} points",
                margin=margin(),
            ),
            higher="plain18",
            lower="resnet18-A",
            metric=METRIC,
            margin=margin(),
        ),
    ),
    notes=(
        _(
            "The last claim is the paper's 'comparably accurate'; its margin is the "
            "difference between options A and B in Table 3, which the paper calls slight."
        ),
        _(
            "The paper's gain of {gain} points is that of one run each, whose chance the "
            "claim about it leaves out.",
            gain=GAIN,
        ),
    ),
)


def draw(view: View) -> Figure:
    """The paper's errors and ours, a line a network."""
    from resnet_repro.report.plots.errors import errors_by_network

    return errors_by_network(view, ("top1_error",))


if __name__ == "__main__":
    from resnet_repro.cli import run_script

    run_script(__file__)
