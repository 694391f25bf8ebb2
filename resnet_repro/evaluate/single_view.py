"""The single-view test of section 4.2, and batch normalisation's statistics for it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from resnet_repro.data.pixels import Pixels

BATCH = 250


@torch.no_grad()
def single_view_error(model: nn.Module, pixels: Pixels) -> tuple[float, float]:
    """Mean cross-entropy in nats and top-1 error in % over the test images.

    Leaves the model in the mode it found it in.
    """
    was_training = model.training
    model.eval()
    count = len(pixels.test_labels)
    loss = torch.zeros((), dtype=torch.float64 if pixels.device.type == "cpu" else torch.float32)
    loss, wrong = loss.to(pixels.device), torch.zeros((), dtype=torch.int64, device=pixels.device)
    for start in range(0, count, BATCH):
        x, labels = pixels.test_batch(start, min(start + BATCH, count))
        logits: Tensor = model(x).float()
        loss += F.cross_entropy(logits, labels, reduction="sum")
        wrong += (logits.argmax(1) != labels).sum()
    model.train(was_training)
    return loss.item() / count, 100.0 * wrong.item() / count


def recompute_bn(model: nn.Module, pixels: Pixels) -> None:
    """Set BN's mean and variance to their averages over all training images, not augmented.

    The released ImageNet networks were tested with such statistics; section 4.2 does not say.
    """
    starts = range(0, pixels.count, BATCH)
    update_bn(
        (pixels.plain_train_batch(start, min(start + BATCH, pixels.count)) for start in starts),
        model,
    )
