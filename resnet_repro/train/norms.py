"""Norms of a network's stages: what gradients.csv holds."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from resnet_repro.records.schema import STAGES


def gradient_norms(model: nn.Module) -> dict[str, float]:
    """Euclidean norm of each stage's loss gradient at the last step (weight decay apart)."""
    gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    return _norms(model, gradients)


def weight_norms(model: nn.Module) -> dict[str, float]:
    """Euclidean norm of each stage's parameters, batch normalisation's among them."""
    return _norms(model, {n: p.detach() for n, p in model.named_parameters()})


def _norms(model: nn.Module, tensors: dict[str, Tensor]) -> dict[str, float]:
    squares = {name: 0.0 for name, _ in model.named_children() if name in STAGES}
    norms = torch.stack(torch._foreach_norm([t.float() for t in tensors.values()]))
    for name, norm in zip(tensors, norms.double().tolist(), strict=True):
        squares[name.split(".", 1)[0].replace("bn1", "conv1")] += norm**2
    return {stage: square**0.5 for stage, square in squares.items()}
