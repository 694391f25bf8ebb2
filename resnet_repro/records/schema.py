"""What a record says: the spec, how it was computed, what it measured.

A record is the folder `<results>/<dataset>/<arm>/<protocol>/seed<k>/`. Nothing here needs
torch or pandas.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct
from msgspec.structs import asdict

from resnet_repro.errors import UserError

SCHEMA = 1

# What `files.read_struct` holds a record's numbers to; JSON itself has no others than finite ones.
Whole = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]
Percent = Annotated[float, Meta(ge=0, le=100)]
Loss = Annotated[float, Meta(ge=0)]
Status = Literal["done", "diverged"]

METRICS = (
    *("iteration", "lr", "train_loss", "train_error", "test_loss", "test_error"),
    "test_error_moving",  # with BN's moving averages
)
METRICS_FORMS = (METRICS, METRICS[:-1])  # the second: recipe version 1
TIMING = ("iteration", "seconds", "images_per_second")
STAGES = ("conv1", "layer1", "layer2", "layer3", "layer4", "fc")  # CIFAR's have no layer4


def gradient_columns(stages: Sequence[str]) -> tuple[str, ...]:
    """Of gradients.csv: each stage's gradient norm, then the norm of its weights."""
    return ("iteration", *stages, *(f"{stage}_weights" for stage in stages))


_CIFAR_STAGES = tuple(stage for stage in STAGES if stage != "layer4")
# Which of them depends on the network; the last two: recipe version 1.
GRADIENT_FORMS = (
    gradient_columns(STAGES),
    gradient_columns(_CIFAR_STAGES),
    ("iteration", *STAGES),
    ("iteration", *_CIFAR_STAGES),
)
LAYERS = ("layer", "name", "std")

WEIGHTS_MAX_DEPTH = 56  # of CIFAR nets, weights are kept for seed 0 up to this depth


@dataclass(frozen=True)
class RunId:
    """Where a run is filed; its labels, not what decides its result."""

    dataset: str
    arm: str
    protocol: str
    seed: int

    def folder(self, results: Path) -> Path:
        return results / self.dataset / self.arm / self.protocol / f"seed{self.seed}"

    def __str__(self) -> str:
        return f"{self.dataset}/{self.arm}/{self.protocol}/seed{self.seed}"


class Spec(Struct, frozen=True, forbid_unknown_fields=True):
    """What decides a result scientifically; hashed."""

    network: str
    dataset: str
    dataset_digest: str
    recipe: dict[str, Any]  # every switch as it was set; records/recipe.py reads them
    recipe_version: Positive
    seed: Whole

    @property
    def hash(self) -> str:
        """SHA-256 over the spec as JSON with sorted keys, in hexadecimal."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def to_json(self, run: RunId) -> dict[str, object]:
        return {
            "schema": SCHEMA,
            "arm": run.arm,
            "protocol": run.protocol,
            "spec": asdict(self),
            "hash": self.hash,
        }


class SpecFile(Struct, frozen=True, forbid_unknown_fields=True):
    """spec.json: a spec, its hash, and the labels it is filed under beside its data set's."""

    arm: str
    protocol: str
    spec: Spec
    hash: str

    @property
    def run(self) -> RunId:
        return RunId(self.spec.dataset, self.arm, self.protocol, self.spec.seed)


class Execution(Struct, frozen=True, forbid_unknown_fields=True):
    """How a run was computed: what should not decide its result. An allow-list."""

    versions: dict[str, str]
    device: str  # cpu, cuda, mps
    device_name: str
    precision: str  # fp32, tf32, bf16
    compile: bool
    cuda_graph: bool
    channels_last: bool
    threads: Whole
    world_size: Positive
    commit: str
    dirty: bool
    command: str
    started: str  # UTC, ISO 8601
    ended: str = ""
    resumed_at: tuple[Whole, ...] = ()  # iterations at which a later sitting took over
    # How each earlier sitting computed, where it differed or not: until which iteration, device,
    # precision, threads, kernels, decoder, commit. The fields above are the last sitting's.
    earlier: tuple[dict[str, Any], ...] = ()
    kernels: bool = False  # own CPU kernels
    parts: Positive = 1  # that each process computed its batch in, one after another
    skipped_images: tuple[str, ...] = ()  # unreadable files that were left out, as asked
    decoder: str = ""  # what read image files, with versions

    @property
    def former_decoder(self) -> str | None:
        """What read image files in the sitting before, if another than in this one."""
        before = str(self.earlier[-1].get("decoder", "")) if self.earlier else self.decoder
        return None if before == self.decoder else before or "a decoder that was not recorded"

    @property
    def precisions(self) -> list[str]:
        """Every precision that took part, sorted."""
        return sorted(
            {self.precision, *(str(s.get("precision", self.precision)) for s in self.earlier)}
        )

    @property
    def commits(self) -> list[str]:
        """The commit of every sitting, in order, each once."""
        earlier = (str(s["commit"]) for s in self.earlier if "commit" in s)
        return list(dict.fromkeys((*earlier, self.commit)))

    @property
    def any_dirty(self) -> bool:
        """Whether any sitting ran from a tree with uncommitted changes."""
        return self.dirty or any(bool(s.get("dirty")) for s in self.earlier)

    def to_json(self) -> dict[str, object]:
        return {"schema": SCHEMA, **asdict(self)}


class Result(Struct, frozen=True, forbid_unknown_fields=True):
    """What a finished run measured; errors in %, losses in nats."""

    status: Status
    spec_hash: str
    iterations: Positive  # run, fewer than asked if it diverged
    parameters: Positive
    train_loss: Loss | None
    train_error: Percent | None
    test_loss: Loss | None
    test_error: Percent | None
    best_test_error: Percent | None
    best_test_iteration: Positive | None
    warmup_ended: Whole | None  # first iteration at the full rate
    half_precision_test_error: Percent | None = None  # of weights.safetensors
    test_error_moving: Percent | None = None  # with BN's moving averages
    test_error_float32: Percent | None = None  # of a net trained and tested in another precision
    files: dict[str, str] = {}  # name -> SHA-256

    def to_json(self) -> dict[str, object]:
        return {"schema": SCHEMA, **asdict(self)}


def finite(value: float) -> float | None:
    """A number JSON can hold: None for what is not finite."""
    return value if math.isfinite(value) else None


_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+=,-]*")


def is_label(text: str) -> bool:
    """Whether a label is safe as a folder's name."""
    return bool(_PART.fullmatch(text))


def check_label(text: str) -> str:
    """A label that is safe as a folder's name. Raises UserError otherwise."""
    if not is_label(text):
        raise UserError(f"'{text}' cannot name a folder: use letters, digits and . _ + = , -")
    return text
