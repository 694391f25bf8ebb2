"""The signal's path, against the same sums written plainly."""

from __future__ import annotations

import pytest
import torch

from resnet_repro.errors import UserError
from resnet_repro.evaluate.probes.deepening import deepen
from resnet_repro.evaluate.probes.shortcut_signal import BlockSignal, by_stage, signal_path
from resnet_repro.models.blocks import BasicBlock
from resnet_repro.notebook.training import train_on_digits

pytestmark = pytest.mark.usefixtures("_one_thread")


def rms(x: torch.Tensor) -> float:
    return float(x.double().square().mean().sqrt())


@pytest.mark.parametrize("network", ["resnet14-w8", "resnet14-B-w8", "resnet14-C-w8"])
def test_it_equals_the_sums_written_plainly(network: str) -> None:
    trained = train_on_digits(network, iterations=4)
    model, source = trained.model, trained.trainer.source
    found = signal_path(model, source.test_batches())
    x = torch.cat([images for images, _ in source.test_batches()])
    with torch.no_grad():
        y = model.relu(model.bn1(model.conv1(x)))  # type: ignore[operator]
        for signal in found:
            block = model.get_submodule(signal.name)
            assert isinstance(block, BasicBlock)
            carried = y if block.downsample is None else block.downsample(y)
            residual = block.bn2(block.conv2(torch.relu(block.bn1(block.conv1(y)))))
            y = torch.relu(residual + carried)
            cosine = torch.cosine_similarity(carried.flatten(), y.flatten(), 0)
            assert signal.shortcut == pytest.approx(rms(carried), rel=1e-4)
            assert signal.residual == pytest.approx(rms(residual), rel=1e-4)
            assert signal.kept == pytest.approx(float(cosine), rel=1e-4)
            energy = rms(carried) ** 2 + rms(residual) ** 2
            assert signal.share == pytest.approx(rms(carried) ** 2 / energy, rel=1e-4)
    assert [s.name for s in found] == [f"layer{s}.{b}" for s in (1, 2, 3) for b in (0, 1)]


def test_a_plain_net_has_no_shortcut_and_nothing_to_compare_where_shapes_change() -> None:
    trained = train_on_digits("plain14-w8", iterations=4)
    found = signal_path(trained.model, trained.trainer.source.test_batches())
    assert all(s.shortcut == 0 and s.share == 0 and s.residual > 0 for s in found)
    assert [s.kept is None for s in found] == [False, False, True, False, True, False]


@pytest.mark.parametrize("network", ["resnet8-w8", "plain8-w8"])
def test_an_identity_keeps_all(network: str) -> None:
    trained = train_on_digits(network, iterations=4)
    deeper = deepen(trained.model, {"layer1": [0]}).train()
    identity = signal_path(deeper, trained.trainer.source.test_batches())[1]
    assert deeper.training
    assert identity.name == "layer1.1"
    assert identity.kept == pytest.approx(1)
    assert identity.share == (1 if network.startswith("resnet") else 0)


def test_silence_has_no_share_and_leaves_no_hook() -> None:
    assert BlockSignal("layer1.0", 0.0, 0.0, None).share == 0.0
    trained = train_on_digits("resnet8-w4", iterations=2)
    batches = trained.trainer.source.test_batches()
    before = [len(m._forward_hooks) for m in trained.model.modules()]
    signal_path(trained.model, batches)
    with pytest.raises(UserError, match="an iterator only once"):
        signal_path(trained.model, batches)
    assert [len(m._forward_hooks) for m in trained.model.modules()] == before


def test_blocks_go_to_their_stages_in_order() -> None:
    blocks = [BlockSignal(name, 1, 1, None) for name in ("layer1.0", "layer1.1", "layer2.0")]
    assert by_stage(blocks) == {"layer1": blocks[:2], "layer2": blocks[2:]}
