"""Table 2: plain and residual nets of 18 and 34 layers on ImageNet, 10-crop.

Section 4.1 calls the nets of 18 layers "comparably accurate", plain or residual. That needs a
number: ours is the difference between options A and B in Table 3, which the paper calls slight.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from resnet_repro.artifacts import Arm, Artifact, Claim, Published
from resnet_repro.paper.published import published_for

if TYPE_CHECKING:  # drawing libraries load slowly, and declaring needs none of them
    from matplotlib.figure import Figure

    from resnet_repro.report.view import View

# Network: its name in the paper's table.
ROWS = {
    "plain18": "plain-18",
    "resnet18-A": "ResNet-18",
    "plain34": "plain-34",
    "resnet34-A": "ResNet-34",
}
METRIC: Final = "ten_crop_top1_error"


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
    title="Table 2: plain and residual nets of 18 and 34 layers on ImageNet",
    section="section 4.1, Table 2",
    says="Without shortcuts the deeper net has the higher error, with them the lower one.",
    arms=tuple(Arm(network, network, "imagenet") for network in ROWS),
    published=(
        *(Published(network, METRIC, "table2", row) for network, row in ROWS.items()),
        *(Published(network, "train_error", "fig4", row) for network, row in ROWS.items()),
    ),
    claims=(
        _higher("plain-34 has a higher error than plain-18", "plain34", "plain18"),
        Claim(
            "plain-34 has a higher training error than plain-18 throughout",
            higher="plain34",
            lower="plain18",
            scope="throughout",
        ),
        _higher("ResNet-34 has a lower error than ResNet-18", "resnet18-A", "resnet34-A"),
        Claim(
            "ResNet-34 has a lower training error than ResNet-18",
            higher="resnet18-A",
            lower="resnet34-A",
        ),
        _higher("ResNet-34 has a lower error than plain-34", "plain34", "resnet34-A"),
        Claim(
            f"At 18 layers plain and residual net differ by less than {margin():.2f} points",
            higher="plain18",
            lower="resnet18-A",
            metric=METRIC,
            margin=margin(),
        ),
    ),
    notes=(
        "The last claim is the paper's 'comparably accurate'; its margin is the difference "
        "between options A and B in Table 3, which the paper calls slight.",
    ),
)


def draw(view: View) -> Figure:
    """The paper's errors and ours, a line a network."""
    from resnet_repro.report.errors import errors_by_network

    return errors_by_network(view, ("top1_error",))


if __name__ == "__main__":
    from resnet_repro.cli import run_script

    run_script(__file__)
