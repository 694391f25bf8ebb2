"""SGD as Caffe computes it, on top of PyTorch's."""

from __future__ import annotations

import torch
from torch import nn

from resnet_repro.train.recipe import Recipe


def make_optimizer(model: nn.Module, recipe: Recipe, lr: float) -> torch.optim.SGD:
    """SGD with momentum (section 3.4) over all parameters of `model`.

    `weight_decay_on` = `weights` spares batch normalisation and biases, that is every
    parameter of one dimension.
    """
    parameters = list(model.parameters())
    spared = [p for p in parameters if p.ndim == 1 and recipe.weight_decay_on == "weights"]
    decayed = [p for p in parameters if p.ndim > 1 or recipe.weight_decay_on == "all"]
    groups = [{"params": decayed}]
    if spared:
        groups.append({"params": spared, "weight_decay": 0.0})  # type: ignore[dict-item]
    return torch.optim.SGD(
        groups,
        lr=lr,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=recipe.momentum_form == "nesterov",
        fused=True,
    )


def set_learning_rate(optimizer: torch.optim.SGD, lr: float, recipe: Recipe) -> None:
    """Change the rate; in Caffe's form the momentum keeps the scale of the rate it was made at.

    Caffe:   v <- mu v + lr g,  w <- w - v.
    PyTorch: b <- mu b + g,     w <- w - lr b.
    The two agree while lr stands still, with v = lr b. At a change Caffe's v is kept, so b is
    multiplied by old lr / new lr.
    """
    for group in optimizer.param_groups:
        old = group["lr"]
        if old == lr:
            continue
        group["lr"] = lr
        if recipe.momentum_form == "caffe":
            for parameter in group["params"]:
                buffer = optimizer.state.get(parameter, {}).get("momentum_buffer")
                if buffer is not None:
                    buffer.mul_(old / lr)
