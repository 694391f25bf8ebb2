"""Small nets trained in this process on the embedded digits, in sight of the reader.

Nothing is written to a file and nothing is downloaded.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from resnet_repro.data import digits
from resnet_repro.data.in_memory import InMemoryLoader
from resnet_repro.models.batch_norm import GhostBatchNorm2d
from resnet_repro.notebook.pictures import Curves
from resnet_repro.records.store import Row
from resnet_repro.runtime.device import choose, computing
from resnet_repro.train.recipe import PROTOCOLS, Recipe, scaled
from resnet_repro.train.trainer import Trainer

Keep = Callable[[int, Trainer], None]

# A few hundred iterations are not enough for the deepest residual net to get over the start at the
# paper's 0.1, as its 110 layers do not at once (section 4.2).
RATE = 0.03


@dataclass(frozen=True)
class Trained:
    """A trained network.

    `rows` are metrics.csv's (iteration, lr, train_loss, train_error, test_loss, test_error; nats
    and %), the last of them at the last iteration.
    """

    model: nn.Module  # in eval mode
    trainer: Trainer
    rows: list[Row]

    @property
    def source(self) -> InMemoryLoader:
        """The digits as the network sees them."""
        assert isinstance(self.trainer.source, InMemoryLoader)
        return self.trainer.source

    @property
    def test_batches(self) -> list[tuple[Tensor, Tensor]]:
        """The test digits (N, 1, 16, 16) and their labels (N)."""
        return list(self.source.test_batches())

    @property
    def test_error(self) -> float:
        """In %, after the last iteration."""
        return self.rows[-1]["test_error"]

    @property
    def training_error(self) -> float:
        """In %, of the digits it learned from, not augmented; see `training_error`."""
        return training_error(self.model, self.source)


def train(
    *names: str,
    models: Mapping[str, nn.Module] | None = None,
    iterations: int = 300,
    seed: int = 0,
    rows: int = 10,
    keep: Callable[[str, int, Trainer], None] | None = None,
) -> dict[str, Trained]:
    """Train networks one after another on the same digits; their errors are drawn meanwhile.

    names: networks of the suite. models: your own, by a name; each is trained as it is. `keep` is
    called with the name, the iterations done and the trainer, as `train_on_digits` says.
    Raises UserError for an unknown network and for fewer than one iteration.
    """
    nets: dict[str, str | nn.Module] = {**{name: name for name in names}, **(models or {})}
    curves, found = Curves(), {}
    for name, net in nets.items():
        found[name] = train_on_digits(
            net,
            iterations=iterations,
            seed=seed,
            rows=rows,
            keep=partial(keep, name) if keep else None,
            look=partial(curves.take, name),
        )
    curves.draw()  # the last rows, too
    return found


def train_seeds(
    network: str, seeds: Iterable[int], *, iterations: int = 300, rows: int = 10
) -> dict[int, Trained]:
    """Train one network from several seeds; otherwise as `train`."""
    curves, found = Curves(), {}
    for seed in seeds:
        found[seed] = train_on_digits(
            network,
            iterations=iterations,
            seed=seed,
            rows=rows,
            look=partial(curves.take, f"seed {seed}"),
        )
    curves.draw()  # the last rows, too
    return found


def train_on_digits(
    network: str | nn.Module,
    *,
    iterations: int = 300,
    seed: int = 0,
    rows: int = 10,
    keep: Keep | None = None,
    look: Callable[[list[Row]], None] | None = None,
) -> Trained:
    """Train `network` on the digits by the demo's recipe, its schedule scaled to `iterations`.

    The learning rate starts at RATE instead of the paper's 0.1. On the CPU, in single precision.
    `keep(done, trainer)` is called before the first step (done = 0) and after every one, the
    network in training mode; `trainer.model`'s parameters then hold the last step's gradients.
    Nets of one seed see the same images in the same order. The table has about `rows` rows;
    `look` is called with it whenever it has one more. A module of one's own is trained in place,
    from the weights it has; its batch normalisation becomes the suite's.
    Raises UserError for an unknown network and for fewer than one iteration.
    """
    recipe = scaled(PROTOCOLS["demo"], iterations)
    recipe = dataclasses.replace(recipe, lr=RATE, row_every=max(1, iterations // rows))
    device = choose("cpu", "fp32")
    table: list[Row] = []
    if isinstance(network, nn.Module):
        _normalise_in_chunks(network, recipe)
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
                if look:
                    look(table)
        trainer.adopt_averages()
    return Trained(trainer.model.eval(), trainer, table)


def _normalise_in_chunks(module: nn.Module, recipe: Recipe) -> None:
    """Put the suite's batch normalisation in the place of PyTorch's, with the same parameters."""
    for name, child in module.named_children():
        if type(child) is nn.BatchNorm2d:
            own = GhostBatchNorm2d(
                child.num_features, recipe.bn_batch, eps=child.eps, momentum=recipe.bn_momentum
            )
            own.load_state_dict(child.state_dict())
            setattr(module, name, own)
        else:
            _normalise_in_chunks(child, recipe)


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
def training_error(model: nn.Module, source: InMemoryLoader) -> float:
    """Top-1 error of `model` in % on the training digits of `source`, not augmented.

    In eval mode, so that nets can be compared that were not trained side by side; leaves the
    model in the mode it found it in.
    """
    was_training = model.training
    model.eval()
    answers = torch.cat([model(x).argmax(1) for x in source.plain_train_batches()])
    model.train(was_training)
    return 100.0 * (answers != source.train_labels).float().mean().item()
