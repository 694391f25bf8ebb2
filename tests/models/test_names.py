"""What a network's name says of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnet_repro.models.names import parse

NAMES = st.one_of(
    st.builds(
        lambda n, width, option: f"resnet{6 * n + 2}{option}-w{width}",
        st.integers(1, 300),
        st.integers(1, 9999),
        st.sampled_from(("", "-A", "-B", "-C")),
    ),
    st.builds(
        lambda n, width: f"plain{6 * n + 2}-w{width}", st.integers(1, 300), st.integers(1, 9999)
    ),
    st.sampled_from(("plain18", "resnet34-A", "resnet50", "resnet152-v1.5", "vgg16")),
)


@pytest.mark.parametrize(
    ("network", "label"),
    [
        ("plain20", "plain-20"),
        ("resnet20-A", "ResNet-20"),
        ("resnet20-B", "ResNet-20-B"),
        ("resnet56-w8", "ResNet-56 (width 8)"),
        ("resnet56-C-w8", "ResNet-56-C (width 8)"),
        ("resnet50-w16", "ResNet-50 (width 16)"),
        ("resnet50", "ResNet-50"),
        ("resnet50-v1.5", "ResNet-50-v1.5"),
        ("resnet34-A", "ResNet-34-A"),
        ("plain34", "plain-34"),
        ("vgg19", "VGG-19"),
    ],
)
def test_networks_are_called_as_in_the_paper(network: str, label: str) -> None:
    assert parse(network).label == label


@given(NAMES, NAMES)
def test_two_networks_have_two_labels(one: str, other: str) -> None:
    assert (parse(one).label == parse(other).label) == (parse(one) == parse(other))


@given(NAMES)
def test_only_residual_nets_have_shortcuts(name: str) -> None:
    assert parse(name).plain != name.startswith("resnet")
    assert parse(name).family == name.rstrip("0123456789ABCvw.-")
