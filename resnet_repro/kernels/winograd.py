"""3x3 convolutions on a CPU with a quarter of the multiplications (Winograd's F(4x4, 3x3)).

A CIFAR net spends most of its time in 3x3 convolutions of stride 1, and on a CPU without matrix
units these are limited by arithmetic. The results agree with PyTorch's to float32 rounding.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from resnet_repro.kernels.library import LANES, call

# G of F(4x4, 3x3): the weights at the six points 0, 1, -1, 2, -2, infinity.
_G = torch.tensor(
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ],
    dtype=torch.float64,
)
_G2 = torch.kron(_G, _G).float()  # (36, 9): both directions at once

# Channels up to which the kernel is used. Every block of tiles reads the transformed weights of
# all channels, four times as many bytes as the weights: those of 512 channels come from memory
# each time, and PyTorch's convolution is faster (docs/performance.md).
WIDEST = 256


def _convolve(x: Tensor, weight: Tensor) -> Tensor:
    """(N, C, H, W) and (K, C, 3, 3) to (N, K, H, W), channels last."""
    (n, c, h, w), k = x.shape, len(weight)
    x = x.contiguous(memory_format=torch.channels_last)
    u = _G2 @ weight.permute(2, 3, 1, 0).reshape(9, c * k)
    y = x.new_empty((n, h, w, k))
    call("winograd_convolution", x, u, y, n, h, w, c, k)
    return y.permute(0, 3, 1, 2)


def _weight_gradient(x: Tensor, dy: Tensor) -> Tensor:
    """(N, C, H, W) and (N, K, H, W) to (K, C, 3, 3), channels last."""
    (n, c, h, w), k = x.shape, dy.shape[1]
    x = x.contiguous(memory_format=torch.channels_last)
    dy = dy.contiguous(memory_format=torch.channels_last)
    sums = x.new_empty((36, c * k))
    call("winograd_weight_gradient", x, dy, sums, n, h, w, c, k)
    gradient = (_G2.t() @ sums).reshape(3, 3, c, k).permute(3, 2, 0, 1)
    return gradient.contiguous(memory_format=torch.channels_last)


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _convolve(x, weight)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator, unused-ignore]
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        dx = dw = None
        if ctx.needs_input_grad[0]:
            dx = _convolve(dy, weight.flip(2, 3).transpose(0, 1))
        if ctx.needs_input_grad[1]:
            dw = _weight_gradient(x, dy)
        return dx, dw


class WinogradConv2d(nn.Conv2d):
    """A 3x3 convolution of stride 1 computed by the kernel in float32 on a CPU.

    Elsewhere (another type, another device) it is Conv2d.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype == self.weight.dtype == torch.float32 and x.device.type == "cpu":
            return _Convolution.apply(x, self.weight)  # type: ignore[no-any-return, no-untyped-call, unused-ignore]
        return super().forward(x)


def fits(module: nn.Module) -> bool:
    """Whether the kernel is for this module.

    That is 3x3, stride 1, padding 1, and channels by eights, WIDEST at most.
    """
    return (
        isinstance(module, nn.Conv2d)
        and module.kernel_size == (3, 3)
        and module.stride == module.dilation == module.padding == (1, 1)
        and module.groups == 1
        and module.bias is None
        and module.in_channels % LANES == module.out_channels % LANES == 0
        and max(module.in_channels, module.out_channels) <= WIDEST
    )
