"""What an experiment script declares: a table or figure of the paper, its arms and its claims.

Nothing here needs torch, and an experiment script must not either: tables and figures are
drawn on machines without it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any, Literal

from resnet_repro.errors import UserError, one_of
from resnet_repro.paths import EXPERIMENTS
from resnet_repro.records.metrics import COUNTED, METRICS, OF_ENSEMBLES, OF_RUNS


@dataclass(frozen=True)
class Arm:
    """One line of an artifact: a network on a data set, with any recipe switches it changes.

    `name` is the folder its runs are filed under; equal names in several artifacts are the
    same runs.
    """

    name: str
    network: str
    dataset: str = "cifar10"
    changes: tuple[tuple[str, str], ...] = ()
    seeds: int = 1  # that the artifact wants of it, if more than of the others


@dataclass(frozen=True)
class Published:
    """Which published value an arm's metric is set beside.

    `source` and `row` name rows of the package's tables.csv (`table6`, `ResNet-20`), or, with
    `source` `fig1`, `fig4` or `fig6`, the last stage of a curve read off that figure. `test_error`
    is that of the single view, on ImageNet the top-1 error of the centre crop.
    """

    arm: str
    metric: str  # one of METRICS
    source: str
    row: str

    def __post_init__(self) -> None:
        _check_metric(self.metric, METRICS)


@dataclass(frozen=True)
class Claim:
    """A statement of the paper as an inequality: `higher`'s metric exceeds `lower`'s.

    A side is an arm; or a line that the artifact's own table quotes from other work; or, in place
    of `lower`, the number `value`. `final` compares the last row of each run, `first` the first,
    `throughout` every row. With a `margin`, in the metric's unit, the claim is that `higher` is
    `by` above `lower` to within that, to whichever side. The metric `layer_std` is the mean over
    the 3x3 layers of the std of their responses (Fig. 7); it is final only. The metric
    `gradient_norm` is each stage's gradient at every row, and the claim that `higher`'s norm is at
    least the part `factor` of `lower`'s. What is counted has no runs, and no chance in it.
    """

    text: str
    higher: str
    lower: str = ""
    metric: str = "train_error"  # one of OF_RUNS or COUNTED
    scope: Literal["final", "first", "throughout"] = "final"
    margin: float | None = None
    factor: float = 1.0
    value: float | None = None
    by: float = 0.0

    def __post_init__(self) -> None:
        _check_metric(self.metric, (*OF_RUNS, *COUNTED))
        if bool(self.lower) == (self.value is not None):
            raise UserError(f"'{self.text}' compares with one thing: give lower, or a value")


def _check_metric(name: str, known: Collection[str]) -> None:
    if name not in known:
        raise UserError(f"metric '{name}' does not fit here: give one of {', '.join(known)}")


@dataclass(frozen=True)
class Artifact:
    """A table or figure: what the paper says with it, and the runs it is a view over."""

    name: str
    title: str
    section: str  # where in the paper
    says: str  # its claim in one sentence
    arms: tuple[Arm, ...]
    protocol: str = "paper"  # the default of `run`
    published: tuple[Published, ...] = ()
    claims: tuple[Claim, ...] = ()
    figure: str = ""  # file stem of its figure; the artifact's name unless given
    counted: bool = False  # its networks are counted (`describe`), not trained
    ensemble: bool = False  # its results are of its arms together, not of each
    seeds: int = 1  # that it wants of every arm; as many as a published value stands for, if more
    notes: tuple[str, ...] = ()  # what its table cannot say of itself, shown under it

    def __post_init__(self) -> None:
        for value in self.published:
            if (value.metric in OF_ENSEMBLES) != self.ensemble:
                of = "an ensemble" if self.ensemble else "a network"
                raise UserError(f"{self.name}: '{value.metric}' is no metric of {of}")

    @property
    def stem(self) -> str:
        return self.figure or self.name

    @property
    def metrics(self) -> set[str]:
        """What its table and its claims give of a run."""
        return {value.metric for value in self.published} | {c.metric for c in self.claims}

    def arm(self, name: str) -> Arm:
        """The arm of that name. Raises UserError listing the arms there are."""
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise UserError(
            f"{self.name} has no arm '{name}': {one_of(name, (arm.name for arm in self.arms))}"
        )

    def only(self, arms: Collection[Arm]) -> Artifact:
        """The part of it that these arms are: their published values, the claims on them alone.

        An arm may differ from the artifact's own of that name in its data set.
        """
        kept = {arm.name for arm in arms}
        left_out = {arm.name for arm in self.arms} - kept
        return replace(
            self,
            arms=tuple(arms),
            published=tuple(p for p in self.published if p.arm not in left_out),
            claims=tuple(c for c in self.claims if not {c.higher, c.lower} & left_out),
        )


@dataclass(frozen=True)
class Experiment:
    """A loaded experiment script: its artifact and its draw function.

    `draw(view)` gets a resnet_repro.report.load.view.View and returns a matplotlib figure.
    """

    artifact: Artifact
    draw: Callable[[Any], Any]


def names() -> list[str]:
    """Every artifact there is a script for, sorted; those that are claims of their own last."""
    found = [p.stem for p in EXPERIMENTS.glob("*.py") if not p.stem.startswith("_")]
    return sorted(found, key=lambda name: (name.startswith("claim_"), name))


def load(name: str) -> Experiment:
    """Load `experiments/<name>.py`. Raises UserError, listing what exists, for another name."""
    if name not in names():
        raise UserError(f"unknown artifact '{name}': {one_of(name, names())}")
    path = EXPERIMENTS / f"{name}.py"
    found = importlib.util.spec_from_file_location(f"resnet_repro_experiment_{name}", path)
    if found is None or found.loader is None:
        raise UserError(f"{path} cannot be loaded")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    artifact, draw = module.ARTIFACT, module.draw
    if artifact.name != name:
        raise UserError(f"{path} declares the artifact '{artifact.name}': give it the file's name")
    return Experiment(artifact, draw)
