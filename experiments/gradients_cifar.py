"""Gradients of plain and residual nets on CIFAR-10: whether the plain nets' vanish.

Section 4.1 argues that the plain nets' difficulty is unlikely to be vanishing gradients: with BN
forward signals keep their variance, and "we also verify that the backward propagated gradients
exhibit healthy norms". It shows no number. Here the norms of each stage's loss gradient and of its
weights are recorded with every row, and the claim is made testable. Before batch normalisation a
gradient falls as the weights grow, in inverse proportion, so what is compared is their product:

at every recorded row, in every stage that a gradient reaches only through later layers (conv1 to
layer3), plain-56's gradient norm times weight norm is at least a tenth of the same stage's in
plain-20, which trains well, and in ResNet-56, whose shortcuts carry gradients past the layers.

Why a tenth: a gradient vanishes geometrically. Plain-56 has 36 layers more than plain-20, and a
loss of no more than a tenth a layer would leave 0.9^36, a fiftieth. Chance and the different
losses of the two nets, on the other hand, set norms apart by factors of two or three. The
smallest ratio found is shown, for whoever wants another bar. One-sided: a larger gradient has not
vanished, and that of the better trained net shrinks with its loss.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from resnet_repro.messages import _
from resnet_repro.paper.artifacts import Arm, Artifact, Claim

if TYPE_CHECKING:  # drawing libraries load slowly, and declaring needs none of them
    from matplotlib.figure import Figure

    from resnet_repro.report.load.view import View

PLAIN = ("plain20", "plain56")
RESIDUAL = ("resnet20", "resnet56")
FACTOR = 0.1


def _healthy(text: str, than: str) -> Claim:
    return Claim(
        text,
        higher="plain56",
        lower=than,
        metric="gradient_norm",
        scope="throughout",
        factor=FACTOR,
    )


ARTIFACT = Artifact(
    name="gradients_cifar",
    title=_("Gradient norms of plain and residual nets on CIFAR-10"),
    section=_("ours; section 4.1 says so without numbers"),
    says=_(
        "The plain nets' gradients have healthy norms throughout, so vanishing "
        "gradients are not what makes them hard to train."
    ),
    arms=tuple(Arm(name, name) for name in (*PLAIN, *RESIDUAL)),
    claims=(
        _healthy(
            _("plain-56's gradients stay above a tenth of plain-20's in every stage"), "plain20"
        ),
        _healthy(
            _("plain-56's gradients stay above a tenth of ResNet-56's in every stage"), "resnet56"
        ),
    ),
    notes=(
        _(
            "The norm of a stage's loss gradient, weight decay apart, times the norm of "
            "its weights: before batch normalisation a gradient falls as the weights grow, "
            "in inverse proportion, and a plain net's first steps multiply its weights, so "
            "gradient norms alone mislead. At the first step and at the last one before "
            "each row; conv1 to layer3 are compared in all of them, and the difference is "
            "the mean of log10 of their ratio. The norms before the first step are in the "
            "figure of claim_shattering."
        ),
    ),
)


def draw(view: View) -> Figure:
    """Gradient norm times weight norm, plain nets left, residual nets right."""
    from resnet_repro.report.plots.gradients import gradient_norms

    return gradient_norms(view, (("plain nets", PLAIN), ("residual nets", RESIDUAL)))


if __name__ == "__main__":
    from resnet_repro.cli import run_script

    run_script(__file__)
