"""Table 1: what the ImageNet networks cost, counted, beside VGG-16 and VGG-19."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resnet_repro.messages import _
from resnet_repro.paper.artifacts import Arm, Artifact, Claim, Published

if TYPE_CHECKING:  # drawing libraries load slowly, and declaring needs none of them
    from matplotlib.figure import Figure

    from resnet_repro.report.load.view import View

# Network: where the paper prints its multiply-adds.
PRINTED = {
    "resnet18-A": ("table1", "ResNet-18"),
    "resnet34-A": ("table1", "ResNet-34"),
    "resnet50": ("table1", "ResNet-50"),
    "resnet101": ("table1", "ResNet-101"),
    "resnet152": ("table1", "ResNet-152"),
    "vgg16": ("sec4.1", "VGG-16"),
    "vgg19": ("sec3.3", "VGG-19"),
}

ARTIFACT = Artifact(
    name="table1",
    title=_("Table 1: multiply-adds of the ImageNet networks"),
    section=_("sections 3.3 and 4.1, Table 1"),
    says=_("Even with 152 layers a residual net costs less than the VGG nets of 16 and 19 layers."),
    arms=tuple(Arm(network, network, "imagenet") for network in PRINTED),
    published=tuple(
        Published(network, "flops", source, row) for network, (source, row) in PRINTED.items()
    ),
    claims=tuple(
        Claim(
            _("ResNet-152 costs less than {name}", name=name),
            higher=vgg,
            lower="resnet152",
            metric="flops",
        )
        for vgg, name in (("vgg16", "VGG-16"), ("vgg19", "VGG-19"))
    ),
    counted=True,
    notes=(
        _(
            "ResNet-18 and ResNet-34 have identity shortcuts (option A), which cost "
            "nothing, so that the plain nets count the same. With option B's projections "
            "ResNet-34 would no longer print as it does."
        ),
        _(
            "ResNet-50 is the paper's form, which halves the map in the first 1x1 "
            "convolution of a stage; torchvision's, which does so in the 3x3 convolution, "
            "costs more still."
        ),
        _(
            "ResNet-50 differs. Checked, for the three bottleneck nets together: rounding "
            "down or up, and leaving out the first convolution, the linear layer, the "
            "projections or several of these. None prints all three as they stand. Of "
            "single layers only the first 1x1 convolution after the pooling has the size "
            "to, and the paper gives no reason to leave it out. What would print all five "
            "ResNets is to count batch normalisation (two operations an element) and ReLU "
            "(one) as well, and to round down; the paper does not say that it does."
        ),
        _(
            "VGG-16 is printed with its convolutions alone, VGG-19 with its three linear "
            "layers too."
        ),
    ),
)


def draw(view: View) -> Figure:
    """A bar for what was counted, a marker for what is printed."""
    from resnet_repro.report.plots.cost import multiply_adds_bars

    return multiply_adds_bars(view)


if __name__ == "__main__":
    from resnet_repro.cli import run_script

    run_script(__file__)
