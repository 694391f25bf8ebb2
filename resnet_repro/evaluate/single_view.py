"""The single-view test of sections 4.1 and 4.2, and batch normalisation's statistics for it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resnet_repro.data.in_memory import InMemoryLoader
from resnet_repro.data.source import Source
from resnet_repro.models.batch_norm import ghost_layers

GRAPH_BATCH = 1000  # where a graph replays it, larger batches cost no memory to speak of

Capture = Callable[[Callable[[], None], Iterable[Tensor]], Callable[[], None]]
Total = Callable[[Tensor], Tensor]  # the sum over all processes that share the test images


class SingleView:
    """Tests a network on the whole test set, again and again as it is trained.

    `total` adds up what several processes found on their parts of the set. `pad` fills the last
    batch up to the size of those before it, so that a compiled model sees one shape.
    """

    def __init__(
        self,
        model: nn.Module,
        source: Source,
        total: Total = lambda tensor: tensor,
        *,
        pad: bool = False,
    ) -> None:
        self.model, self.source, self.total, self.pad = model, source, total, pad
        self.largest = 0  # batch that has been seen
        device = source.device
        real = torch.float64 if device.type == "cpu" else torch.float32
        self.loss = torch.zeros((), dtype=real, device=device)
        self.wrong = torch.zeros((), dtype=torch.int64, device=device)
        self.count = torch.zeros((), dtype=torch.int64, device=device)

    @torch.no_grad()
    def error(self) -> tuple[float, float]:
        """Mean cross-entropy in nats and top-1 error in % over the test images.

        Leaves the model in the mode it found it in.
        """
        was_training = self.model.training
        self.model.eval()
        for tensor in (self.loss, self.wrong, self.count):
            tensor.zero_()
        self.add_all()
        self.model.train(was_training)
        loss, wrong, count = (self.total(t).item() for t in (self.loss, self.wrong, self.count))
        return loss / count, 100.0 * wrong / count

    def add_all(self) -> None:
        """Add up loss, wrong answers and images over the whole set."""
        for x, labels in self.source.test_batches():
            self.add(x, labels)

    def add(self, x: Tensor, labels: Tensor) -> None:
        logits = self._logits(x).float()
        self.loss += F.cross_entropy(logits, labels, reduction="sum")
        self.wrong += (logits.argmax(1) != labels).sum()
        self.count += len(labels)

    def _logits(self, x: Tensor) -> Tensor:
        images, self.largest = len(x), max(self.largest, len(x))
        if self.pad and images < self.largest:
            # What an image gives does not depend on the others of its batch.
            filler = x[:1].expand(self.largest - images, *x.shape[1:])
            x = torch.cat([x, filler]).contiguous(memory_format=torch.channels_last)
        return self.model(x)[:images]  # type: ignore[no-any-return]


class CapturedView(SingleView):
    """The same with each batch's work recorded once and replayed.

    `capture(work, state)` records a batch's work on the device and returns what replays it;
    every batch is then as large, the rest of the set is computed without it.
    """

    def __init__(
        self,
        model: nn.Module,
        pixels: InMemoryLoader,
        capture: Capture,
        batch: int = GRAPH_BATCH,
        *,
        pad: bool = False,
    ) -> None:
        super().__init__(model, pixels, pad=pad)
        self.pixels, self.capture, self.batch = pixels, capture, batch
        self.start = torch.zeros((), dtype=torch.int64, device=pixels.device)
        self.within = torch.arange(batch, device=pixels.device)
        self._replay: Callable[[], None] | None = None

    def add_all(self) -> None:
        images = len(self.pixels.test_labels)
        for start in range(0, images, self.batch):
            self.start.fill_(start)
            if start + self.batch > images:
                self._add(self.within[: images - start] + start)
                continue
            if self._replay is None:
                self._replay = self.capture(self._add_batch, (self.loss, self.wrong, self.count))
            self._replay()

    def _add_batch(self) -> None:
        self._add(self.within + self.start)

    def _add(self, index: Tensor) -> None:
        self.add(*self.pixels.test_images_at(index))


def single_view_error(model: nn.Module, source: Source) -> tuple[float, float]:
    """Mean cross-entropy in nats and top-1 error in % over the test images."""
    return SingleView(model, source).error()


@torch.no_grad()
def averaged_statistics(
    model: nn.Module, batches: Iterable[Tensor], total: Total = lambda tensor: tensor
) -> list[Tensor]:
    """Means and unbiased variances of the chunks in `batches`, averaged: (2, C) for each BN layer.

    The released networks of the paper were tested with such averages ("not moving average",
    their README says). Chunks are normalised as in training; the moving averages and the mode of
    the model stay as they are. `total` adds up what several processes found on theirs.
    """
    layers = ghost_layers(model)
    was_training = model.training
    for layer in layers:
        # float64: the sum of float32 statistics does not depend on how processes share them.
        layer.sums = layer.weight.new_zeros((2, layer.num_features), dtype=_exact(layer.weight))
        layer.chunks_summed = 0
    model.train()
    try:
        for x in batches:
            model(x)
        chunks = total(torch.tensor(layers[0].chunks_summed, device=layers[0].weight.device))
        return [total(layer.sums) / chunks for layer in layers if layer.sums is not None]
    finally:
        for layer in layers:
            layer.sums = None
        model.train(was_training)


@contextlib.contextmanager
def with_statistics(model: nn.Module, statistics: Sequence[Tensor]) -> Iterator[None]:
    """`averaged_statistics` in the place of the moving averages, which are put back after it."""
    before = [s.clone() for s in moving_statistics(model)]
    set_statistics(model, statistics)
    try:
        yield
    finally:
        set_statistics(model, before)


def moving_statistics(model: nn.Module) -> list[Tensor]:
    """The moving means and variances, (2, C) for each BN layer."""
    return [
        torch.stack([layer.running_mean, layer.running_var])
        for layer in ghost_layers(model)
        if layer.running_mean is not None and layer.running_var is not None
    ]


@torch.no_grad()
def set_statistics(model: nn.Module, statistics: Sequence[Tensor]) -> None:
    """Take over a (2, C) of means and variances for each BN layer, for every later test."""
    layers = ghost_layers(model)
    for layer, (mean, variance) in zip(layers, statistics, strict=True):
        assert layer.running_mean is not None
        assert layer.running_var is not None
        layer.running_mean.copy_(mean)
        layer.running_var.copy_(variance)


def _exact(weight: Tensor) -> torch.dtype:
    return torch.float32 if weight.device.type == "mps" else torch.float64  # MPS has no float64
