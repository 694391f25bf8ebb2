"""Batch normalisation, the residual's addition and ReLU in one operation on a CPU.

The maps of a CIFAR net's first stage outgrow a CPU's cache, so that time goes with how often
they are read. The results agree with PyTorch's to float32 rounding.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from resnet_repro.kernels.library import LANES, call


def _last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


class _BatchNormReLU(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, gamma: Tensor, beta: Tensor, residual: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        x = _last(x)
        residual = None if residual is None else _last(residual)
        out = torch.empty_like(x)
        mean, variance = torch.empty_like(beta), torch.empty_like(beta)
        rows, channels = x.numel() // len(beta), len(beta)
        call(
            "batch_norm_relu",
            *(x, residual, gamma, beta, out, mean, variance, rows, channels, eps),
        )
        ctx.save_for_backward(x, gamma, beta, mean, variance, None if residual is None else out)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, variance)
        return out, mean, variance

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator, unused-ignore]
    def backward(ctx: Any, dout: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, gamma, beta, mean, variance, out = ctx.saved_tensors
        dout, dx = _last(dout), torch.empty_like(x)
        dresidual = None if out is None else torch.empty_like(x)
        dgamma, dbeta = torch.empty_like(gamma), torch.empty_like(beta)
        rows, channels = x.numel() // len(beta), len(beta)
        call(
            "batch_norm_relu_gradient",
            *(dout, x, out, gamma, beta, mean, variance, dx, dresidual, dgamma, dbeta),
            *(rows, channels, ctx.eps),
        )
        return dx, dgamma, dbeta, dresidual, None


def fits(module: nn.Module) -> bool:
    """Whether the kernel computes this module: plain BatchNorm2d, channels by eights."""
    return type(module) is nn.BatchNorm2d and module.num_features % LANES == 0


class FusedBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm2d that can compute ReLU and a residual's addition along with itself."""

    def with_relu(self, x: Tensor, residual: Tensor | None) -> Tensor:
        """relu(self(x) + residual), (N, C, H, W), over the batch's statistics.

        Updates the moving averages as BatchNorm2d does.
        """
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        out, mean, variance = _BatchNormReLU.apply(  # type: ignore[no-untyped-call, unused-ignore]
            x, self.weight, self.bias, residual, self.eps
        )
        count = x.numel() // self.num_features
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)
        return out  # type: ignore[no-any-return]

    def fuses(self, x: Tensor) -> bool:
        """Whether `with_relu` is for this input: training, float32, on a CPU.

        Not while the statistics are recomputed (momentum None stands for a plain average).
        """
        plain = self.training and self.momentum is not None
        return plain and x.dtype == torch.float32 and x.device.type == "cpu"
