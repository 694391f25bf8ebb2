"""Table 6: residual nets of 20 to 1202 layers on CIFAR-10.

Section 4.2 says of ResNet-110 that it has fewer parameters than other deep and thin networks such
as FitNet and Highway, and yet is among the best. By the table itself it has fewer than FitNet-19
and Highway-19, but more than Highway-32, so that no claim is made of those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from resnet_repro.messages import _
from resnet_repro.paper.artifacts import Arm, Artifact, Claim, Published

if TYPE_CHECKING:  # drawing libraries load slowly, and declaring needs none of them
    from matplotlib.figure import Figure

    from resnet_repro.report.load.view import View

DEPTHS = (20, 32, 44, 56, 110, 1202)

ARTIFACT = Artifact(
    name="table6",
    title=_("Table 6: residual nets on CIFAR-10"),
    section=_("section 4.2, Table 6"),
    says=_(
        "Residual nets gain accuracy from depth up to 110 layers; 1202 layers still "
        "train to almost no error, but test worse than 110."
    ),
    arms=tuple(Arm(f"resnet{depth}", f"resnet{depth}") for depth in DEPTHS),
    published=(
        *(Published(f"resnet{d}", "test_error", "table6", f"ResNet-{d}") for d in DEPTHS),
        *(Published(f"resnet{d}", "params", "table6", f"ResNet-{d}") for d in DEPTHS),
        Published("resnet1202", "train_error", "sec4.2", "ResNet-1202"),
    ),
    claims=(
        *(
            Claim(
                _("ResNet-110 has fewer parameters than {row}", row=row),
                higher=row,
                lower="resnet110",
                metric="params",
            )
            for row in ("FitNet-19", "Highway-19")
        ),
        *(
            Claim(
                _("ResNet-110 has a lower test error than {row}", row=row),
                higher=row,
                lower="resnet110",
                metric="test_error",
            )
            for row in ("FitNet-19", "Highway-19", "Highway-32")
        ),
    ),
    notes=(
        _(
            "Highway-32 has fewer parameters than ResNet-110 in the paper's own table, so "
            "the claim about parameters is made of FitNet-19 and Highway-19 alone."
        ),
    ),
)


def draw(view: View) -> Figure:
    """Test error against depth and against parameters, the paper's values beside ours."""
    from resnet_repro.report.plots.depth import error_by_size

    return error_by_size(view)


if __name__ == "__main__":
    from resnet_repro.cli import run_script

    run_script(__file__)
