"""Gradients of plain and residual nets: their norm by layer, and whether they shatter.

Section 4.1 finds the plain nets' gradients healthy in norm. Balduzzi et al. (2017) look at how the
gradient changes between neighbouring inputs: in a deep plain net it resembles white noise, so a
step that is right for one input says nothing of the next; shortcuts keep it nearer to brown noise.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from resnet_repro.errors import UserError
from resnet_repro.evaluate.probes.lesions import blocks_of
from resnet_repro.evaluate.probes.subject import Settings, Subject, Values
from resnet_repro.models.batch_norm import over_whole_batches

IMAGES = 250  # the first training images, not augmented: a batch for norms and statistics
CIRCLES = 4  # of inputs, each through two test images
POINTS = 128  # on a circle
LAGS = tuple(range(17))  # points between two inputs that are compared

BatchNorm = Literal["batch", "moving"]


def layer_norms(
    model: nn.Module, x: Tensor, labels: Tensor, batch_norm: BatchNorm = "batch"
) -> dict[str, float]:
    """Euclidean norm of the loss gradient of each layer's weights, from input to output.

    x: images (N, C, H, W) as the network takes them; labels (N,). The loss is the mean
    cross-entropy in nats. batch_norm: over this batch, as in a training step, or with its moving
    averages, as in a test. The model is left as it was: no gradients, no statistics, no mode.
    """
    own = over_whole_batches(copy.deepcopy(model)).train(batch_norm == "batch")
    layers = {
        name: module.weight
        for name, module in own.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    }
    loss = F.cross_entropy(own(x), labels)
    gradients = torch.autograd.grad(loss, list(layers.values()))
    return {name: float(g.norm()) for name, g in zip(layers, gradients, strict=True)}


def calibrated(model: nn.Module, x: Tensor) -> nn.Module:
    """A copy in eval mode whose batch normalisation has the statistics of the images x.

    An untrained network has no moving averages yet; with a batch's own statistics in their place
    each output depends on its own input alone.
    """
    own = over_whole_batches(copy.deepcopy(model))
    with torch.no_grad():
        update_bn([x], own)
    return own.eval()


def circle(a: Tensor, b: Tensor, points: int) -> Tensor:
    """Inputs (points, C, H, W) on cos(t) a + sin(t) b, evenly spaced; a, b: images (C, H, W).

    With the mean subtracted, a circle through two images keeps near the data, and none of its
    points is its end. Raises UserError for fewer than 4 points.
    """
    if points < 4:
        raise UserError(f"a circle of {points} points: give at least 4")
    t = torch.arange(points, device=a.device) * (2 * math.pi / points)
    return t.cos()[:, None, None, None] * a + t.sin()[:, None, None, None] * b


def autocorrelation(rows: Tensor, lags: Sequence[int]) -> list[float]:
    """How alike rows (points, ...) are that lie so many places apart on a circle; -1 ... 1.

    Their mean is subtracted; 1 at lag 0. Raises UserError when all rows are the same.
    """
    flat = rows.detach().flatten(1).double()
    flat = flat - flat.mean(0)
    total = flat.square().sum()
    if not total > 0:
        raise UserError("a gradient that is the same everywhere has no correlation")
    return [float((flat * flat.roll(-lag, 0)).sum() / total) for lag in lags]


def white_noise(points: int, lags: Sequence[int]) -> list[float]:
    """The autocorrelation of independent values on a circle, in expectation."""
    return [1.0 if lag % points == 0 else -1 / (points - 1) for lag in lags]


def brown_noise(points: int, lags: Sequence[int]) -> list[float]:
    """The autocorrelation of a random walk that returns to its start, in expectation.

    1 - 6 u (1 - u) at the part u of the circle: the Brownian bridge less its mean, of covariance
    1/12 - u (1 - u) / 2.
    """
    parts = [lag % points / points for lag in lags]
    return [1 - 6 * u * (1 - u) for u in parts]


def input_gradients(model: nn.Module, x: Tensor, seed: int = 0) -> dict[str, Tensor]:
    """After each block: the gradient with respect to x (N, C, H, W) of one number it gives.

    The number is what a linear classifier would read there: a mixture of the block's channels,
    averaged over the pixels, with weights drawn from `seed`. In eval mode, so that each row
    depends on its own input; the model's mode stays as it was.
    """
    outputs: dict[str, Tensor] = {}

    def keep(name: str) -> object:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            outputs[name] = output

        return hook

    handles = [
        block.register_forward_hook(keep(name))  # type: ignore[arg-type]
        for name, block in blocks_of(model).items()
    ]
    was_training = model.training
    model.eval()
    try:
        x = x.detach().requires_grad_()
        model(x)
    finally:
        for handle in handles:
            handle.remove()
        model.train(was_training)
    chance = torch.Generator().manual_seed(seed)
    gradients = {}
    for name, output in outputs.items():
        mixture = torch.randn(output.shape[1], generator=chance).to(output)
        number = (output.mean((2, 3)) * mixture).sum()
        (gradients[name],) = torch.autograd.grad(number, x, retain_graph=True)
    return gradients


def shattering(
    model: nn.Module, images: Tensor, points: int, lags: Sequence[int], seed: int = 0
) -> dict[str, list[float]]:
    """After each block: the autocorrelation of input gradients along circles, at these lags.

    images: (2 k, C, H, W), as the network takes them, give k circles of `points` inputs each,
    over which is averaged. A model that was never trained should be `calibrated`. Raises
    UserError for an odd number of images.
    """
    if len(images) % 2 or not len(images):
        raise UserError(f"{len(images)} images: give two for each circle")
    found: dict[str, list[list[float]]] = {}
    for k in range(len(images) // 2):
        here = input_gradients(model, circle(images[2 * k], images[2 * k + 1], points), seed + k)
        for name, gradient in here.items():
            found.setdefault(name, []).append(autocorrelation(gradient, lags))
    return {
        name: [sum(values) / len(values) for values in zip(*rows, strict=True)]
        for name, rows in found.items()
    }


def measure(subject: Subject) -> tuple[Settings, Values]:
    """Norms by layer, and autocorrelations of input gradients by block and lag.

    Both before the first step and after the last; correlations with batch normalisation's
    statistics of one batch before, and with the recorded ones after.
    """
    x = next(iter(subject.source.plain_train_batches()))[:IMAGES]
    labels = subject.source.train_labels[: len(x)]
    [(pairs, _)] = subject.test_batches(2 * CIRCLES)
    states = {
        "initial": (subject.initial, calibrated(subject.initial, x)),
        "trained": (subject.trained, subject.trained),
    }
    settings: Settings = {
        "images": len(x),
        "norm_bn": "batch",
        "bn": f"calibrated+{subject.bn}",
        "circles": len(pairs) // 2,
        "points": POINTS,
        "lags": list(LAGS),
        "seed": 0,
    }
    values: Values = {
        "white_noise": white_noise(POINTS, LAGS),
        "brown_noise": brown_noise(POINTS, LAGS),
    }
    for state, (model, tested) in states.items():
        norms = layer_norms(model, x, labels, "batch")
        found = shattering(tested, pairs, POINTS, LAGS)
        settings |= {"layers": list(norms), "blocks": list(found)}
        values[f"{state}_norms"] = list(norms.values())
        values[f"{state}_correlations"] = list(found.values())
        values[f"{state}_correlation"] = found[list(found)[-1]][LAGS.index(1)]
    return settings, values
