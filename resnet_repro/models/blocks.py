"""Residual and plain blocks, their shortcuts, and how all weights start.

Section 3.2-3.3 and Fig. 2, Fig. 5 of the paper. Every convolution is followed by batch
normalisation and has no bias of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resnet_repro.models.batch_norm import GhostBatchNorm2d

Shortcut = Literal["none", "A", "B", "C"]
FanMode = Literal["fan_in", "fan_out"]
ClassifierInit = Literal["he", "gaussian", "uniform"]
NormLayer = Callable[[int], nn.BatchNorm2d]


def conv3x3(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    """3x3 convolution, padding 1, no bias."""
    return nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)


# A vector of AVX-512; AVX2's holds half of it.
VECTOR = 16


def conv1x1(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    """1x1 convolution, no bias."""
    if stride > 1 and in_channels < VECTOR:
        return SubsampledConv1x1(in_channels, out_channels, 1, stride, bias=False)
    return nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)


class SubsampledConv1x1(nn.Conv2d):
    """A 1x1 convolution with a stride, which takes every `stride`-th pixel first.

    The same values. With channels last and fewer channels than a vector holds, the gradient of
    the weights of a strided one is computed beyond its workspace by oneDNN on processors with
    AVX2 (github.com/uxlfoundation/oneDNN, issue 6035), which corrupts memory.
    """

    def forward(self, x: Tensor) -> Tensor:
        down, across = self.stride
        return F.conv2d(x[:, :, ::down, ::across], self.weight)


class SubsamplePad(nn.Module):
    """Option A where the size changes: every `stride`-th pixel, zeros for the new channels.

    (N, C_in, H, W) -> (N, C_out, H / stride, W / stride), without parameters. The zeros come
    behind the channels that exist; other placements equal this one up to a permutation.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.new_channels = out_channels - in_channels

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.new_channels))


def norm_relu(
    norm: nn.BatchNorm2d, relu: nn.ReLU, x: Tensor, residual: Tensor | None = None
) -> Tensor:
    """relu(norm(x) + residual), in one operation where there is one (Fig. 2)."""
    if isinstance(norm, GhostBatchNorm2d) and norm.fuses(x):
        return norm.with_relu(x, residual)
    out: Tensor = norm(x)
    if residual is not None:
        out += residual
    return relu(out)  # type: ignore[no-any-return]


def make_downsample(
    shortcut: Shortcut, in_channels: int, out_channels: int, stride: int, norm_layer: NormLayer
) -> nn.Module | None:
    """The module on the shortcut; None is the identity (or, for `none`, no shortcut at all)."""
    changes = stride != 1 or in_channels != out_channels
    if shortcut == "none" or (shortcut != "C" and not changes):
        return None
    if shortcut == "A":
        return SubsamplePad(in_channels, out_channels, stride)
    return nn.Sequential(
        conv1x1(in_channels, out_channels, stride),
        norm_layer(out_channels),
    )


class BasicBlock(nn.Module):
    """Two 3x3 convolutions (Fig. 5 left); with shortcut `none` two layers of a plain net.

    (N, in_channels, H, W) -> (N, channels, H / stride, W / stride).
    """

    expansion = 1

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int,
        shortcut: Shortcut,
        norm_layer: NormLayer,
    ) -> None:
        super().__init__()
        self.conv1 = conv3x3(in_channels, channels, stride)
        self.bn1 = norm_layer(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv3x3(channels, channels)
        self.bn2 = norm_layer(channels)
        self.residual = shortcut != "none"
        self.downsample = make_downsample(shortcut, in_channels, channels, stride, norm_layer)

    def forward(self, x: Tensor) -> Tensor:
        residual = None
        if self.residual:
            residual = x if self.downsample is None else self.downsample(x)
        out = norm_relu(self.bn1, self.relu, self.conv1(x))
        return norm_relu(self.bn2, self.relu, self.conv2(out), residual)


class Bottleneck(nn.Module):
    """1x1 that narrows to `channels`, 3x3, 1x1 that widens to 4 `channels` (Fig. 5 right).

    (N, in_channels, H, W) -> (N, 4 * channels, H / stride, W / stride). The stride is the first
    1x1's, as in the paper, or with `stride_in_3x3` the 3x3's, as in torchvision ("v1.5").
    The paper has no plain net of these.
    """

    expansion = 4

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int,
        shortcut: Shortcut,
        norm_layer: NormLayer,
        *,
        stride_in_3x3: bool = False,
    ) -> None:
        super().__init__()
        if shortcut == "none":
            raise ValueError("a bottleneck needs a shortcut")
        out_channels = channels * self.expansion
        first, second = (1, stride) if stride_in_3x3 else (stride, 1)
        self.conv1 = conv1x1(in_channels, channels, first)
        self.bn1 = norm_layer(channels)
        self.conv2 = conv3x3(channels, channels, second)
        self.bn2 = norm_layer(channels)
        self.conv3 = conv1x1(channels, out_channels)
        self.bn3 = norm_layer(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = make_downsample(shortcut, in_channels, out_channels, stride, norm_layer)

    def forward(self, x: Tensor) -> Tensor:
        residual = x if self.downsample is None else self.downsample(x)
        out = norm_relu(self.bn1, self.relu, self.conv1(x))
        out = norm_relu(self.bn2, self.relu, self.conv2(out))
        return norm_relu(self.bn3, self.relu, self.conv3(out), residual)


def initialise(
    model: nn.Module, mode: FanMode, seed: int, classifier: ClassifierInit = "he"
) -> None:
    """He initialisation of every layer, drawn on the CPU from `seed`.

    Convolutions: normal with std sqrt(2 / n), n = k * k * channels over the inputs (fan_in) or
    the outputs (fan_out). Linear layers by `classifier`: `he`, the forward form, n = inputs
    (CIFAR-10's classifier has 10 outputs; its fan-out would start it several times too loud);
    `gaussian`, std 0.01, the usual choice in Caffe's examples; `uniform`, within
    1 / sqrt(inputs), PyTorch's own. Biases 0; batch normalisation starts as the identity.
    """
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(
                module.weight, mode=mode, nonlinearity="relu", generator=generator
            )
            if module.bias is not None:  # VGG's; a convolution before batch normalisation has none
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            _initialise_classifier(module, classifier, generator)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)


def _initialise_classifier(
    layer: nn.Linear, how: ClassifierInit, generator: torch.Generator
) -> None:
    if how == "he":
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
    elif how == "gaussian":
        nn.init.normal_(layer.weight, std=0.01, generator=generator)
    else:
        bound = layer.in_features**-0.5
        nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
