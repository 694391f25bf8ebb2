"""The ImageNet networks: torchvision's state dicts both ways, and the paper's own forms."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
import torchvision.models as tv  # type: ignore[import-untyped, unused-ignore]
from torch import Tensor, nn

from resnet_repro.errors import UserError
from resnet_repro.models import build
from resnet_repro.models.batch_norm import GhostBatchNorm2d
from resnet_repro.models.blocks import BasicBlock, Bottleneck
from resnet_repro.models.construct import construct
from resnet_repro.models.imagenet import ResNet
from resnet_repro.models.names import ImageNetName, parse
from tests.conftest import skeleton

pytestmark = pytest.mark.usefixtures("_one_thread")

# Our name of each of torchvision's networks.
SAME = {
    "resnet18": "resnet18-B",
    "resnet34": "resnet34-B",
    "resnet50": "resnet50-v1.5",
    "resnet101": "resnet101-v1.5",
    "resnet152": "resnet152-v1.5",
}


def random_values(model: nn.Module) -> nn.Module:
    """The network on the CPU with random weights and random BN parameters and statistics.

    Filled in here rather than by the constructors, which draw every weight up to twice.
    """
    model = model.to_empty(device="cpu").eval()
    generator = torch.Generator().manual_seed(0)
    for key, value in model.state_dict().items():
        if value.dim() > 1:  # variance 2 / inputs, so that the signal neither dies nor grows
            bound = (6 / value[0].numel()) ** 0.5
            value.uniform_(-bound, bound, generator=generator)
        elif key.endswith("num_batches_tracked"):
            value.fill_(3)
        elif key.endswith(("running_var", "weight")):
            value.uniform_(0.5, 1.5, generator=generator)
        else:
            value.uniform_(-0.1, 0.1, generator=generator)
    return model


def theirs(name: str) -> nn.Module:
    """torchvision's network with random values."""
    with torch.device("meta"):
        model: nn.Module = getattr(tv, name)()
    return random_values(model)


def images() -> Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def projections(model: nn.Module) -> int:
    return sum(
        isinstance(m, nn.Conv2d) and "downsample" in path for path, m in model.named_modules()
    )


class TestTorchvision:
    @pytest.mark.parametrize("name", SAME)
    @torch.no_grad()
    def test_state_dicts_load_both_ways_and_mean_the_same(self, name: str) -> None:
        reference = theirs(name)
        expected = reference(images())
        assert expected.isfinite().all()
        assert expected.std() > 0
        ours = skeleton(SAME[name]).to_empty(device="cpu").eval()
        ours.load_state_dict(reference.state_dict(), strict=True)
        torch.testing.assert_close(ours(images()), expected)

        for parameter in ours.parameters():  # others than came in
            parameter.mul_(0.9)
        reference.load_state_dict(ours.state_dict(), strict=True)
        back = reference(images())
        assert not torch.equal(back, expected)
        torch.testing.assert_close(back, ours(images()))

    @pytest.mark.parametrize("name", SAME)
    def test_same_parameters_in_the_same_order(self, name: str) -> None:
        with torch.device("meta"):
            reference = getattr(tv, name)()
        ours = skeleton(SAME[name])
        assert count(ours) == count(reference)
        assert list(ours.state_dict()) == list(reference.state_dict())
        assert count(skeleton(SAME[name].replace("-v1.5", ""))) == count(reference)

    @torch.no_grad()
    def test_the_papers_bottleneck_is_another_network(self) -> None:
        """Its state dict fits torchvision's, and means something else there."""
        reference = theirs("resnet50")
        ours = skeleton("resnet50").to_empty(device="cpu").eval()
        ours.load_state_dict(reference.state_dict(), strict=True)
        assert not torch.allclose(ours(images()), reference(images()), rtol=1e-2)

    @pytest.mark.parametrize("name", ["vgg16", "vgg19"])
    def test_vgg_is_torchvisions(self, name: str) -> None:
        with torch.device("meta"):
            reference = getattr(tv, name)()
        ours = skeleton(name)
        assert {k: v.shape for k, v in ours.state_dict().items()} == {
            k: v.shape for k, v in reference.state_dict().items()
        }
        assert not any(isinstance(m, nn.BatchNorm2d) for m in ours.modules())


class TestForms:
    @pytest.mark.parametrize(
        ("name", "kernels"),
        [
            ("plain18", (1, 16, 0)),
            ("plain34", (1, 32, 0)),
            ("resnet34-A", (1, 32, 0)),
            ("resnet50", (1, 16, 32)),
            ("resnet101", (1, 33, 66)),
            ("resnet152", (1, 50, 100)),
            ("resnet152-v1.5", (1, 50, 100)),
        ],
    )
    def test_layers_by_kernel(self, name: str, kernels: tuple[int, int, int]) -> None:
        """7x7, 3x3 and 1x1 convolutions of the main path; with the linear layer, the depth."""
        sizes = [
            m.kernel_size
            for path, m in skeleton(name).named_modules()
            if isinstance(m, nn.Conv2d) and "downsample" not in path
        ]
        assert tuple(sizes.count((k, k)) for k in (7, 3, 1)) == kernels
        assert sum(kernels) + 1 == parse(name).depth

    @pytest.mark.parametrize(
        ("name", "number"),
        [
            ("plain34", 0),
            ("resnet34-A", 0),
            ("resnet34-B", 3),
            ("resnet34-C", 3 + 13),  # section 4.1: "thirteen extra shortcuts are by projection"
            ("resnet18-B", 3),
            ("resnet18-C", 8),
            ("resnet50", 4),
            ("resnet152", 4),
        ],
    )
    def test_projections(self, name: str, number: int) -> None:
        assert projections(skeleton(name)) == number

    @pytest.mark.parametrize("depth", [18, 34])
    def test_plain_and_option_a_have_the_same_parameters(self, depth: int) -> None:
        plain, residual = skeleton(f"plain{depth}"), skeleton(f"resnet{depth}-A")
        assert list(plain.state_dict()) == list(residual.state_dict())
        assert count(plain) == count(residual) < count(skeleton(f"resnet{depth}-B"))

    @pytest.mark.parametrize(("name", "first"), [("resnet50", True), ("resnet50-v1.5", False)])
    def test_where_the_stride_is(self, name: str, first: bool) -> None:
        model = skeleton(name)
        for stage in ("layer2", "layer3", "layer4"):
            block = model.get_submodule(f"{stage}.0")
            assert isinstance(block, Bottleneck)
            strides = (block.conv1.stride[0], block.conv2.stride[0], block.conv3.stride[0])
            assert strides == ((2, 1, 1) if first else (1, 2, 1))
        for path in ("layer1.0", "layer2.1"):
            block = model.get_submodule(path)
            assert isinstance(block, Bottleneck)
            assert block.conv1.stride == block.conv2.stride == (1, 1)

    @pytest.mark.parametrize("stride_in_3x3", [False, True])
    @pytest.mark.parametrize("stride", [1, 2])
    @torch.no_grad()
    def test_bottleneck_by_hand(self, stride: int, stride_in_3x3: bool) -> None:
        torch.manual_seed(0)
        block = Bottleneck(8, 2, stride, "B", nn.BatchNorm2d, stride_in_3x3=stride_in_3x3)
        for norm in (block.bn1, block.bn2, block.bn3):
            nn.init.normal_(norm.weight)
            nn.init.normal_(norm.bias)

        def normalise(x: Tensor, norm: nn.BatchNorm2d) -> Tensor:
            return F.batch_norm(x, None, None, norm.weight, norm.bias, training=True)

        first, second = (1, stride) if stride_in_3x3 else (stride, 1)
        x = torch.randn(4, 8, 6, 6)
        out = normalise(F.conv2d(x, block.conv1.weight, stride=first), block.bn1).relu()
        out = F.conv2d(out, block.conv2.weight, stride=second, padding=1)
        out = normalise(out, block.bn2).relu()
        out = normalise(F.conv2d(out, block.conv3.weight), block.bn3)
        identity = x
        if stride == 2:
            assert isinstance(block.downsample, nn.Sequential)
            projection = block.downsample[0]
            assert isinstance(projection, nn.Conv2d)
            norm = nn.BatchNorm2d(8)
            identity = normalise(F.conv2d(x, projection.weight, stride=2), norm)
        else:
            assert block.downsample is None
        expected = (out + identity).relu()
        assert expected.shape == (4, 8, 6 // stride, 6 // stride)
        torch.testing.assert_close(block(x), expected)

    def test_a_plain_block_adds_nothing(self) -> None:
        for name, expected in (("plain18", 0.0), ("resnet18-A", 1.0)):
            block = construct(name).get_submodule("layer1.0")
            assert isinstance(block, BasicBlock)
            nn.init.zeros_(block.bn2.weight)
            out = block.eval()(torch.ones(1, 64, 4, 4))
            assert torch.equal(out, torch.full((1, 64, 4, 4), expected)), name

    @pytest.mark.parametrize("name", ["plain18", "resnet18-A", "resnet18-C", "resnet50"])
    @torch.no_grad()
    def test_classes_and_sizes(self, name: str) -> None:
        with torch.device("meta"):
            model = construct(name, num_classes=7, in_channels=1)
        model = random_values(model)
        assert isinstance(model, ResNet)
        x = torch.randn(2, 1, 64, 96)
        assert model(x).shape == (2, 7)
        features = model.features(x)
        assert features.shape == (2, 2048 if name == "resnet50" else 512, 2, 3)
        # The logits of the fully-convolutional form, averaged over the map.
        logits = model.fc(features.flatten(2).transpose(1, 2)).mean(1)
        torch.testing.assert_close(logits, model(x), rtol=1e-4, atol=1e-5)

    def test_build_draws_every_weight(self) -> None:
        one, again = build("resnet18-B"), build("resnet18-B")
        other = build("resnet18-B", seed=1)
        assert one.get_submodule("fc").weight.shape == (1000, 512)
        drawn = [key for key, value in one.state_dict().items() if value.dim() > 1]
        assert len(drawn) == 18 + 3
        for key in drawn:
            assert torch.equal(one.state_dict()[key], again.state_dict()[key]), key
            assert not torch.equal(one.state_dict()[key], other.state_dict()[key]), key
        conv1 = one.get_submodule("conv1").weight
        assert isinstance(conv1, Tensor)
        assert abs(conv1.std().item() / (2 / (49 * 64)) ** 0.5 - 1) < 5 / (2 * conv1.numel()) ** 0.5

    def test_bn_batch(self) -> None:
        with torch.device("meta"):
            model = construct("resnet50", bn_batch=32)
        norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
        assert len(norms) == 49 + 4
        assert all(isinstance(norm, GhostBatchNorm2d) for norm in norms)

    def test_no_plain_bottlenecks(self) -> None:
        with pytest.raises(ValueError, match="no plain net of 50"):
            ResNet(50, "none", 3, 10, nn.BatchNorm2d)
        with pytest.raises(ValueError, match="needs a shortcut"):
            Bottleneck(4, 1, 1, "none", nn.BatchNorm2d)
        with pytest.raises(ValueError, match="depth 20 is none of 18, 34"):
            ResNet(20, "A", 3, 10, nn.BatchNorm2d)


class TestNames:
    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("plain18", ImageNetName("plain", 18, "none")),
            ("plain34", ImageNetName("plain", 34, "none")),
            ("resnet18-A", ImageNetName("resnet", 18, "A")),
            ("resnet34-B", ImageNetName("resnet", 34, "B")),
            ("resnet34-C", ImageNetName("resnet", 34, "C")),
            ("resnet50", ImageNetName("resnet", 50, "B")),
            ("resnet101-v1.5", ImageNetName("resnet", 101, "B", stride_in_3x3=True)),
            ("resnet152", ImageNetName("resnet", 152, "B")),
            ("vgg19", ImageNetName("vgg", 19, "none")),
        ],
    )
    def test_read(self, name: str, expected: ImageNetName) -> None:
        assert parse(name) == expected
        assert expected.plain != name.startswith("resnet")

    @pytest.mark.parametrize(
        ("name", "says"),
        [
            ("resnet18", "resnet18-A, resnet18-B, resnet18-C"),
            ("resnet34", "resnet34-A, resnet34-B, resnet34-C"),
            ("resnet18-v1.5", "resnet18-A, resnet18-B, resnet18-C"),
            ("plain34-A", "write plain34"),
            ("plain18-v1.5", "write plain18"),
            ("plain50", "plain18, plain34"),
            ("plain152-B", "plain18, plain34"),
            ("resnet50-A", "write resnet50"),
            ("resnet50-B", "write resnet50"),  # it has a name already
            ("resnet101-C", "write resnet101"),
            ("resnet34-B-v1.5", "unknown network"),
            ("resnet50-v1", "unknown network"),
            ("resnet50-v1x5", "unknown network"),
            ("resnet36", "resnet32 and resnet38"),
            ("vgg11", "unknown network"),
            ("vgg16-B", "unknown network"),
        ],
    )
    def test_what_is_no_name(self, name: str, says: str) -> None:
        for read in (parse, build):
            with pytest.raises(UserError) as error:
                read(name)
            assert says in str(error.value)
            assert "\n" not in str(error.value)

    @pytest.mark.parametrize("change", [{"in_channels": 1}, {"bn_batch": 64}])
    def test_what_vgg_cannot_be(self, change: dict[str, int]) -> None:
        with pytest.raises(UserError, match="3 channels and has no batch normalisation"):
            construct("vgg16", **change)
