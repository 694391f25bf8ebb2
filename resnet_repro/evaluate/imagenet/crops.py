"""The ways an ImageNet network looks at a picture: centre crop, ten crops, all of it (3.4).

Everywhere the scores that are averaged are softmax probabilities; sums of logits, which some
code averages instead, rank other classes first now and then.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from resnet_repro.data.imagefolder.decode import resize_shorter, scaled_size, to_tensor
from resnet_repro.errors import UserError

CROPS = ("center", "10", "dense")
PAPER_CROP = 224
TEST_SIZE = 256  # shorter side for crops, at a crop of 224
DENSE_SIZES = (224, 256, 384, 480, 640)  # shorter sides of the fully-convolutional test (3.4)
STRIDE = 32  # pixels of the picture to one of the last map


@dataclass(frozen=True)
class Views:
    """What is looked at of each picture; the scores of all views are averaged.

    crops: `center`, `10` (corners, centre and their mirror images) or `dense` (everywhere, and
    the mirror image). sizes: the shorter sides, in pixels, the picture is scaled to. crop: the
    side of a crop, and of the window the dense form moves over the picture.
    """

    crops: str
    sizes: tuple[int, ...]
    crop: int

    def __post_init__(self) -> None:
        if self.crops not in CROPS:
            raise UserError(f"unknown crops '{self.crops}': give one of {', '.join(CROPS)}")
        if self.crop < 1:
            raise UserError(f"crop {self.crop}: give at least 1 pixel")
        if not self.sizes or len(set(self.sizes)) < len(self.sizes):
            raise UserError("sizes: give at least one shorter side, each once")
        if min(self.sizes) < self.crop:
            raise UserError(
                f"shorter side {min(self.sizes)} is below the crop of {self.crop}: "
                f"give sizes of at least {self.crop}"
            )

    @property
    def pictures(self) -> int:
        """How many pictures are cut from an image, mirror images of the dense form apart."""
        return len(self.sizes) * (10 if self.crops == "10" else 1)


def views_for(crops: str, crop: int = PAPER_CROP) -> Views:
    """The paper's sizes for these crops, scaled by crop / 224 (3.4; Tables 3 and 4)."""
    sizes = DENSE_SIZES if crops == "dense" else (TEST_SIZE,)
    return Views(crops, tuple(scaled_size(size, crop) for size in sizes), crop)


def cut(image: Image.Image, views: Views) -> list[Tensor]:
    """The pictures of an image: for each size, uint8 (M, 3, H, W), M as the crops have it."""
    resized = (to_tensor(resize_shorter(image, size)) for size in views.sizes)
    if views.crops == "center":
        return [center_crop(picture, views.crop)[None] for picture in resized]
    if views.crops == "10":
        return [ten_crop(picture, views.crop) for picture in resized]
    return [picture[None] for picture in resized]


def center_crop(picture: Tensor, crop: int) -> Tensor:
    """(3, H, W) -> the (3, crop, crop) in its middle, where torchvision's CenterCrop has it."""
    top, left = (round((side - crop) / 2) for side in picture.shape[1:])
    return picture[:, top : top + crop, left : left + crop]


def ten_crop(picture: Tensor, crop: int) -> Tensor:
    """(3, H, W) -> (10, 3, crop, crop): four corners and centre, then the same of the mirror image.

    In the order of torchvision's TenCrop; the 10-crop test of 3.4 and of Table 3.
    """
    first, last = slice(crop), slice(-crop, None)

    def five(image: Tensor) -> list[Tensor]:
        corners = [image[:, rows, columns] for rows in (first, last) for columns in (first, last)]
        return [*corners, center_crop(image, crop)]

    return torch.stack(five(picture) + five(picture.flip(-1)))


def crop_scores(model: nn.Module, x: Tensor) -> Tensor:
    """(N, 3, crop, crop) -> the softmax of the network's logits, (N, classes) float32."""
    logits: Tensor = model(x)
    return logits.float().softmax(1)


def dense_scores(model: nn.Module, x: Tensor, crop: int) -> Tensor:
    """(N, 3, H, W) -> softmax at every position of the dense form, averaged: (N, classes)."""
    return dense_logits(model, x, crop).float().softmax(2).mean(1)


def dense_logits(model: nn.Module, x: Tensor, crop: int) -> Tensor:
    """The network as a fully-convolutional one (3.4): (N, 3, H, W) -> (N, positions, classes).

    The global pooling becomes one over windows of the size that a crop's map has (7x7 for 224),
    with stride 1, and the classifier is applied at each position. A picture of crop x crop has
    one position, with the logits of the ordinary forward pass. Pictures must be no smaller.
    """
    if isinstance(head := getattr(model, "fc", None), nn.Linear):
        window = -(-crop // STRIDE)
        means = F.avg_pool2d(_last_map(model, x), window, stride=1)
        positions: Tensor = head(means.flatten(2).transpose(1, 2))
        return positions
    return _vgg_logits(model, x, crop)


def _last_map(model: nn.Module, x: Tensor) -> Tensor:
    """The last stage's output of one of our residual or plain nets, or of torchvision's ResNet."""
    features = getattr(model, "features", None)
    if features is not None:
        own: Tensor = features(x)
        return own
    for name, module in model.named_children():
        if name in ("avgpool", "fc"):
            break
        x = module(x)
    return x


def _vgg_logits(model: nn.Module, x: Tensor, crop: int) -> Tensor:
    """The same for VGG, whose classifier reads the whole of a window and not its mean."""
    maps: Tensor = model.get_submodule("features")(x)
    window = crop // STRIDE  # its pooling rounds down
    windows = F.unfold(maps, window).transpose(1, 2)
    pooled = model.get_submodule("avgpool")(windows.reshape(-1, maps.shape[1], window, window))
    logits: Tensor = model.get_submodule("classifier")(pooled.flatten(1))
    return logits.reshape(*windows.shape[:2], -1)
