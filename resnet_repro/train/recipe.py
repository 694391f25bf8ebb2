"""The training recipes: every switch, the named protocols, and the learning rate they give.

Nothing here needs torch, so that a run can be planned without it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from resnet_repro.errors import UserError, one_of
from resnet_repro.models.names import CifarName, parse

RECIPE_VERSION = 2  # raised whenever the same switches come to mean another computation


@dataclass(frozen=True)
class Recipe:
    """How a network is trained (sections 3.4 and 4.2); docs/deviations.md argues each default.

    What CIFAR-10's and ImageNet's training have in common; the defaults here are CIFAR-10's.
    """

    iterations: int = 64_000
    batch_size: int = 128
    lr: float = 0.1
    drops: tuple[int, ...] = (32_000, 48_000)  # iterations at which lr is divided by lr_divisor
    lr_divisor: float = 10.0
    momentum: float = 0.9
    momentum_form: Literal["caffe", "pytorch", "nesterov"] = "caffe"
    weight_decay: float = 1e-4
    weight_decay_on: Literal["all", "weights"] = "all"  # `weights`: not on BN and biases
    init: Literal["fan_out", "fan_in"] = "fan_out"
    classifier_init: Literal["he", "gaussian", "uniform"] = "he"
    bn_batch: int = 64  # images that batch normalisation averages over
    bn_momentum: float = 0.1  # of the moving averages: the part of the newest statistics
    bn_eps: float = 1e-5
    bn_statistics: Literal["averaged", "moving"] = "averaged"  # at every test
    bn_images: int = 10_000  # training images they are averaged over
    mean: Literal["pixel", "channel", "channel-std"] = "pixel"
    flip: bool = True
    warmup_lr: float = 0.01  # 0: no warm-up
    warmup_error: float = 80.0  # %, training error that ends it
    warmup_window: int = 100  # batches that error is averaged over
    warmup_iterations: int = 0  # that it lasts, whatever the error; 0: until that error
    row_every: int = 1_000  # iterations between two rows of the record

    def learning_rate(self, iteration: int, warming: bool = False) -> float:
        """The rate of step `iteration` (the first is 0), as in section 4.2.

        The step with the number of a drop is the first at the lower rate, as in Caffe's
        multistep policy. The schedule counts from iteration 0, warm-up included.
        """
        base = self.warmup_lr if warming else self.lr
        passed = sum(iteration >= drop for drop in self.drops)
        return base / self.lr_divisor**passed


@dataclass(frozen=True)
class CifarRecipe(Recipe):
    """Section 4.2."""

    pad: int = 4  # pixels on each side


@dataclass(frozen=True)
class ImageRecipe(Recipe):
    """Section 3.4, with the schedule of Fig. 4.

    Every other size scales with `crop`: the shorter side, from 256 to 480 pixels for a crop of
    224, and those of the tests.
    """

    iterations: int = 600_000
    batch_size: int = 256
    drops: tuple[int, ...] = (150_000, 300_000)
    bn_batch: int = 32  # of eight GPUs; the paper does not say how many it used
    warmup_lr: float = 0.0  # section 4.2 speaks of CIFAR-10 alone
    row_every: int = 5_000
    crop: int = 224  # pixels a side
    pca_std: float = 0.1  # of the colour augmentation; 0: none


PAPER = CifarRecipe()
MOST_ROWS = 32  # of a run whose schedule is not the paper's
R = TypeVar("R", bound=Recipe)


def scaled(recipe: R, iterations: int) -> R:
    """The same recipe with its schedule stretched to `iterations`, in MOST_ROWS rows at most.

    The warm-up is untouched: it ends by an error, not by a count.
    """
    if iterations < 1:
        raise UserError(f"--iterations {iterations}: give at least 1")
    drops = tuple(round(d * iterations / recipe.iterations) for d in recipe.drops)
    return dataclasses.replace(
        recipe, iterations=iterations, drops=drops, row_every=-(-iterations // MOST_ROWS)
    )


PROTOCOLS: dict[str, CifarRecipe] = {
    "paper": PAPER,
    # A quarter of the length with all of it taken from the lower rates: in the paper's own curves
    # (Fig. 6) the deeper residual nets pass the shallower ones only after 7,000 to 10,000
    # iterations at the high rate, so a schedule scaled evenly cannot show the order.
    "quarter": dataclasses.replace(PAPER, iterations=16_000, drops=(12_000, 15_000), row_every=500),
    # 30 epochs of the 1,437 training digits; a digit mirrored is another shape, or none.
    "demo": CifarRecipe(
        iterations=674,
        batch_size=64,
        bn_images=512,  # a third of the digits: at all of them tests would take as long as training
        drops=(337, 505),
        warmup_lr=0.0,
        pad=1,
        flip=False,
        row_every=22,
    ),
    "smoke": CifarRecipe(
        iterations=12,
        batch_size=32,
        bn_batch=32,
        bn_images=64,
        drops=(6, 9),
        warmup_lr=0.0,
        pad=1,
        flip=False,
        row_every=4,
    ),
}
IMAGE_PROTOCOLS: dict[str, ImageRecipe] = {
    "paper": ImageRecipe(),
    # Four epochs of the 4,000 photographs, so that two processor cores train 34 layers in half an
    # hour; a rate between the paper's and that divided by the smaller batch.
    "imagenette": ImageRecipe(
        iterations=500,
        batch_size=32,
        bn_images=1_024,
        lr=0.05,
        drops=(250, 375),
        row_every=50,
        crop=112,
    ),
    "smoke": ImageRecipe(
        iterations=4,
        batch_size=8,
        bn_batch=4,
        bn_images=16,
        lr=0.01,
        drops=(2, 3),
        row_every=2,
        crop=32,
    ),
}

_NOT_ZERO = (
    "iterations",
    "batch_size",
    "bn_batch",
    "bn_images",
    "bn_eps",
    "row_every",
    "crop",
    "warmup_window",
    "lr",
    "lr_divisor",
)


def recipe_for(
    protocol: str,
    network: str,
    *,
    iterations: int | None = None,
    changes: dict[str, str] | None = None,
) -> Recipe:
    """The recipe of `protocol` for `network`, its schedule scaled and its switches changed.

    `changes` maps a switch's name to its value as text. Raises UserError for an unknown
    protocol, an unknown switch or a value that does not fit.
    """
    parsed = parse(network)
    protocols: Mapping[str, Recipe] = (
        PROTOCOLS if isinstance(parsed, CifarName) else IMAGE_PROTOCOLS
    )
    if protocol not in protocols:
        raise UserError(
            f"unknown protocol '{protocol}' for {network}: {one_of(protocol, protocols)}"
        )
    recipe = protocols[protocol]
    if iterations is not None:
        recipe = scaled(recipe, iterations)
    for name, text in (changes or {}).items():
        value = parse_switch(name, text, type(recipe))
        recipe = dataclasses.replace(recipe, **{name: value})
    if recipe.momentum_form == "nesterov" and recipe.momentum == 0:
        raise UserError("momentum_form=nesterov needs a momentum above 0")
    if recipe.bn_momentum > 1:
        raise UserError(f"bn_momentum={recipe.bn_momentum}: give a number from 0 to 1")
    if recipe.bn_batch < recipe.batch_size and recipe.batch_size % recipe.bn_batch:
        raise UserError(
            f"bn_batch={recipe.bn_batch} does not divide the batch of {recipe.batch_size}: "
            "give a divisor, so that every chunk has as many images"
        )
    return recipe


def protocol_label(
    protocol: str, iterations: int | None = None, changes: dict[str, str] | None = None
) -> str:
    """The name a run is filed under: `paper`, `custom-400`, `quarter+bn_batch=128`."""
    label = protocol if iterations is None else f"custom-{iterations}"
    return label + "".join(f"+{k}={v}" for k, v in sorted((changes or {}).items()))


def parse_switch(name: str, text: str, recipe: type[Recipe] = CifarRecipe) -> Any:
    """The value of a recipe's switch `name` written as `text` (a list with commas between)."""
    kinds = get_type_hints(recipe)
    if name not in kinds:
        raise UserError(f"unknown switch '{name}': {one_of(name, kinds)}")
    kind = kinds[name]
    try:
        value = _parse(kind, text)
    except ValueError:
        raise UserError(f"switch {name}={text}: {_expected(kind)}") from None
    negative = isinstance(value, (int, float)) and value < 0
    if negative or (value == 0 and name in _NOT_ZERO):
        raise UserError(f"switch {name}={text}: give a positive number")
    return value


def _parse(kind: object, text: str) -> object:
    if get_origin(kind) is Literal:
        if text not in get_args(kind):
            raise ValueError(text)
        return text
    if kind is bool:
        return {"true": True, "false": False}[text] if text in ("true", "false") else _fail(text)
    if kind is int:
        return int(text)
    if kind is float:
        value = float(text)
        return value if abs(value) < float("inf") else _fail(text)
    return tuple(int(part) for part in text.split(",") if part)


def _fail(text: str) -> object:
    raise ValueError(text)


def _expected(kind: object) -> str:
    if get_origin(kind) is Literal:
        return f"give one of {', '.join(get_args(kind))}"
    names = {bool: "true or false", int: "a whole number", float: "a number"}
    return f"give {names[kind]}" if kind in names else "give whole numbers with commas between"
