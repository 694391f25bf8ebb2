"""Fig. 6: training of plain and residual nets on CIFAR-10."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from resnet_repro.messages import _
from resnet_repro.paper.artifacts import Arm, Artifact, Claim, Published
from resnet_repro.paper.published import last_above

if TYPE_CHECKING:  # drawing libraries load slowly, and declaring needs none of them
    from matplotlib.figure import Figure

    from resnet_repro.report.load.view import View

PLAIN = (20, 32, 44, 56)  # drawn; plain-110 is only spoken of in the caption
RESIDUAL = (20, 32, 44, 56, 110)

LAST_BEHIND = last_above("fig6", "ResNet-56", "ResNet-20", "train")


def _deeper_is_worse(metric: str, deeper: int, shallower: int) -> Claim:
    train = metric == "train_error"
    depths = {"deeper": deeper, "shallower": shallower}
    return Claim(
        _("plain-{deeper} has a higher training error than plain-{shallower}", **depths)
        if train
        else _("plain-{deeper} has a higher test error than plain-{shallower}", **depths),
        higher=f"plain{deeper}",
        lower=f"plain{shallower}",
        metric="train_error" if train else "test_error",
    )


ARTIFACT = Artifact(
    name="fig6",
    title=_("Fig. 6: training of plain and residual nets on CIFAR-10"),
    section=_("section 4.2, Fig. 6"),
    says=_(
        "Plain nets get worse with depth, residual nets better, up to 110 layers; 1202 "
        "layers train as well as 110 but test worse."
    ),
    arms=(
        *(Arm(f"plain{depth}", f"plain{depth}") for depth in (*PLAIN, 110)),
        *(Arm(f"resnet{depth}", f"resnet{depth}") for depth in (*RESIDUAL, 1202)),
    ),
    published=(
        *(Published(f"plain{d}", "test_error", "fig6", f"plain-{d}") for d in PLAIN),
        *(Published(f"plain{d}", "train_error", "fig6", f"plain-{d}") for d in PLAIN),
        Published("plain110", "train_error", "sec4.2", "plain-110"),
        # The residual nets' test errors are printed, so they need not be read off.
        *(
            Published(f"resnet{d}", "test_error", "table6", f"ResNet-{d}")
            for d in (*RESIDUAL, 1202)
        ),
        *(Published(f"resnet{d}", "train_error", "fig6", f"ResNet-{d}") for d in RESIDUAL),
        Published("resnet1202", "train_error", "sec4.2", "ResNet-1202"),
    ),
    claims=(
        *(_deeper_is_worse("test_error", d, s) for s, d in pairwise(PLAIN)),
        *(_deeper_is_worse("train_error", d, s) for s, d in pairwise((*PLAIN, 110))),
        # Residual nets reverse it. ResNet-110 against ResNet-56 is left out: the last stages of
        # the paper's curves, 0.05 and 0.11 %, are about as far apart as the figure can be read.
        *(
            Claim(
                _("ResNet-{d} has a lower training error than ResNet-{s}", d=d, s=s),
                higher=f"resnet{s}",
                lower=f"resnet{d}",
            )
            for s, d in pairwise(PLAIN)
        ),
        *(
            Claim(
                _(
                    "At {d} layers the residual net has a lower training error than the plain one",
                    d=d,
                ),
                higher=f"plain{d}",
                lower=f"resnet{d}",
            )
            for d in PLAIN
        ),
        *(
            Claim(
                _("ResNet-{d} has a lower test error than ResNet-{s}", d=d, s=s),
                higher=f"resnet{s}",
                lower=f"resnet{d}",
                metric="test_error",
            )
            for s, d in pairwise(RESIDUAL)
        ),
        Claim(
            _("ResNet-1202 has a higher test error than ResNet-110"),
            higher="resnet1202",
            lower="resnet110",
            metric="test_error",
        ),
    ),
    notes=(
        _(
            "In the paper's own curves ResNet-56's training error is last at or above "
            "ResNet-20's at iteration {last_behind:,}: a schedule that lowers the rate "
            "before that cannot show the order by depth.",
            last_behind=LAST_BEHIND,
        ),
    ),
)


def draw(view: View) -> Figure:
    """Plain nets, residual nets, and the last half of training of 110 and 1202 layers."""
    from resnet_repro.report.plots.curves import Panel, training_curves

    return training_curves(
        view,
        (
            Panel("plain nets", tuple(f"plain{d}" for d in PLAIN), figure="fig6", panel="left"),
            Panel(
                "residual nets",
                tuple(f"resnet{d}" for d in RESIDUAL),
                figure="fig6",
                panel="middle",
            ),
            Panel(
                "110 and 1202 layers, later half",
                ("resnet110", "resnet1202"),
                figure="fig6",
                panel="right",
                start=0.5,
            ),
        ),
    )


if __name__ == "__main__":
    from resnet_repro.cli import run_script

    run_script(__file__)
