"""ResNet-110 with the paper's warm-up and without: section 4.2 and footnote 5, as an artifact.

The paper starts ResNet-110 at 0.01, since 0.1 "is slightly too large to start converging", and
goes to 0.1 once the training error is below 80 %. Footnote 5: started with 0.1 it begins to
converge (below 90 % error) after several epochs, but still reaches similar accuracy.

Stated beforehand: "about 400 iterations" is met by an end of the warm-up less than 200 iterations
from 400. "Several epochs" are more than two: a recorded row averages the training error over 1,000
iterations, 2.56 epochs, and the first one must still be at chance, which is 90 % less 2.5 points
of noise (a net that guesses is below 90 % half of the time).

"Similar" is taken as a difference of less than four of the paper's standard deviations between
seeds (Table 6), two to either side: about as far as chance alone sets two single runs of one
recipe apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from resnet_repro.messages import _
from resnet_repro.paper.artifacts import Arm, Artifact, Claim, Published
from resnet_repro.paper.published import seed_std_prior

if TYPE_CHECKING:  # drawing libraries load slowly, and declaring needs none of them
    from matplotlib.figure import Figure

    from resnet_repro.report.load.view import View

WITH, WITHOUT = "resnet110", "resnet110-nowarmup"
ARMS = (WITH, WITHOUT)
ENDS, NEAR = 400, 200  # iterations
AT_CHANCE = 87.5  # %: report.claim_curves.at_chance("cifar10"), which loads slowly


def margin() -> float:
    """Four standard deviations between the paper's seeds, in points of test error."""
    printed = seed_std_prior("cifar10", "test_error")
    assert printed is not None  # Table 6 prints it
    return round(4 * printed[0], 2)


ARTIFACT = Artifact(
    name="warmup110",
    title=_("ResNet-110 on CIFAR-10 with and without warm-up"),
    section=_("section 4.2, footnote 5"),
    says=_(
        "A learning rate of 0.1 is slightly too large for 110 layers to start "
        "converging at once, but reaches similar accuracy."
    ),
    arms=(Arm(WITH, "resnet110"), Arm(WITHOUT, "resnet110", changes=(("warmup_lr", "0"),))),
    published=(Published(WITH, "test_error", "table6", "ResNet-110"),),
    claims=(
        Claim(
            _("Without warm-up training starts more slowly: its first rows have the higher error"),
            higher=WITHOUT,
            lower=WITH,
            metric="train_error",
            scope="first",
        ),
        Claim(
            _(
                "With and without warm-up the final test errors differ by less than "
                "{margin:.2f} points",
                margin=margin(),
            ),
            higher=WITHOUT,
            lower=WITH,
            metric="test_error",
            margin=margin(),
        ),
        Claim(
            _("The warm-up ends after about {ends} iterations", ends=ENDS),
            higher=WITH,
            value=ENDS,
            metric="warmup_ended",
            margin=NEAR,
        ),
        Claim(
            _("Without warm-up the first row is still at chance"),
            higher=WITHOUT,
            value=AT_CHANCE,
            metric="train_error",
            scope="first",
        ),
    ),
    notes=(
        _(
            "The margin is four of the standard deviations between seeds that Table 6 "
            "prints, about as far as chance sets two single runs apart."
        ),
        _(
            "About {ends} iterations are those less than {near} from it. A row at chance "
            "has a training error above {at_chance} %: 90 % less noise. Under protocol "
            "paper it averages 1,000 iterations, 2.56 epochs, which stands for the paper's "
            "several epochs.",
            ends=ENDS,
            near=NEAR,
            at_chance=AT_CHANCE,
        ),
    ),
)


def draw(view: View) -> Figure:
    """The first eighth of training, where the warm-up acts, and the whole of it."""
    from resnet_repro.report.plots.curves import Panel, training_curves

    return training_curves(
        view,
        (
            Panel("first eighth", ARMS, end=1 / 8, top=100.0),
            Panel("whole", ARMS, figure="fig6", panel="middle"),
        ),
        one_scale=False,
    )


if __name__ == "__main__":
    from resnet_repro.cli import run_script

    run_script(__file__)
