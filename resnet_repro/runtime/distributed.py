"""Several processes that train one network together, as torchrun starts them."""

from __future__ import annotations

import contextlib
import datetime
import gc
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.rendezvous import rendezvous

from resnet_repro.environment import from_environment
from resnet_repro.errors import UserError

T = TypeVar("T")

MEETING = datetime.timedelta(minutes=5)  # to wait for the other processes at the start
STEP_VARIABLE = "RESNET_REPRO_STEP_SECONDS"
STEP_SECONDS = 600  # to wait for them in a step: twice what a process waits for its own images
PATIENCE = datetime.timedelta(days=1)  # to wait for the first process to have read the data


class Lost(UserError):
    """Another process of the run is gone."""


@dataclass(frozen=True)
class World:
    """This process's number and how many there are; alone, everything here does nothing."""

    rank: int = 0
    size: int = 1
    agent: int | None = None  # the process that started this one, torchrun's

    @property
    def orphaned(self) -> bool:
        """Whether the process that started this one, and would end it with the others, is gone."""
        return self.agent is not None and os.getppid() != self.agent

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and shows."""
        return self.rank == 0

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum of every process's tensor; itself unchanged."""
        if self.size == 1:
            return tensor
        total = tensor.clone()
        dist.all_reduce(total)
        return total

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """Each flag, raised if any process raised it. Travels between hosts, not devices."""
        if self.size == 1:
            return flags
        raised = torch.tensor(flags, dtype=torch.uint8)
        dist.all_reduce(raised, dist.ReduceOp.MAX)
        return tuple(bool(flag) for flag in raised.tolist())

    def on_main_process(self, work: Callable[[], T]) -> T:
        """What `work` returns, or the UserError it raises, called by the first process alone.

        The others wait for it, however long it takes.
        """
        if self.size == 1:
            return work()
        box: list[T | None] = [None]
        failure: list[UserError | None] = [None]
        if self.first:
            try:
                box[0] = work()
            except UserError as error:
                failure[0] = error
        patient = dist.new_group(backend="gloo", timeout=PATIENCE)
        assert isinstance(patient, dist.ProcessGroup)
        dist.broadcast_object_list(box, src=0, group=patient)
        dist.broadcast_object_list(failure, src=0, group=patient)
        dist.destroy_process_group(patient)
        if failure[0] is not None:
            failure[0].told = not self.first
            raise failure[0]
        return cast(T, box[0])


SINGLE_PROCESS = World()


@contextlib.contextmanager
def init_distributed(device: str, meeting: datetime.timedelta | None = None) -> Iterator[World]:
    """Meet the processes that torchrun has started with this one; alone without torchrun.

    On CUDA each process takes the device of its number on its machine. Raises UserError when the
    others cannot be reached within `meeting` (MEETING unless given) and for devices of another
    kind, and Lost when one of them ends before the run does, or keeps the others waiting in a step
    for longer than $RESNET_REPRO_STEP_SECONDS (STEP_SECONDS unless set).
    """
    agent = os.getppid()
    size = from_environment("WORLD_SIZE", 1)
    if size == 1 or not os.environ.get("RANK"):
        yield SINGLE_PROCESS
        return
    rank, local = from_environment("RANK", 0), from_environment("LOCAL_RANK", 0)
    step = datetime.timedelta(seconds=from_environment(STEP_VARIABLE, STEP_SECONDS))
    cuda = device in ("auto", "cuda") and torch.cuda.is_available()
    if device == "mps":
        refusal = UserError(
            "several processes compute on CUDA devices or on CPUs: give --device cuda or cpu"
        )
        refusal.told = rank > 0  # the first says it
        raise refusal
    if cuda:
        if local >= torch.cuda.device_count():
            raise UserError(
                f"process {local} of this machine has no CUDA device: start "
                f"{torch.cuda.device_count()} with torchrun --nproc-per-node"
            )
        torch.cuda.set_device(local)
    try:
        store, rank, size = next(rendezvous("env://", timeout=meeting or MEETING))
        store.set_timeout(step)
        # Flags travel between hosts by gloo, so that no step waits for a device.
        backend = "cpu:gloo,cuda:nccl" if cuda else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=step)
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"process {rank} of {size} cannot reach the others at "
            f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}: start all of them "
            f"with the same torchrun arguments, and let machines reach that port"
        ) from error
    try:
        yield World(rank, size, agent)
    except RuntimeError as error:
        if not _of_the_network(error):
            raise
        why = str(error).strip().partition("\n")[0]
        raise Lost(
            f"process {rank} of {size}: another process of this run is gone; start the same "
            f"command again, and it goes on from the last checkpoint ({why})"
        ) from error
    # After an error the group is left as it is: to take it down would wait for the others. What a
    # run leaves in cycles holds the group, and its threads must not outlive the interpreter.
    gc.collect()
    dist.destroy_process_group()


def _of_the_network(error: RuntimeError) -> bool:
    """Whether an error says that another process cannot be reached any more."""
    text = str(error).lower()
    return isinstance(error, dist.DistError) or any(
        word in text for word in ("gloo", "connection", "nccl")
    )


class RunningStatistics:
    """BN's moving averages, kept as one process would have kept them.

    A process that sees `chunks` chunks of n in a row turns a moving average R into
    a R + b, with a = (1 - momentum)^chunks. The processes start a step from the same R, and the
    first one's chunks come first; so R becomes a^size R + sum over ranks of a^(size-1-rank) b.
    """

    def __init__(self, model: nn.Module, world: World, chunks: int) -> None:
        norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
        self.averages = [t for m in norms for t in (m.running_mean, m.running_var) if t is not None]
        self.world = world
        self.keep = (1 - (norms[0].momentum or 0.0)) ** chunks if norms else 1.0

    def now(self) -> Tensor:
        """Every moving average behind one another."""
        return torch.cat([t.flatten() for t in self.averages])

    def merge(self, before: Tensor) -> None:
        """Make the averages those of all processes' chunks; `before`: `now` before the step."""
        later = self.world.size - 1 - self.world.rank
        own = (self.now() - self.keep * before) * self.keep**later
        merged = self.keep**self.world.size * before + self.world.sum(own)
        self._set(merged)

    def _set(self, values: Tensor) -> None:
        parts = values.split([t.numel() for t in self.averages])
        for tensor, part in zip(self.averages, parts, strict=True):
            tensor.copy_(part.view_as(tensor))
