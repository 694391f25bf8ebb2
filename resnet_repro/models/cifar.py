"""The CIFAR-10 networks of section 4.2: 6n+2 layers, plain or residual."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from resnet_repro.models.blocks import BasicBlock, NormLayer, Shortcut, conv3x3, norm_relu


class CifarResNet(nn.Module):
    """3x3 convolution, three stages of n blocks, global average pooling, linear classifier.

    (N, in_channels, S, S) -> logits (N, num_classes). The stages work on maps of S, S/2 and
    S/4 pixels with `width`, 2 `width` and 4 `width` channels (32/16/8 pixels and 16/32/64
    channels in the paper); depth = 6n + 2. Module names are torchvision's.
    """

    def __init__(
        self,
        depth: int,
        shortcut: Shortcut,
        width: int,
        in_channels: int,
        num_classes: int,
        norm_layer: NormLayer,
    ) -> None:
        super().__init__()
        if depth < 8 or depth % 6 != 2:
            raise ValueError(f"depth {depth} is not 6n+2 with n >= 1")
        blocks = depth // 6
        self.conv1 = conv3x3(in_channels, width)
        self.bn1 = norm_layer(width)
        self.relu = nn.ReLU(inplace=True)

        def stage(in_channels: int, channels: int, stride: int) -> nn.Sequential:
            first = BasicBlock(in_channels, channels, stride, shortcut, norm_layer)
            rest = (
                BasicBlock(channels, channels, 1, shortcut, norm_layer) for _ in range(blocks - 1)
            )
            return nn.Sequential(first, *rest)

        self.layer1 = stage(width, width, 1)
        self.layer2 = stage(width, 2 * width, 2)
        self.layer3 = stage(2 * width, 4 * width, 2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(4 * width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = norm_relu(self.bn1, self.relu, self.conv1(x))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(torch.flatten(self.avgpool(x), 1))  # type: ignore[no-any-return]
