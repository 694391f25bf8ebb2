"""What the notebooks share: a small net trained in this process, a figure shown, an exercise.

Nothing is written to a file and nothing is downloaded: the data are the embedded digits.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from resnet_repro.data import digits
from resnet_repro.data.in_memory import InMemoryLoader
from resnet_repro.errors import UserError
from resnet_repro.evaluate.probes.lesions import Lesions
from resnet_repro.records.store import Row
from resnet_repro.report.plots.lesions import Lesioned
from resnet_repro.report.plots.style import style
from resnet_repro.runtime.device import choose, computing
from resnet_repro.train.recipe import PROTOCOLS, scaled
from resnet_repro.train.trainer import Trainer

if TYPE_CHECKING:
    from IPython.display import SVG
    from matplotlib.figure import Figure

Keep = Callable[[int, Trainer], None]

# A few hundred iterations are not enough for the deepest residual net to get over the start at the
# paper's 0.1, as its 110 layers do not at once (section 4.2).
RATE = 0.03


@dataclass(frozen=True)
class Trained:
    """A trained network.

    `rows` are metrics.csv's (iteration, lr, train_loss, train_error, test_loss, test_error; nats
    and %), the last of them at the last iteration. `trainer.source` holds the digits as the
    network sees them.
    """

    model: nn.Module  # in eval mode
    trainer: Trainer
    rows: list[Row]


def train_on_digits(
    network: str,
    *,
    iterations: int = 300,
    seed: int = 0,
    rows: int = 16,
    keep: Keep | None = None,
) -> Trained:
    """Train `network` on the digits by the demo's recipe, its schedule scaled to `iterations`.

    The learning rate starts at RATE instead of the paper's 0.1. On the CPU, in single precision.
    `keep(done, trainer)` is called before the first step (done = 0) and after every one, the
    network in training mode; `trainer.model`'s parameters then hold the last step's gradients.
    Nets of one seed see the same images in the same order. The table has about `rows` rows.
    Raises UserError for an unknown network and for fewer than one iteration.
    """
    recipe = scaled(PROTOCOLS["demo"], iterations)
    recipe = dataclasses.replace(recipe, lr=RATE, row_every=max(1, iterations // rows))
    device = choose("cpu", "fp32")
    table: list[Row] = []
    with computing(device):
        trainer = Trainer(network, digits.load(), recipe, seed, device)
        if keep:
            keep(0, trainer)
        since = 0
        for done in range(1, iterations + 1):
            trainer.step(done - 1)
            if keep:
                keep(done, trainer)
            if done % recipe.row_every == 0 or done == iterations:
                table.append(_row(trainer, done, done - since))
                since = done
        trainer.adopt_averages()
    return Trained(trainer.model.eval(), trainer, table)


def _row(trainer: Trainer, done: int, steps: int) -> Row:
    train_loss, train_error = trainer.pop_train_metrics(steps)
    tested = trainer.test()
    return {
        "iteration": done,
        "lr": trainer.rate(done),
        "train_loss": train_loss,
        "train_error": train_error,
        "test_loss": tested.loss,
        "test_error": tested.error,
    }


@torch.no_grad()
def training_error(model: nn.Module, trained: Trained) -> float:
    """Top-1 error of `model` in % on the digits that `trained` learned from, not augmented.

    In eval mode, so that nets can be compared that were not trained side by side; leaves the
    model in the mode it found it in.
    """
    source = trained.trainer.source
    assert isinstance(source, InMemoryLoader)
    was_training = model.training
    model.eval()
    answers = torch.cat([model(x).argmax(1) for x in source.plain_train_batches()])
    model.train(was_training)
    return 100.0 * (answers != source.train_labels).float().mean().item()


def lesioned(network: str, found: Lesions) -> Lesioned:
    """What was measured of a network, as report.lesions draws it."""
    return Lesioned(
        network=network,
        blocks=tuple(found.deleted),
        pairs=tuple(found.swapped),
        intact=found.intact,
        deleted=tuple(found.deleted.values()),
        random=tuple(tuple(errors) for errors in found.random.values()),
        swapped=tuple(found.swapped.values()),
    )


def show(figure: Figure) -> SVG:
    """The figure as a notebook's output, in the style of the report's."""
    from IPython.display import SVG  # only a notebook has, and needs, it

    with style():
        picture = io.StringIO()
        figure.savefig(picture, format="svg")
    return SVG(picture.getvalue())  # type: ignore[no-untyped-call, unused-ignore]


def exercise(answer: object, right: Callable[[Any], bool], hint: str) -> str:
    """What a notebook says to a reader's answer; `...` stands for one not given yet.

    Raises AssertionError with the hint where `right(answer)` is false, or can make nothing of it.
    """
    if answer is ...:
        return "Open: put your answer in place of the ... and run this cell again."
    try:
        found = right(answer)
    except (TypeError, ValueError, LookupError, AttributeError, UserError):
        found = False  # a word for a number, a block that does not exist, ...
    if not found:
        raise AssertionError(f"not yet: {hint}")
    return "Right."
