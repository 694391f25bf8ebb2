"""How many parameters a network has, without building it and without torch."""

from __future__ import annotations

from resnet_repro.errors import UserError
from resnet_repro.models.names import CifarName, parse
from resnet_repro.paths import RECORDED
from resnet_repro.records.counts import read_count
from resnet_repro.records.files import is_file
from resnet_repro.records.store import Record

# Channels of an image, and classes, of the data sets that have one form.
SHAPES = {
    "cifar10": (3, 10),
    "cifar10-45k": (3, 10),
    "digits": (1, 10),
    "imagenet": (3, 1000),
    "imagenette": (3, 10),
}
_VGG_FEATURES = 4096  # that the last linear layer takes


def expected_parameters(network: str, dataset: str) -> int | None:
    """Parameters of a network on a data set, as its name says or as the committed count does.

    None where neither does: a data set of any form, a network that was not counted, no network's
    name. Raises UserError when the count is damaged.
    """
    try:
        name = parse(network)
    except UserError:
        return None
    if dataset not in SHAPES:
        return None
    channels, classes = SHAPES[dataset]
    if isinstance(name, CifarName):
        return cifar_parameters(name, channels, classes)
    path = RECORDED / "counts" / f"{network}.json"
    if not is_file(path):
        return None
    count = read_count(path)
    *_, last, linear = count.stages
    features = _VGG_FEATURES if name.family == "vgg" else last.output[0]
    return count.parameters + (classes - linear.output[0]) * (features + 1)


def parameters_problem(record: Record) -> str | None:
    """What is wrong with the parameters that a result tells of; None when nothing is known to be.

    Raises UserError as `expected_parameters`.
    """
    told, spec = record.result.parameters, record.spec
    expected = expected_parameters(spec.network, spec.dataset)
    if expected in (None, told):
        return None
    return (
        f"{record.folder / 'result.json'}: {told} parameters, "
        f"{spec.network} has {expected} on {spec.dataset}"
    )


def cifar_parameters(name: CifarName, channels: int, classes: int) -> int:
    """Parameters of a network of section 4.2: 6n+2 layers, three stages of 2n convolutions.

    Every convolution is without a bias and normalised, which gives a scale and a shift a channel.
    """
    n, width = (name.depth - 2) // 6, name.width
    total = _convolution(3, channels, width)
    before = width
    for filters in (width, 2 * width, 4 * width):
        total += _convolution(3, before, filters) + (2 * n - 1) * _convolution(3, filters, filters)
        if name.shortcut == "C" or (name.shortcut == "B" and before != filters):
            total += _convolution(1, before, filters)
        if name.shortcut == "C":
            total += (n - 1) * _convolution(1, filters, filters)
        before = filters
    return total + (before + 1) * classes


def _convolution(kernel: int, before: int, filters: int) -> int:
    return kernel * kernel * before * filters + 2 * filters
