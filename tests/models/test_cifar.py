"""The CIFAR networks: blocks and shortcuts, sizes, initialisation, and what a name may say."""

from __future__ import annotations

import copy
import math
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from resnet_repro.errors import UserError
from resnet_repro.models import build
from resnet_repro.models.batch_norm import GhostBatchNorm2d, track_together
from resnet_repro.models.blocks import (
    BasicBlock,
    Shortcut,
    SubsampledConv1x1,
    SubsamplePad,
    conv1x1,
    initialise,
)
from resnet_repro.models.cifar import CifarResNet
from resnet_repro.models.names import CifarName, parse, parse_cifar
from tests.conftest import environment, skeleton

pytestmark = pytest.mark.usefixtures("_one_thread")

# Section 4.2: exact parameter counts with option A, which adds none to the plain net's.
PARAMETERS = {
    20: 269_722,
    32: 464_154,
    44: 658_586,
    56: 853_018,
    110: 1_727_962,
    1202: 19_421_274,
}
B_ADDS = 2_752  # 1x1 projections 16 -> 32 -> 64 with their batch normalisation


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def convolutions(model: nn.Module) -> dict[str, nn.Conv2d]:
    return {path: m for path, m in model.named_modules() if isinstance(m, nn.Conv2d)}


def weighted_layers(model: nn.Module) -> int:
    """Convolutions of the main path and linear layers: what the paper's depths count."""
    main = [path for path in convolutions(model) if "downsample" not in path]
    return len(main) + sum(isinstance(m, nn.Linear) for m in model.modules())


def closed_formula(
    n: int, shortcut: str, width: int, in_channels: int = 3, num_classes: int = 10
) -> int:
    """Parameters of a network of 6n+2 layers, written down without building it."""

    def conv_bn(kernel: int, inputs: int, outputs: int) -> int:
        return kernel * kernel * inputs * outputs + 2 * outputs

    total = conv_bn(3, in_channels, width) + 4 * width * num_classes + num_classes
    for inputs, outputs in ((width, width), (width, 2 * width), (2 * width, 4 * width)):
        total += conv_bn(3, inputs, outputs) + (2 * n - 1) * conv_bn(3, outputs, outputs)
        if shortcut == "C":
            total += conv_bn(1, inputs, outputs) + (n - 1) * conv_bn(1, outputs, outputs)
        elif shortcut == "B" and inputs != outputs:
            total += conv_bn(1, inputs, outputs)
    return total


class TestSizes:
    @pytest.mark.parametrize("kind", ["plain", "resnet"])
    @pytest.mark.parametrize("depth", PARAMETERS)
    def test_exact_parameters_and_layers(self, kind: str, depth: int) -> None:
        model = skeleton(f"{kind}{depth}")
        assert count(model) == PARAMETERS[depth]
        assert weighted_layers(model) == depth

    @pytest.mark.parametrize("depth", PARAMETERS)
    def test_option_b_is_not_option_a(self, depth: int) -> None:
        model = skeleton(f"resnet{depth}-B")
        assert count(model) == PARAMETERS[depth] + B_ADDS
        assert weighted_layers(model) == depth
        projections = [p for p in convolutions(model) if "downsample" in p]
        assert projections == ["layer2.0.downsample.0", "layer3.0.downsample.0"]

    @pytest.mark.parametrize("depth", [20, 110])
    def test_option_c_by_formula(self, depth: int) -> None:
        n = depth // 6
        model = skeleton(f"resnet{depth}-C")
        assert count(model) == closed_formula(n, "C", 16)
        assert sum("downsample" in p for p in convolutions(model)) == 3 * n
        assert weighted_layers(model) == depth

    def test_formula_agrees_with_the_published_counts(self) -> None:
        assert {d: closed_formula(d // 6, "A", 16) for d in PARAMETERS} == PARAMETERS

    def test_resnet110_has_no_bottleneck(self) -> None:
        kernels = [c.kernel_size for c in convolutions(skeleton("resnet110")).values()]
        assert kernels == [(3, 3)] * 109

    @pytest.mark.parametrize("depth", [20, 56])
    def test_option_a_and_plain_have_the_same_parameters_by_name(self, depth: int) -> None:
        residual = skeleton(f"resnet{depth}").state_dict()
        plain = skeleton(f"plain{depth}").state_dict()
        assert {k: v.shape for k, v in residual.items()} == {k: v.shape for k, v in plain.items()}
        assert not any("downsample" in key for key in residual)

    def test_maps_and_channels(self) -> None:
        sizes = {}
        model = build("resnet20").eval()
        for path in ("conv1", "layer1", "layer2", "layer3"):

            def hook(_m: nn.Module, _i: tuple[Tensor, ...], out: Tensor, path: str = path) -> None:
                sizes[path] = tuple(out.shape[1:])

            model.get_submodule(path).register_forward_hook(hook)
        with torch.no_grad():
            model(torch.randn(1, 3, 32, 32))
        assert sizes == {
            "conv1": (16, 32, 32),
            "layer1": (16, 32, 32),
            "layer2": (32, 16, 16),
            "layer3": (64, 8, 8),
        }

    @settings(max_examples=20, deadline=None)
    @given(
        n=st.integers(1, 12),
        shortcut=st.sampled_from(["none", "A", "B", "C"]),
        width=st.integers(1, 8),
        in_channels=st.integers(1, 4),
        num_classes=st.integers(1, 12),
    )
    def test_any_network(
        self, n: int, shortcut: str, width: int, in_channels: int, num_classes: int
    ) -> None:
        kind = f"plain{6 * n + 2}" if shortcut == "none" else f"resnet{6 * n + 2}-{shortcut}"
        model = build(f"{kind}-w{width}", num_classes=num_classes, in_channels=in_channels).eval()
        assert weighted_layers(model) == 6 * n + 2
        assert count(model) == closed_formula(n, shortcut, width, in_channels, num_classes)
        with torch.no_grad():
            logits = model(torch.randn(2, in_channels, 8, 8))
        assert logits.shape == (2, num_classes)
        assert logits.isfinite().all()

    @pytest.mark.parametrize("depth", [0, 2, 7, 9, 18, 34])
    def test_other_depths_are_refused(self, depth: int) -> None:
        with pytest.raises(ValueError, match="6n\\+2"):
            CifarResNet(depth, "A", 16, 3, 10, nn.BatchNorm2d)


def by_hand(block: BasicBlock, x: Tensor, shortcut: Shortcut, stride: int) -> Tensor:
    """Fig. 2 and Fig. 5 (left), written with functions alone: batch statistics, no in-place."""

    def normalise(x: Tensor, norm: nn.BatchNorm2d) -> Tensor:
        mean = x.mean((0, 2, 3), keepdim=True)
        var = ((x - mean) ** 2).mean((0, 2, 3), keepdim=True)
        scale, shift = norm.weight.view(1, -1, 1, 1), norm.bias.view(1, -1, 1, 1)
        return (x - mean) / (var + 1e-5).sqrt() * scale + shift

    out = F.conv2d(x, block.conv1.weight, stride=stride, padding=1)
    out = normalise(out, block.bn1).clamp(min=0)
    out = normalise(F.conv2d(out, block.conv2.weight, padding=1), block.bn2)
    if shortcut == "none":
        return out.clamp(min=0)
    identity = x
    if isinstance(block.downsample, nn.Sequential):
        projection, norm = block.downsample
        assert isinstance(projection, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        identity = normalise(F.conv2d(x, projection.weight, stride=stride), norm)
    elif stride == 2:
        identity = torch.cat([x[:, :, ::2, ::2], torch.zeros_like(x[:, :, ::2, ::2])], 1)
    return (out + identity).clamp(min=0)


class TestBlocks:
    def test_option_a_subsamples_and_pads_zeros_behind(self) -> None:
        x = torch.randn(2, 4, 6, 6)
        out = SubsamplePad(4, 8, 2)(x)
        assert out.shape == (2, 8, 3, 3)
        assert torch.equal(out[:, :4], x[:, :, ::2, ::2])
        assert torch.equal(out[:, 4:], torch.zeros(2, 4, 3, 3))

    @pytest.mark.parametrize("shortcut", ["none", "A", "B", "C"])
    @pytest.mark.parametrize("stride", [1, 2])
    def test_one_step_by_hand(self, shortcut: Shortcut, stride: int) -> None:
        channels = 3 * stride
        block = BasicBlock(3, channels, stride, shortcut, nn.BatchNorm2d).double()
        torch.manual_seed(0)
        for parameter in block.parameters():
            nn.init.normal_(parameter)
        x = torch.randn(4, 3, 6, 6, dtype=torch.float64)
        target = torch.randn(4, channels, 6 // stride, 6 // stride, dtype=torch.float64)

        expected = by_hand(block, x, shortcut, stride)
        parameters = list(block.parameters())
        wanted = torch.autograd.grad(((expected - target) ** 2).sum(), parameters)
        block.train()
        out = block(x.clone())
        got = torch.autograd.grad(((out - target) ** 2).sum(), parameters)

        torch.testing.assert_close(out, expected)
        for theirs, ours in zip(wanted, got, strict=True):
            torch.testing.assert_close(ours, theirs)

    def test_the_block_leaves_its_input_alone(self) -> None:
        x = torch.randn(2, 4, 6, 6)
        before = x.clone()
        BasicBlock(4, 4, 1, "A", nn.BatchNorm2d)(x)
        assert torch.equal(x, before)

    @pytest.mark.parametrize(("shortcut", "kind"), [("A", "resnet20"), ("none", "plain20")])
    def test_a_silent_branch_leaves_the_shortcut(self, shortcut: str, kind: str) -> None:
        block = build(kind).eval().get_submodule("layer1.0")
        assert isinstance(block, BasicBlock)
        nn.init.zeros_(block.bn2.weight)
        x = torch.randn(2, 16, 8, 8)
        expected = torch.zeros_like(x) if shortcut == "none" else x.relu()
        assert torch.equal(block(x), expected)

    def test_option_c_projects_where_option_b_does_not(self) -> None:
        paths = [path for path, _ in skeleton("resnet20-C").named_modules()]
        assert "layer1.0.downsample.0" in paths
        assert "layer3.2.downsample.0" in paths
        assert "layer1.0.downsample.0" not in [p for p, _ in skeleton("resnet20-B").named_modules()]

    def test_no_convolution_has_a_bias(self) -> None:
        assert all(c.bias is None for c in convolutions(skeleton("resnet20-C")).values())


class TestGhostBatchNorm:
    @pytest.mark.parametrize(("batch", "chunk"), [(8, 4), (12, 4), (6, 1), (4, 4), (3, 4)])
    def test_equals_batch_norm_on_each_chunk(self, batch: int, chunk: int) -> None:
        """Outputs, gradients and moving averages are those of a device for each chunk, in turn."""
        torch.manual_seed(0)
        ours = GhostBatchNorm2d(5, chunk, eps=1e-3, momentum=0.3).double()
        plain = nn.BatchNorm2d(5, eps=1e-3, momentum=0.3).double()
        for norm in (ours, plain):
            nn.init.constant_(norm.weight, 1.5)
            nn.init.constant_(norm.bias, -0.5)
        x = torch.randn(batch, 5, 3, 3).double() * torch.arange(1.0, batch + 1).view(-1, 1, 1, 1)
        signal = torch.randn_like(x)
        expected = torch.cat([plain(x[i : i + chunk]) for i in range(0, batch, chunk)])
        out = ours(x)
        torch.testing.assert_close(out, expected, rtol=1e-12, atol=1e-12)
        for key, value in plain.state_dict().items():
            torch.testing.assert_close(ours.state_dict()[key], value, rtol=1e-12, atol=1e-12)
        for made in (out, expected):
            (made * signal).sum().backward()
        for one, other in zip(ours.parameters(), plain.parameters(), strict=True):
            torch.testing.assert_close(one.grad, other.grad, rtol=1e-11, atol=1e-11)

    def test_gradient_of_the_input(self) -> None:
        norm = GhostBatchNorm2d(3, 2).double()
        x = torch.randn(4, 3, 2, 3, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(norm, (x,))

    def test_bf16_maps_have_float32_statistics(self) -> None:
        x = (torch.randn(8, 5, 9, 7) + 100).bfloat16()
        ours, exact = GhostBatchNorm2d(5, 4), GhostBatchNorm2d(5, 4)
        out = ours(x)
        assert out.dtype == torch.bfloat16
        torch.testing.assert_close(out, exact(x.float()).bfloat16())
        ours_state, exact_state = ours.state_dict(), exact.state_dict()
        assert torch.equal(ours_state["running_mean"], exact_state["running_mean"])

    def test_a_copy_of_a_model_keeps_averages_of_its_own(self) -> None:
        model = build("resnet8-w8", bn_batch=2)
        track_together(model)
        other = copy.deepcopy(model)
        before = {k: v.clone() for k, v in model.state_dict().items()}
        other.train()(torch.randn(4, 3, 16, 16))
        assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
        assert not torch.equal(other.state_dict()["bn1.running_mean"], before["bn1.running_mean"])

    def test_a_batch_must_be_whole_chunks(self) -> None:
        with pytest.raises(ValueError, match="9 images is not whole chunks of 4"):
            GhostBatchNorm2d(5, 4)(torch.randn(9, 5, 3, 3))

    def test_differs_from_the_whole_batch(self) -> None:
        x = torch.randn(8, 5, 3, 3) * torch.arange(1.0, 9.0).view(-1, 1, 1, 1)
        assert not torch.allclose(GhostBatchNorm2d(5, 4)(x), nn.BatchNorm2d(5)(x), atol=1e-2)

    def test_is_batch_norm_at_test_time(self) -> None:
        ours, plain = GhostBatchNorm2d(5, 2), nn.BatchNorm2d(5)
        ours(torch.randn(4, 5, 3, 3))
        plain.load_state_dict(ours.state_dict())
        x = torch.randn(8, 5, 3, 3)
        assert torch.equal(ours.eval()(x), plain.eval()(x))

    def test_every_norm_of_a_network_is_chunked_and_keeps_its_names(self) -> None:
        chunked, whole = build("resnet20-B", bn_batch=64), build("resnet20-B")
        norms = [m for m in chunked.modules() if isinstance(m, nn.BatchNorm2d)]
        assert len(norms) == 19 + 2
        assert all(isinstance(m, GhostBatchNorm2d) and m.chunk == 64 for m in norms)
        assert not any(isinstance(m, GhostBatchNorm2d) for m in whole.modules())
        chunked.load_state_dict(whole.state_dict(), strict=True)


class TestInitialisation:
    @pytest.mark.parametrize("mode", ["fan_in", "fan_out"])
    def test_std_of_every_convolution(self, mode: str) -> None:
        init = "fan_in" if mode == "fan_in" else "fan_out"
        for path, conv in convolutions(build("resnet20-B", init=init)).items():  # type: ignore[arg-type]
            channels = conv.in_channels if mode == "fan_in" else conv.out_channels
            std = math.sqrt(2 / (conv.kernel_size[0] ** 2 * channels))
            size = conv.weight.numel()
            # Sampling errors: std / sqrt(2 size) for the std, std / sqrt(size) for the mean.
            assert abs(conv.weight.std().item() - std) < 5 * std / math.sqrt(2 * size), path
            assert abs(conv.weight.mean().item()) < 5 * std / math.sqrt(size), path

    @pytest.mark.parametrize("mode", ["fan_in", "fan_out"])
    def test_linear_layer_takes_the_forward_form(self, mode: str) -> None:
        fc = build("resnet20", num_classes=1000, init=mode).get_submodule("fc")  # type: ignore[arg-type]
        assert isinstance(fc, nn.Linear)
        std = math.sqrt(2 / 64)
        assert abs(fc.weight.std().item() - std) < 5 * std / math.sqrt(2 * fc.weight.numel())
        assert not fc.bias.any()

    def test_batch_norm_starts_as_the_identity(self) -> None:
        for norm in build("resnet20-B").modules():
            if isinstance(norm, nn.BatchNorm2d):
                assert (norm.weight == 1).all()
                assert not norm.bias.any()

    def test_one_seed_one_network(self) -> None:
        one = build("resnet20", seed=1).state_dict()
        torch.rand(7)  # the global stream must not matter
        again, other = build("resnet20", seed=1).state_dict(), build("resnet20").state_dict()
        assert all(torch.equal(one[key], again[key]) for key in one)
        drawn = [key for key in one if "conv" in key or key == "fc.weight"]
        assert len(drawn) == 20
        assert not any(torch.equal(one[key], other[key]) for key in drawn)

    def test_weights_are_drawn_in_the_order_of_the_state_dict(self) -> None:
        """A run under way resumes from weights drawn in this order; another would change it."""
        generator = torch.Generator().manual_seed(5)
        for key, value in build("resnet8-B", seed=5).state_dict().items():
            if value.dim() < 2:
                continue
            n = value[0].numel() if key == "fc.weight" else value[:, 0].numel()
            std = math.sqrt(2 / n)
            drawn = torch.empty(value.shape).normal_(0, std, generator=generator)
            torch.testing.assert_close(value, drawn, msg=key)

    def test_option_a_and_plain_start_equal(self) -> None:
        residual, plain = build("resnet20").state_dict(), build("plain20").state_dict()
        assert list(residual) == list(plain)
        assert all(torch.equal(residual[key], plain[key]) for key in residual)

    def test_a_bias_of_a_convolution_starts_at_zero(self) -> None:
        conv = nn.Conv2d(3, 4, 3)
        initialise(conv, "fan_out", 0)
        assert conv.bias is not None
        assert not conv.bias.any()


class TestNames:
    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("resnet20", CifarName(20, "A", 16)),
            ("plain56", CifarName(56, "none", 16)),
            ("resnet1202", CifarName(1202, "A", 16)),
            ("resnet20-B", CifarName(20, "B", 16)),
            ("resnet20-w8", CifarName(20, "A", 8)),
            ("resnet56-C-w12", CifarName(56, "C", 12)),
            ("plain20-w4", CifarName(20, "none", 4)),
            ("resnet50-w16", CifarName(50, "A", 16)),
            ("plain152-w16", CifarName(152, "none", 16)),
        ],
    )
    def test_cifar(self, name: str, expected: CifarName) -> None:
        assert parse(name) == expected
        assert parse_cifar(name) == expected
        assert expected.plain != name.startswith("resnet")

    @pytest.mark.parametrize(
        ("name", "says"),
        [
            ("", "unknown network"),
            ("alexnet", "unknown network"),
            ("ResNet-20", "unknown network"),
            ("resnet", "unknown network"),
            ("resnet020", "unknown network"),  # no second name for one network
            ("resnet20-D", "unknown network"),
            ("resnet20 ", "unknown network"),
            ("resnet20\nplain20", "unknown network"),
            ("resnet20-w-8", "unknown network"),
            ("resnet20-v1.5", "unknown network"),
            ("resnet99999999999", "unknown network"),
            ("resnet2", "resnet8 and resnet14"),
            ("resnet21", "resnet20 and resnet26"),
            ("plain100", "plain98 and plain104"),
            ("resnet47", "resnet44 and resnet50-w16"),  # bare, resnet50 is the ImageNet net
            ("resnet18-w16", "6n+2"),  # "ResNet-18 for CIFAR" is not one of the paper's
            ("plain20-A", "write plain20"),
            ("plain56-B-w8", "write plain56"),
            ("resnet20-w0", "width 0"),
        ],
    )
    def test_what_is_no_name(self, name: str, says: str) -> None:
        for read in (parse, parse_cifar, build):
            with pytest.raises(UserError) as error:
                read(name)
            assert says in str(error.value)
            assert "\n" not in str(error.value)

    @pytest.mark.parametrize("name", ["resnet18", "resnet34-A", "resnet50", "plain34", "vgg16"])
    def test_imagenet_names_are_not_cifar_names(self, name: str) -> None:
        with pytest.raises(UserError):
            parse_cifar(name)

    @given(st.text() | st.from_regex(r"(plain|resnet|vgg)[0-9]+(-[A-Dvw][0-9.]*)*", fullmatch=True))
    def test_any_text_is_a_name_or_one_line(self, text: str) -> None:
        try:
            said = str(parse(text).depth)
        except UserError as error:
            said = str(error)
        assert len(said.splitlines()) == 1

    def test_defaults_are_cifar10s(self) -> None:
        model = build("resnet8")
        assert model.get_submodule("fc").weight.shape == (10, 64)
        assert model.get_submodule("conv1").weight.shape == (16, 3, 3, 3)

    @pytest.mark.parametrize("what", ["num_classes", "in_channels", "bn_batch"])
    @pytest.mark.parametrize("number", [0, -1])
    def test_numbers_below_one(self, what: str, number: int) -> None:
        with pytest.raises(UserError, match=f"{what} {number}"):
            build("resnet8", **{what: number})  # type: ignore[arg-type]

    def test_names_need_no_torch(self) -> None:
        code = (
            "import sys; sys.modules['torch'] = None\n"
            "from resnet_repro.models.names import parse\n"
            "print(parse('resnet34-B').depth)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment(), capture_output=True, text=True
        )
        assert done.stdout.strip() == "34", done.stderr


def test_a_narrow_projection_subsamples_first_and_gives_the_same() -> None:
    """PyTorch's own corrupts memory there on some processors, with channels last in float32."""
    torch.manual_seed(0)
    narrow, wide = conv1x1(4, 8, 2), conv1x1(16, 32, 2)
    assert isinstance(narrow, SubsampledConv1x1)
    assert type(wide) is type(conv1x1(4, 8)) is nn.Conv2d  # as in every record
    plain = nn.Conv2d(4, 8, 1, 2, bias=False).double()
    narrow = narrow.double()
    narrow.load_state_dict(plain.state_dict())
    x = torch.randn(3, 4, 9, 9, dtype=torch.float64)
    upstream = torch.randn(3, 8, 5, 5, dtype=torch.float64)
    found = []
    for layer in (plain, narrow):
        here = x.clone().requires_grad_()
        out = layer(here)
        out.backward(upstream)
        assert here.grad is not None
        assert layer.weight.grad is not None
        found.append((out.detach(), here.grad, layer.weight.grad))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)
