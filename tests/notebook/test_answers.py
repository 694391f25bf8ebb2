"""Exercises tell right from wrong, conclusions are held to their bounds, blocks to the suite's."""

from __future__ import annotations

import pytest
import torch.nn.functional as F
from torch import Tensor, nn

from resnet_repro.notebook import check_block, conclude, exercise
from resnet_repro.notebook.answers import suite_block


def test_an_exercise_is_open_right_or_wrong_with_a_hint(
    capsys: pytest.CaptureFixture[str],
) -> None:
    exercise(..., lambda answer: answer == 4, "two and two")
    assert capsys.readouterr().out.startswith("Open")
    exercise(4, lambda answer: answer == 4, "two and two")
    exercise(4, 4, "two and two")
    exercise(4.04, 4, "two and two", within=0.05)
    exercise([4], [4], "two and two")
    assert capsys.readouterr().out == 4 * "Right.\n"
    for wrong, right in ((5, 4), (4.04, 4), ([4, 4], [4]), (5, lambda answer: answer == 4)):
        with pytest.raises(AssertionError, match="not yet: two and two"):
            exercise(wrong, right, "two and two")


@pytest.mark.parametrize("answer", ["four", None, [], {}])
def test_an_answer_of_another_kind_gets_the_hint_too(answer: object) -> None:
    for right in (4, lambda given: abs(given - 4) < 0.1, lambda given: {"a": 1}[given] == 1):
        with pytest.raises(AssertionError, match="not yet: two and two"):
            exercise(answer, right, "two and two")


def test_a_mistake_in_the_exercise_itself_is_not_the_readers() -> None:
    with pytest.raises(ZeroDivisionError):
        exercise(4, lambda given: given / 0 > 1, "two and two")


def test_a_conclusion_is_said_with_its_bounds_or_does_not_hold(
    capsys: pytest.CaptureFixture[str],
) -> None:
    conclude("points", 12.345678, above=10, below=20)
    assert capsys.readouterr().out == "Holds: points: 12.35 (more than 10, less than 20)\n"
    for bounds in ({"above": 12.4}, {"below": 12.3}, {"above": 10, "below": 12}):
        with pytest.raises(AssertionError, match=r"does not hold: points: 12\.35"):
            conclude("points", 12.345678, **bounds)
    with pytest.raises(AssertionError):
        conclude("points", float("nan"), above=0)
    with pytest.raises(ValueError, match="give a bound"):
        conclude("points", 1)


class Own(nn.Module):
    """A right block; the cases below get something wrong each."""

    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.stride, self.new = stride, channels - in_channels

    def residual(self, x: Tensor) -> Tensor:
        out: Tensor = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return out

    def shortcut(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.new))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.residual(x) + self.shortcut(x))


class Unfinished(Own):
    def forward(self, x: Tensor) -> Tensor:  # noqa: ARG002
        return ...  # type: ignore[return-value]


class WithoutLastReLU(Own):
    def forward(self, x: Tensor) -> Tensor:
        return self.residual(x) + self.shortcut(x)


class Plain(Own):
    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.residual(x))


class WithoutStride(Own):
    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:  # noqa: ARG002
        super().__init__(in_channels, channels)


class WithBias(Own):
    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        super().__init__(in_channels, channels, stride)
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1)


def test_a_block_by_hand_is_held_to_the_suites(capsys: pytest.CaptureFixture[str]) -> None:
    assert check_block(Own) is Own
    assert capsys.readouterr().out.startswith("Right")
    assert check_block(Unfinished) is suite_block
    assert capsys.readouterr().out.startswith("Open")


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (WithoutLastReLU, "values are not"),
        (Plain, "values are not"),
        (WithoutStride, "comes out, not"),
        (WithBias, "other shapes"),
    ],
)
def test_what_is_wrong_with_a_block_is_said(block: type[Own], words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check_block(block)
