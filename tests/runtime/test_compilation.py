"""The compiler on real networks: how often it compiles, what it keeps, who waits for whom."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.utils import counters

from resnet_repro.data.dataset import Dataset
from resnet_repro.evaluate.single_view import SingleView
from resnet_repro.models import build
from resnet_repro.models.construct import construct
from resnet_repro.paper import artifacts
from resnet_repro.runtime.compilation import compile_blocks, compiling
from resnet_repro.runtime.device import choose, computing
from resnet_repro.sweep.plan import of_photographs
from resnet_repro.train import loop
from resnet_repro.train import trainer as trainer_module
from resnet_repro.train.loop import Stopped, Watch, train
from resnet_repro.train.recipe import PROTOCOLS
from resnet_repro.train.trainer import Trainer
from tests.helpers.training_jobs import pixels_of, smoke_job

# The compiler looks at what is no leaf; nothing of ours does.
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")

COMPILED = choose("cpu", "bf16", kernels="off", compile="on")
CHUNKS = dataclasses.replace(PROTOCOLS["smoke"], bn_batch=16)
GRAPHS = 6  # of a CIFAR net with two blocks a stage or more, and as many for tests
needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")


@pytest.fixture(autouse=True)
def _fresh_compiler() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@needs_compiler
@pytest.mark.slow
def test_a_deep_net_is_compiled_as_often_as_a_shallow_one(digits: Dataset) -> None:
    """With the real backend, over steps and tests; a last batch of fewer images among them."""
    for depth in (14, 56):
        with computing(COMPILED):
            trainer = Trainer(f"resnet{depth}-w4", digits, CHUNKS, 0, COMPILED)
            counters.clear()
            for iteration in range(3):
                trainer.step(iteration)
            assert counters["stats"]["unique_graphs"] == GRAPHS
            trainer.test()
            trainer.step(3)
            trainer.test()
            assert counters["stats"]["unique_graphs"] == 2 * GRAPHS


@needs_compiler
@pytest.mark.slow
def test_a_compiled_step_computes_a_plain_one_and_keeps_no_map_in_float32(digits: Dataset) -> None:
    ends = []
    for device in (COMPILED, dataclasses.replace(COMPILED, compile=False)):
        with computing(device):
            trainer = Trainer("resnet14-w4", digits, CHUNKS, 0, device)
            trainer.step(0)
            ends.append((trainer.pop_train_metrics(1)[0], trainer.gradient_norms()))
            kept: Counter[torch.dtype] = Counter()

            def keep(tensor: Tensor, kept: Counter[torch.dtype] = kept) -> Tensor:
                if tensor.numel() >= 32 * 16 * 4 * 4:  # a map of the last stage
                    kept[tensor.dtype] += 1
                return tensor

            with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
                trainer.step(1)
            assert (kept[torch.float32] == 0) is device.compile
            assert kept[torch.bfloat16] > 20
    assert ends[0][0] == pytest.approx(ends[1][0], rel=1e-2)
    assert ends[0][1] == pytest.approx(ends[1][1], rel=0.1)


@pytest.mark.slow
def test_all_imagenet_runs_in_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit on compiled shapes counts those of one run, not of all that came before."""
    networks = {
        arm.network
        for name in artifacts.names()
        for artifact in [artifacts.load(name).artifact]
        if artifact.arms and of_photographs(artifact)
        for arm in artifact.arms
    }
    assert len(networks) >= 8
    monkeypatch.setattr("resnet_repro.runtime.compilation.MOST_SHAPES", 16)
    for network in sorted(n for n in networks if not n.startswith("vgg")):
        with torch.device("meta"):
            model = construct(network, bn_batch=2)
        compile_blocks(model, "eager")
        with computing(COMPILED):
            x = torch.zeros(4, 3, 64, 64, device="meta")
            model.train()(x)
            with torch.no_grad():
                model.eval()(x)


class Sizes(nn.Module):
    """Notes how many images it sees at once."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.seen: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(len(x))
        return self.model(x)  # type: ignore[no-any-return]


def test_a_last_batch_is_filled_up_and_counts_as_what_it_is(digits: Dataset) -> None:
    source = pixels_of(Trainer("resnet8-w4", digits, CHUNKS, 0, choose("cpu", "fp32")))
    model = build("resnet8-w4", in_channels=1).eval()
    found = {}
    for pad in (False, True):
        sizes = Sizes(model)
        view = SingleView(sizes, source, pad=pad)
        found[pad] = view.error()
        assert view.count == len(digits.test)
        assert sizes.seen == [250, 250 if pad else 110]
    assert found[True] == pytest.approx(found[False], rel=1e-6)


def entered(work: Callable[[], contextlib.AbstractContextManager[None]]) -> threading.Event:
    """Set as soon as another thread is inside; it stays there until the event is cleared."""
    inside = threading.Event()

    def run() -> None:
        with work():
            inside.set()

    threading.Thread(target=run, daemon=True).start()
    return inside


def test_one_process_compiles_first_and_the_others_then_go_on_together(tmp_path: Path) -> None:
    with compiling(tmp_path):
        later = entered(lambda: compiling(tmp_path))
        assert not later.wait(0.3)
    assert later.wait(20)
    waited = threading.Event()

    @contextlib.contextmanager
    def slow() -> Iterator[None]:
        with compiling(tmp_path):
            waited.wait(20)
            yield

    with compiling(tmp_path):
        entered(slow)
    # That one waits inside, but does not hold what others wait for.
    with compiling(tmp_path):
        pass
    waited.set()


def test_who_waits_for_the_compiler_can_be_stopped(tmp_path: Path) -> None:
    with compiling(tmp_path), compiling(tmp_path, stop=lambda: True):
        pass
    with compiling(tmp_path):  # and released nothing that was not its own
        assert not entered(lambda: compiling(tmp_path)).wait(0.3)


def test_the_first_step_and_the_first_test_are_those_that_compile(
    tmp_path: Path, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer_module, "compile_blocks", lambda model: None)
    folders: list[Path] = []

    @contextlib.contextmanager
    def noted(folder: Path, stop: Callable[[], bool]) -> Iterator[None]:
        folders.append(folder)
        yield

    monkeypatch.setattr(loop, "compiling", noted)
    for compile in (False, True):
        job = smoke_job(tmp_path / str(compile), digits, "plain8-w4")
        device = choose("cpu", "fp32", kernels="off", compile="on" if compile else "off")
        job = dataclasses.replace(job, device=device)
        stops = [False] * 5 + [True]
        with pytest.raises(Stopped):
            train(job, digits, Watch(stop=lambda stops=stops: stops.pop(0)))  # type: ignore[misc]
        train(job, digits, Watch())
        # Before the stop at iteration 6, and after it.
        assert folders == ([job.cache] * 4 if compile else [])
