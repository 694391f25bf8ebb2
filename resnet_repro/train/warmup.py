"""The warm-up of section 4.2, decided on the device so that no step waits for the host."""

from __future__ import annotations

import torch
from torch import Tensor

from resnet_repro.train.recipe import Recipe


class Warmup:
    """A lower rate until the mean training error of the last batches is low enough (section 4.2).

    The paper: "we use 0.01 to warm up the training until the training error is below 80% (about
    400 iterations), and then go back to 0.1". Here the error is the mean over the last
    `warmup_window` batches; `warmup_iterations` ends it after that many instead. All state is in
    tensors: `window` (warmup_window,) with the wrong images of each batch, `cold` (the low rate
    still holds) and `ended` (the first iteration at the full rate).
    """

    def __init__(self, recipe: Recipe, device: torch.device, real: torch.dtype) -> None:
        def whole(*shape: int) -> Tensor:
            return torch.zeros(shape, dtype=torch.int64, device=device)

        self.window, self.ended = whole(recipe.warmup_window), whole()
        self.cold = torch.ones((), dtype=torch.bool, device=device)
        self.low = torch.tensor(recipe.warmup_lr, dtype=real, device=device)
        # Wrong images in a full window below which its mean error is below warmup_error %.
        self.length = recipe.warmup_iterations
        self.limit = recipe.warmup_error / 100 * recipe.batch_size * recipe.warmup_window

    def rate(self, scheduled: Tensor) -> Tensor:
        """The rate of the coming update; `scheduled` is the full rate's, of shape ()."""
        return torch.where(self.cold, self.low, scheduled)

    def note(self, iteration: Tensor, wrong: Tensor) -> None:
        """Take in batch `iteration` (the first is 0) with `wrong` images; both of shape ()."""
        size = len(self.window)
        self.window.index_copy_(0, (iteration % size).view(1), wrong.view(1))
        if self.length:
            reached = iteration + 1 >= self.length
        else:
            reached = (iteration + 1 >= size) & (self.window.sum() < self.limit)
        ends = self.cold & reached
        self.ended.copy_(torch.where(ends, iteration + 1, self.ended))
        self.cold.logical_and_(~ends)

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint must hold."""
        return {"window": self.window, "ended": self.ended, "cold": self.cold}
