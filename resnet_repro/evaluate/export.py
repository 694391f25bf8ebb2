"""Recorded CIFAR nets as folders that others can load: weights, config and model card."""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
from pathlib import Path
from typing import Annotated, Literal

import safetensors.torch
from msgspec import Meta, Struct

from resnet_repro.errors import UserError
from resnet_repro.evaluate.imagenet.weights_file import read_state
from resnet_repro.evaluate.recorded import (
    Classifier,
    Preprocessing,
    cifar_record,
    fitted,
    load_recorded,
)
from resnet_repro.paper.published import ITERATIONS
from resnet_repro.records.card import model_card
from resnet_repro.records.files import convert, read_json, write_atomic
from resnet_repro.records.store import Record

WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"
MEAN, SCALE = "preprocessing.mean", "preprocessing.scale"
USAGE = """
from pathlib import Path

import torch
from resnet_repro.evaluate.export import load_exported

net = load_exported(Path("."))  # this folder
images = torch.randint(0, 256, (1, *net.preprocessing.mean.shape), dtype=torch.uint8)
print(net.classes[int(net(images).argmax())])
"""


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """config.json: what the weights cannot say of themselves."""

    network: str  # as `resnet_repro.models.build` takes it
    classes: Annotated[tuple[str, ...], Meta(min_length=1)]
    bn_eps: Annotated[float, Meta(gt=0, lt=1)]
    pixels: Literal["0 ... 255"]  # the range that images come in
    run: str
    spec_hash: str


def export(folder: Path, target: Path, data_root: Path | None = None) -> Path:
    """Write a finished run's net into a new folder, whole or not at all; the folder.

    The weights are those the record keeps, as float32. Raises UserError when the run is none of
    a CIFAR net or keeps no weights, and when something is in the target's place.
    """
    record, net = cifar_record(folder), load_recorded(folder, data_root)
    error = record.result.half_precision_test_error
    if error is None:
        raise UserError(f"{folder}: its record says no error of the weights that it keeps")
    config = Config(
        record.spec.network,
        net.classes,
        record.recipe.bn_eps,
        "0 ... 255",
        str(record.run),
        record.spec.hash,
    )
    state = {name: t.contiguous() for name, t in net.network.state_dict().items()}
    state[MEAN] = net.preprocessing.mean
    if net.preprocessing.scale is not None:
        state[SCALE] = net.preprocessing.scale
    files = {
        WEIGHTS: safetensors.torch.save(state, {"format": "pt"}),
        CONFIG: (json.dumps(_plain(config), indent=2) + "\n").encode(),
        CARD: model_card(record, error, _protocol(record), USAGE).encode(),
    }
    _write_folder(target, files)
    return target


def load_exported(folder: Path) -> Classifier:
    """The net in a folder that `export` wrote. Raises UserError for any other folder."""
    config = convert(read_json(folder / CONFIG), Config, folder / CONFIG)
    state = read_state(folder / WEIGHTS)
    mean, scale = state.pop(MEAN, None), state.pop(SCALE, None)
    if mean is None or mean.dim() != 3:
        raise UserError(f"{folder / WEIGHTS} holds no {MEAN} (C, H, W): export the run again")
    if scale is not None and (scale.shape != (len(mean), 1, 1) or not (scale > 0).all()):
        raise UserError(f"{folder / WEIGHTS}: {SCALE} is no scale a channel: export the run again")
    preprocessing, where = Preprocessing(mean, scale), str(folder / WEIGHTS)
    network = fitted(config.network, state, preprocessing, config.classes, config.bn_eps, where)
    return Classifier(network, preprocessing, config.classes, config.run).eval()


def push(folder: Path, repository: str) -> str:
    """Upload an exported folder to the hub as OWNER/NAME, made unless it is there; its address.

    Whoever is logged in to huggingface_hub does so. Raises UserError when that package is not
    there, and for what the hub refuses.
    """
    try:
        from httpx2 import HTTPError  # its client's, and the base of its own errors
        from huggingface_hub import HfApi
    except ImportError:
        raise UserError("--push needs huggingface_hub: pip install 'resnet-repro[hub]'") from None
    try:
        api = HfApi()
        api.create_repo(repository, exist_ok=True)
        told = api.upload_folder(
            repo_id=repository, folder_path=folder, commit_message="Weights, config and model card"
        )
    except (HTTPError, ValueError, OSError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"cannot push to {repository}: {reason}; {folder} holds what was to go there"
        ) from error
    return str(told)


def _protocol(record: Record) -> str:
    recipe, full = record.recipe, ITERATIONS.get(record.spec.dataset)
    of = f" of the paper's {full:,}" if full not in (None, recipe.iterations) else ""
    return (
        f"{record.run.protocol}: {recipe.iterations:,}{of} iterations, each of "
        f"{recipe.batch_size} images"
    )


def _plain(config: Config) -> dict[str, object]:
    return {name: getattr(config, name) for name in config.__struct_fields__}


def _write_folder(target: Path, files: dict[str, bytes]) -> None:
    """Write files beside the target and rename their folder onto it."""
    try:
        if target.exists() and not (target.is_dir() and not any(target.iterdir())):
            raise UserError(f"{target} is there already: give a new folder as --out")
        temporary = target.absolute().with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
        try:
            for name, content in files.items():
                write_atomic(temporary / name, content)
            temporary.replace(target)
        except BaseException:
            with contextlib.suppress(OSError):  # the first error is the one to tell
                shutil.rmtree(temporary)
            raise
    except OSError as error:
        raise UserError(
            f"cannot write {target}: {error.strerror or error}; give another folder"
        ) from error
