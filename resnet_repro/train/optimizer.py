"""SGD as Caffe computes it, on top of PyTorch's."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from resnet_repro.train.recipe import Recipe


def make_optimizer(model: nn.Module, recipe: Recipe, lr: float | Tensor) -> torch.optim.SGD:
    """SGD with momentum (section 3.4) over all parameters of `model`.

    `weight_decay_on` = `weights` spares batch normalisation and biases, that is every
    parameter of one dimension. A rate given as a tensor can be changed on the device.
    """
    parameters = list(model.parameters())
    spared = [p for p in parameters if p.ndim == 1 and recipe.weight_decay_on == "weights"]
    decayed = [p for p in parameters if p.ndim > 1 or recipe.weight_decay_on == "all"]
    groups = [{"params": decayed}]
    if spared:
        groups.append({"params": spared, "weight_decay": 0.0})  # type: ignore[dict-item]
    optimizer = torch.optim.SGD(
        groups,
        lr=lr,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=recipe.momentum_form == "nesterov",
        fused=True,
    )
    if recipe.momentum > 0:
        # Zeros instead of none, so that the first step is computed as all others are.
        for parameter in parameters:
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer


def momentum_buffers(optimizer: torch.optim.SGD) -> list[Tensor]:
    """Every parameter's momentum, in the optimiser's order; none without momentum."""
    return [state["momentum_buffer"] for state in optimizer.state.values()]


def rescale_momentum(optimizer: torch.optim.SGD, factor: float | Tensor, recipe: Recipe) -> None:
    """Keep Caffe's momentum across a change of the rate: `factor` = old rate / new rate.

    Caffe:   v <- mu v + lr g,  w <- w - v.
    PyTorch: b <- mu b + g,     w <- w - lr b.
    The two agree while lr stands still, with v = lr b. At a change Caffe's v is kept, so b is
    multiplied by old lr / new lr. Other forms of momentum are left as they are.
    """
    buffers = momentum_buffers(optimizer)
    if recipe.momentum_form == "caffe" and buffers:
        torch._foreach_mul_(buffers, factor)


def change_rate(optimizer: torch.optim.SGD, old: float, new: float, recipe: Recipe) -> None:
    """Go from one learning rate to another, momentum as the recipe says.

    The old one is given because reading it from the optimiser could wait for the device.
    """
    rescale_momentum(optimizer, old / new, recipe)
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(new)
        else:
            group["lr"] = new
