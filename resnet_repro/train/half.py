"""Weights in bf16 for a step, cast by one operation instead of one a layer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from resnet_repro.kernels.winograd import WinogradConv2d


class _Cast(torch.autograd.Function):
    """Tensors to bf16, and their gradients back; values as those of `Tensor.to`."""

    @staticmethod
    def forward(ctx: Any, *weights: Tensor) -> tuple[Tensor, ...]:  # noqa: ARG004
        return _copies(weights, torch.bfloat16)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:  # noqa: ARG004
        return _copies(gradients, torch.float32)


def _copies(tensors: tuple[Tensor, ...], dtype: torch.dtype) -> tuple[Tensor, ...]:
    copies = [torch.empty_like(tensor, dtype=dtype) for tensor in tensors]
    torch._foreach_copy_(copies, tensors)
    return tuple(copies)


def cast_names(model: nn.Module) -> list[str]:
    """The parameters that autocast would cast at each use: convolutions' and linear layers'.

    Not those of convolutions by our CPU kernel, whose weights stay float32.
    """
    return [
        f"{name}.{parameter}"
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear) and not isinstance(module, WinogradConv2d)
        for parameter, _ in module.named_parameters(recurse=False)
    ]


def call_cast(model: nn.Module, names: list[str], x: Tensor) -> Tensor:
    """model(x) under autocast, the parameters `names` cast to bf16 together.

    Gradients reach the parameters themselves, in float32.
    """
    cast = _Cast.apply(*[model.get_parameter(name) for name in names])
    output: Tensor = torch.func.functional_call(model, dict(zip(names, cast, strict=True)), (x,))
    return output
