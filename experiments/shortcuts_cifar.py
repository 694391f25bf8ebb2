"""Shortcut options A, B and C on CIFAR-10: ours, the companion of the paper's Table 3.

The paper compares the options on ImageNet (section 3.3, Table 3) and uses A alone on CIFAR-10
(4.2). It calls the differences it finds small, and takes from them that projections are not
essential. Here the same is asked of CIFAR-10, at 20 and at 56 layers.

"Differ little" needs a number. Ours is the largest difference among A, B and C that the paper
itself calls small: that of Table 3's top-1 errors. It is in points of error, as there, and so
generous: CIFAR-10's errors are a third of ImageNet's. It is still five times the spread between
the paper's seeds of ResNet-110, so that a real difference would show. The interval of every
difference is shown, for whoever wants a narrower margin.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from resnet_repro.messages import _
from resnet_repro.paper.artifacts import Arm, Artifact, Claim, Published
from resnet_repro.paper.published import table_values

if TYPE_CHECKING:  # drawing libraries load slowly, and declaring needs none of them
    from matplotlib.figure import Figure

    from resnet_repro.report.load.view import View

DEPTHS = (20, 56)
OPTIONS = ("A", "B", "C")


def largest_difference() -> float:
    """Between the top-1 errors of Table 3's options A, B and C, in points."""
    errors = [
        value.value
        for option in OPTIONS
        for value in table_values("table3", f"ResNet-34 {option}")
        if value.metric == "top1_error"
    ]
    return round(max(errors) - min(errors), 2)


def _name(depth: int, option: str) -> str:
    return f"resnet{depth}" if option == "A" else f"resnet{depth}-{option}"


ARTIFACT = Artifact(
    name="shortcuts_cifar",
    title=_("Shortcut options A, B and C on CIFAR-10"),
    section=_("ours; section 3.3 and Table 3 do so on ImageNet"),
    says=_("Options A, B and C differ little, so projections are not essential."),
    arms=tuple(Arm(_name(d, o), _name(d, o)) for d in DEPTHS for o in OPTIONS),
    published=tuple(Published(f"resnet{d}", "test_error", "table6", f"ResNet-{d}") for d in DEPTHS),
    claims=tuple(
        Claim(
            _(
                "ResNet-{d}: options {first} and {second} differ by less than {margin:.2f} points",
                d=d,
                first=first,
                second=second,
                margin=largest_difference(),
            ),
            higher=_name(d, first),
            lower=_name(d, second),
            metric="test_error",
            margin=largest_difference(),
        )
        for d in DEPTHS
        for first, second in combinations(OPTIONS, 2)
    ),
    seeds=3,
    notes=(
        _(
            "The margin is the largest difference between the options' top-1 errors in the "
            "paper's Table 3, which it calls small."
        ),
    ),
)


def draw(view: View) -> Figure:
    """Final test errors by option, a panel a depth."""
    from resnet_repro.report.plots.shortcuts import errors_by_option

    return errors_by_option(view)


if __name__ == "__main__":
    from resnet_repro.cli import run_script

    run_script(__file__)
