"""Why the best test epoch flatters: what choosing a row on the test set would have gained.

The paper's headline, and ours, is the net at the end of training (section 4.2). A reader who
quotes the smallest of many test errors instead has chosen on the test set. How much that is worth
is read off the recorded rows of every run; nothing is computed anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from resnet_repro.messages import _
from resnet_repro.paper.artifacts import Arm, Artifact

if TYPE_CHECKING:  # drawing libraries load slowly, and declaring needs none of them
    from matplotlib.figure import Figure

    from resnet_repro.report.load.view import View

DEPTHS = (20, 32, 44, 56, 110)

ARTIFACT = Artifact(
    name="claim_best_epoch",
    title=_("What choosing the best test epoch would have gained, on CIFAR-10"),
    section=_("ours; section 4.2 reports the last iterate"),
    says=_(
        "The smallest of a run's test errors is never above its last one; quoting it "
        "is choosing on the test set, and can only flatter."
    ),
    arms=tuple(Arm(f"{kind}{d}", f"{kind}{d}") for kind in ("plain", "resnet") for d in DEPTHS),
    notes=(
        _(
            "The gain is the test error of a run's last row minus the smallest of its "
            "rows, in points: 0 where the last row is the best, and never negative."
        ),
    ),
)


def draw(view: View) -> Figure:
    """Each run's last and best test error, and the difference."""
    from resnet_repro.report.sections.best_epoch import best_epoch_figure

    return best_epoch_figure(view)


if __name__ == "__main__":
    from resnet_repro.cli import run_script

    run_script(__file__)
