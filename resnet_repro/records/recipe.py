"""The recipe of a recorded run, as far as anything but training asks for it.

A spec holds its recipe as it was set, switch by switch, because that is what is hashed; an older
version of the recipe has fewer switches. `train.recipe.Recipe` is what a run that is still to come
is planned with. Reports and evaluations stand beside or below training in the import order and
read this instead.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from resnet_repro.records.files import convert
from resnet_repro.records.schema import Positive, Spec, Whole


class RecordedRecipe(Struct, frozen=True):
    """Switches of a spec's recipe; a default is what a version without the switch did.

    Their words stand in `train.recipe.Recipe`; `pad` is of CIFAR's recipes alone, `crop` of
    ImageNet's.
    """

    iterations: Positive
    batch_size: Positive
    mean: Literal["pixel", "channel", "channel-std"]
    flip: bool
    init: Literal["fan_out", "fan_in"]
    bn_statistics: Literal["averaged", "moving"]
    bn_images: Whole = 0
    bn_eps: Annotated[float, Meta(ge=0)] = 1e-5
    classifier_init: Literal["he", "gaussian", "uniform"] = "he"
    pad: Whole | None = None
    crop: Positive | None = None


def recorded_recipe(spec: Spec, where: Path = Path("spec.json")) -> RecordedRecipe:
    """The recipe of a spec; `where` names its file in a message.

    Raises UserError for a switch that is missing or out of bounds; a spec that `store` read has
    none.
    """
    return convert(spec.recipe, RecordedRecipe, where)
