"""Fig. 4's networks and the shortcut options on a few thousand photographs: ours.

Imagenette is ten of ImageNet's classes. Its errors stand beside no value of the paper, which
never used it: other classes, a hundredth of the images or less, smaller crops, and a schedule of
its own. What is asked is whether the order of the networks is the one that section 4.1 reports,
at this size and length; the answer is as it is recorded, whichever way it falls.

Which of options A, B and C is better by how much is not asked by sign but as in Table 3's
companion on CIFAR-10: whether any two differ by less than the largest difference that the paper
itself finds among them, in points of top-1 error.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from resnet_repro.messages import _
from resnet_repro.paper.artifacts import Arm, Artifact, Claim
from resnet_repro.paper.published import table_values

if TYPE_CHECKING:  # drawing libraries load slowly, and declaring needs none of them
    from matplotlib.figure import Figure

    from resnet_repro.report.load.view import View

PLAIN = ("plain18", "plain34")
RESIDUAL = ("resnet18-A", "resnet34-A")
OPTIONS = ("resnet34-A", "resnet34-B", "resnet34-C")
BESIDE_NOTHING = _(
    "Ten classes, few images, small crops and a short schedule: these errors stand "
    "beside no ImageNet value."
)


def margin() -> float:
    """The largest difference between the top-1 errors of Table 3's options, in points."""
    errors = [
        value.value
        for option in "ABC"
        for value in table_values("table3", f"ResNet-34 {option}")
        if value.metric == "top1_error"
    ]
    return round(max(errors) - min(errors), 2)


ARTIFACT = Artifact(
    name="imagenette",
    title=_("Plain and residual nets of 18 and 34 layers on Imagenette (protocol imagenette)"),
    section=_("ours; section 4.1 does so on ImageNet"),
    says=_(
        "Whether the deeper plain net is harder to train, whether shortcuts take that "
        "away, and whether their options differ, on a few thousand photographs."
    ),
    arms=tuple(
        Arm(network, network, "imagenette") for network in (*PLAIN, *RESIDUAL, *OPTIONS[1:])
    ),
    protocol="imagenette",
    claims=(
        Claim(
            _("plain-34 has a higher training error than plain-18 throughout"),
            higher="plain34",
            lower="plain18",
            scope="throughout",
        ),
        Claim(
            _("plain-34 has a higher training error than plain-18"),
            higher="plain34",
            lower="plain18",
        ),
        Claim(
            _("ResNet-34 has a lower training error than ResNet-18"),
            higher="resnet18-A",
            lower="resnet34-A",
        ),
        Claim(
            _("ResNet-34 has a lower training error than plain-34"),
            higher="plain34",
            lower="resnet34-A",
        ),
        *(
            Claim(
                _(
                    "Options {first} and {second} differ by less than {margin:.2f} points",
                    first=first[-1],
                    second=second[-1],
                    margin=margin(),
                ),
                higher=first,
                lower=second,
                metric="test_error",
                margin=margin(),
            )
            for first, second in combinations(OPTIONS, 2)
        ),
    ),
    notes=(
        BESIDE_NOTHING,
        _(
            "The margin is the largest difference between the options' top-1 errors in the "
            "paper's Table 3, which it calls small."
        ),
        _(
            "Chance weighs in so short a run: the same seed computed with PyTorch's "
            "operations instead of our kernels (--kernels off) takes another course. One "
            "seed decides nothing between the options. The network of option B is "
            "torchvision's resnet34, output for output (tests/models/test_imagenet.py)."
        ),
    ),
)


def draw(view: View) -> Figure:
    """Fig. 4's arrangement and a third panel for the options; no curve of the paper."""
    from resnet_repro.report.plots.curves import Panel, training_curves

    return training_curves(
        view,
        (
            Panel("plain nets", PLAIN, top=100.0),
            Panel("residual nets", RESIDUAL, top=100.0),
            Panel("shortcut options", OPTIONS, top=100.0),
        ),
        extra=(BESIDE_NOTHING,),
    )


if __name__ == "__main__":
    from resnet_repro.cli import run_script

    run_script(__file__)
