"""Parameters without building a network, against those of the network that is built."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from resnet_repro.models.construct import construct
from resnet_repro.models.parameters import SHAPES, expected_parameters
from resnet_repro.paths import RECORDED

COUNTED = sorted(path.stem for path in (RECORDED / "counts").glob("*.json"))
SMALL = [name for name in COUNTED if "1202" not in name]


def built(network: str, dataset: str) -> int:
    channels, classes = SHAPES[dataset]
    with torch.device("meta"):
        model = construct(network, num_classes=classes, in_channels=channels)
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("network", SMALL)
@pytest.mark.parametrize("dataset", ["imagenet", "imagenette"])
def test_of_a_counted_network(network: str, dataset: str) -> None:
    assert expected_parameters(network, dataset) == built(network, dataset)


@settings(max_examples=20)
@given(
    family=st.sampled_from(["plain{}{}", "resnet{}{}", "resnet{}-B{}", "resnet{}-C{}"]),
    n=st.integers(1, 5),
    width=st.integers(1, 20),
    dataset=st.sampled_from(["cifar10", "cifar10-45k", "digits"]),
)
def test_of_any_cifar_network(family: str, n: int, width: int, dataset: str) -> None:
    network = family.format(6 * n + 2, f"-w{width}")
    assert expected_parameters(network, dataset) == built(network, dataset)


@pytest.mark.parametrize(
    ("network", "dataset"),
    [("resnet20", "image-folder"), ("lenet5", "cifar10"), ("resnet101-v1.5", "imagenet"), ("", "")],
)
def test_where_nothing_is_known(network: str, dataset: str) -> None:
    assert expected_parameters(network, dataset) is None
