"""The ImageNet networks of Table 1: 18 to 152 layers, plain or residual."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from resnet_repro.models.blocks import BasicBlock, Bottleneck, NormLayer, Shortcut, norm_relu
from resnet_repro.models.names import BOTTLENECK_DEPTHS

STAGE_CHANNELS = (64, 128, 256, 512)
# Table 1: how many blocks each of the four stages has, by depth.
STAGE_BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}


class ResNet(nn.Module):
    """7x7 convolution, max pooling, four stages, global average pooling, linear classifier.

    (N, in_channels, S, S) -> logits (N, num_classes). The stages work on maps of S/4, S/8, S/16
    and S/32 pixels (56, 28, 14 and 7 for the paper's 224). 18 and 34 layers are made of basic
    blocks, 50 and more of bottlenecks. Module and parameter names are torchvision's: with
    option B (and `stride_in_3x3` from 50 layers on) a state dict gives the same logits in both.
    Raises ValueError for a depth Table 1 does not have and for a plain net of bottlenecks.
    """

    def __init__(
        self,
        depth: int,
        shortcut: Shortcut,
        in_channels: int,
        num_classes: int,
        norm_layer: NormLayer,
        *,
        stride_in_3x3: bool = False,
    ) -> None:
        super().__init__()
        if depth not in STAGE_BLOCKS:
            raise ValueError(f"depth {depth} is none of {', '.join(map(str, STAGE_BLOCKS))}")
        if shortcut == "none" and depth in BOTTLENECK_DEPTHS:
            raise ValueError(f"no plain net of {depth} layers")
        self.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = norm_layer(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        width = 64  # channels of the map the next block reads

        def block(channels: int, stride: int) -> nn.Module:
            nonlocal width
            read = width
            if depth not in BOTTLENECK_DEPTHS:
                width = channels
                return BasicBlock(read, channels, stride, shortcut, norm_layer)
            width = channels * Bottleneck.expansion
            return Bottleneck(
                read, channels, stride, shortcut, norm_layer, stride_in_3x3=stride_in_3x3
            )

        def stage(index: int) -> nn.Sequential:
            # The first stage reads the max pool's map, which has its size already.
            strides = [1 if index == 0 else 2] + [1] * (STAGE_BLOCKS[depth][index] - 1)
            return nn.Sequential(*[block(STAGE_CHANNELS[index], stride) for stride in strides])

        self.layer1 = stage(0)
        self.layer2 = stage(1)
        self.layer3 = stage(2)
        self.layer4 = stage(3)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(width, num_classes)

    def features(self, x: Tensor) -> Tensor:
        """The last stage's map: (N, in_channels, H, W) -> (N, C, H/32, W/32), rounded up."""
        x = self.maxpool(norm_relu(self.bn1, self.relu, self.conv1(x)))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        x = self.avgpool(self.features(x))
        return self.fc(torch.flatten(x, 1))  # type: ignore[no-any-return]
