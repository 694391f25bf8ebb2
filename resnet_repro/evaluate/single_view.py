"""The single-view test of section 4.2, and batch normalisation's statistics for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from resnet_repro.data.pixels import Pixels

BATCH = 250
GRAPH_BATCH = 1000  # where a graph replays it, larger batches cost no memory to speak of

Capture = Callable[[Callable[[], None], Iterable[Tensor]], Callable[[], None]]


class SingleView:
    """Tests a network on the whole test set, again and again as it is trained.

    `capture(work, state)`, if given, records a batch's work on the device and returns what
    replays it; every batch is then as large, the rest of the set is computed without it.
    """

    def __init__(self, model: nn.Module, pixels: Pixels, capture: Capture | None = None) -> None:
        self.model, self.pixels, self.capture = model, pixels, capture
        device = pixels.device
        self.batch = BATCH if capture is None else GRAPH_BATCH
        real = torch.float64 if device.type == "cpu" else torch.float32
        self.loss = torch.zeros((), dtype=real, device=device)
        self.wrong = torch.zeros((), dtype=torch.int64, device=device)
        self.start = torch.zeros((), dtype=torch.int64, device=device)
        self.within = torch.arange(self.batch, device=device)
        self._replay: Callable[[], None] | None = None

    @torch.no_grad()
    def error(self) -> tuple[float, float]:
        """Mean cross-entropy in nats and top-1 error in % over the test images.

        Leaves the model in the mode it found it in.
        """
        was_training = self.model.training
        self.model.eval()
        self.loss.zero_()
        self.wrong.zero_()
        count = len(self.pixels.test_labels)
        for start in range(0, count, self.batch):
            self.start.fill_(start)
            if self.capture is None or start + self.batch > count:
                self._add(self.within[: count - start] + start)
                continue
            if self._replay is None:
                self._replay = self.capture(self._add_batch, (self.loss, self.wrong))
            self._replay()
        self.model.train(was_training)
        return self.loss.item() / count, 100.0 * self.wrong.item() / count

    def _add_batch(self) -> None:
        self._add(self.within + self.start)

    def _add(self, index: Tensor) -> None:
        x, labels = self.pixels.test_images_at(index)
        logits: Tensor = self.model(x).float()
        self.loss += F.cross_entropy(logits, labels, reduction="sum")
        self.wrong += (logits.argmax(1) != labels).sum()


def single_view_error(model: nn.Module, pixels: Pixels) -> tuple[float, float]:
    """Mean cross-entropy in nats and top-1 error in % over the test images."""
    return SingleView(model, pixels).error()


def recompute_bn(model: nn.Module, pixels: Pixels) -> None:
    """Set BN's mean and variance to their averages over all training images, not augmented.

    The released ImageNet networks were tested with such statistics; section 4.2 does not say.
    """
    starts = range(0, pixels.count, BATCH)
    update_bn(
        (pixels.plain_train_batch(start, min(start + BATCH, pixels.count)) for start in starts),
        model,
    )
