"""What is studied of a trained CIFAR network, as it is filed; evaluate/probes/ measures it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from resnet_repro.messages import _

ANY = ""  # a list of any length


@dataclass(frozen=True)
class Probe:
    """One of PROBES.

    lists: its values that are lists, and the settings that are as long, from the outside in.
    metrics: its values that tables and claims give, with their words and unit.
    """

    lists: Mapping[str, tuple[str, ...]]
    metrics: Mapping[str, tuple[str, str]]


# By the name that `study` and its file have.
PROBES = {
    "lesions": Probe(
        lists={
            "deleted_errors": ("blocks",),
            "swapped_errors": ("pairs",),
            "random_errors": (ANY, ANY),
        },
        metrics={
            "deletion_rise": (
                _("rise of the test error without one block"),
                _("mean over blocks, points"),
            ),
            "swap_rise": (
                _("rise of the test error with two blocks swapped"),
                _("mean over pairs, points"),
            ),
        },
    ),
    "gradients": Probe(
        lists={
            "initial_norms": ("layers",),
            "trained_norms": ("layers",),
            "initial_correlations": ("blocks", "lags"),
            "trained_correlations": ("blocks", "lags"),
            "white_noise": ("lags",),
            "brown_noise": ("lags",),
        },
        metrics={
            "initial_correlation": (
                _("correlation of neighbouring inputs' gradients before training"),
                "",
            ),
        },
    ),
    "identity": Probe(
        lists={"deepened_errors": ("depths",)},
        metrics={"identity_error": (_("training error, deepened to 56 layers by identities"), "%")},
    ),
    "path": Probe(
        lists={"kept": ("kept_blocks",), "shortcuts": ("blocks",), "shares": ("blocks",)},
        metrics={"signal_kept": (_("cosine of a block's input and output"), _("mean over blocks"))},
    ),
}
