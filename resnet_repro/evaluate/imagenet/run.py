"""What `evaluate` does: networks with weights, or recorded runs, on the validation images.

Nothing is trained. What is measured of recorded runs is filed beside them.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache as once
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec
import torch

from resnet_repro.commands import evaluate_command
from resnet_repro.data.image_file import decoder
from resnet_repro.data.imagefolder import listing
from resnet_repro.data.imagefolder.split import ImageFolder
from resnet_repro.data.imagefolder.statistics import Corrupt, Statistics, examine, readable
from resnet_repro.errors import UserError
from resnet_repro.evaluate.imagenet import scores as images
from resnet_repro.evaluate.imagenet import weights
from resnet_repro.evaluate.imagenet.crops import PAPER_CROP, Views, views_for
from resnet_repro.evaluate.imagenet.preprocessing import subtracting, torchvision_preprocessing
from resnet_repro.evaluate.imagenet.scores import Member, Scores
from resnet_repro.evaluate.imagenet.weights import LoadedRun, Published
from resnet_repro.records import evaluations, provenance
from resnet_repro.records.evaluations import Evaluation
from resnet_repro.records.store import file_digest
from resnet_repro.runtime.device import Device, autocast, computing, executed

NAMES = {"center": evaluations.CENTER, "10": evaluations.TEN_CROP, "dense": evaluations.DENSE}

T = TypeVar("T")
Say = Callable[[str], None]
Step = Callable[[str], images.Progress]  # a step's title -> what is told how far it is


@dataclass(frozen=True)
class Request:
    """What to evaluate, and how. Several networks, or several runs, are an ensemble."""

    networks: tuple[tuple[str, str], ...] = ()  # (name, weights as weights.load takes them)
    runs: tuple[Path, ...] = ()  # folders of records, instead of networks
    crops: str = "center"
    sizes: tuple[int, ...] = ()  # shorter sides, pixels; empty: the usual ones
    crop: int | None = None  # pixels; None: the runs', or 224
    bn: str = "moving"  # or recomputed: BN's statistics over the training images
    mean: str = "torchvision"  # of networks: or pixel, channel, channel-std, as the recipe's
    dataset: str | None = None  # None: the runs', or imagenet
    data_root: Path | None = None
    batch_size: int = images.BATCH
    corrupt: Corrupt = "fail"  # files that are no image: an end, or left out


@dataclass(frozen=True)
class Evaluated:
    """What came out, and where it was filed (None: nowhere)."""

    networks: tuple[str, ...]
    scores: Scores
    evaluation: Evaluation
    published: Published | None  # of torchvision's weights, when they were alone
    path: Path | None


def evaluate(request: Request, device: Device, cache: Path, say: Say, step: Step) -> Evaluated:
    """Evaluate the networks or runs on the validation images, and file what is measured of runs.

    A run's evaluation goes into its record's folder, that of several into the results folder of
    the first. The training images are needed only where BN's statistics are recomputed or a mean
    is not on record. `cache` keeps what was computed of a data set. Raises UserError for parts
    of the request that do not fit together, for the data, and for the weights.
    """
    started = provenance.utc_now()
    _check(request)
    runs = [weights.load_run(folder) for folder in request.runs]
    crop = _agreed("crop", [run.crop for run in runs], request.crop, PAPER_CROP)
    datasets = [run.record.spec.dataset for run in runs]
    dataset = _agreed("dataset", datasets, request.dataset, "imagenet")
    for network, _ in request.networks:
        weights.check_imagenet(network)  # before a data set is looked for

    own_mean = bool(request.networks) and request.mean != "torchvision"
    if request.bn == "recomputed" or own_mean or any(run.statistics is None for run in runs):
        listed = listing.load(dataset, request.data_root, cache=cache, say=say)
    else:
        listed = listing.validation(dataset, request.data_root, cache=cache, say=say)

    loaded = [weights.load(*network, len(listed.classes)) for network in request.networks]
    published = [each.published for each in loaded]
    views = _views(request, crop, published)

    @once
    def examined() -> tuple[ImageFolder, Statistics]:  # after all that could be wrong
        return examine(listed, crop, cache, request.corrupt, workers=device.workers, say=say)

    def computed() -> Statistics:
        return examined()[1]

    data = listed  # `fail` reads no image before its turn
    if request.corrupt == "skip" and len(listed.train):
        data = examined()[0]
    elif request.corrupt == "skip":
        data = readable(listed, workers=device.workers, say=say)

    members = [
        Member(
            each.model,
            subtracting(computed(), request.mean) if own_mean else torchvision_preprocessing(),
        )
        for each in loaded
    ]
    members += [
        Member(run.model, subtracting(run.statistics or computed(), run.mean)) for run in runs
    ]
    names = (*(name for name, _ in request.networks), *(_label(run) for run in runs))
    scores = _measure(request, members, names, data, views, device, step)
    evaluation = Evaluation(
        name=_name(views, request.bn),
        spec_hash="",
        settings=_settings(request, runs, views, data),
        values=asdict(scores),
        execution=executed(device, started, _command(request, runs))
        | {
            "batch_size": request.batch_size,
            "decoder": decoder(),
            "skipped_images": list(data.skipped),
        },
    )
    evaluation, path = _file(evaluation, runs)
    alone = published[0] if len(published) == 1 else None
    return Evaluated(names, scores, evaluation, alone, path)


def _check(request: Request) -> None:
    if bool(request.networks) == bool(request.runs):
        raise UserError("give networks (--arch and --weights) or recorded runs (--run)")
    if request.runs and request.mean != Request.mean:
        raise UserError("--mean goes with --arch: what a run subtracts is on record")
    places = [folder.resolve() for folder in request.runs]
    if len(set(places)) < len(places):
        raise UserError("a run is named twice: an ensemble has each once")


def _agreed(option: str, trained: Sequence[T], asked: T | None, usual: T) -> T:
    """What the runs were trained with; without runs, what is asked for."""
    if not trained:
        return usual if asked is None else asked
    for other in (*trained, *([] if asked is None else [asked])):
        if other != trained[0]:
            raise UserError(
                f"--{option}: the runs have {trained[0]}, which does not go with {other}"
            )
    return trained[0]


def _views(request: Request, crop: int, published: Sequence[Published | None]) -> Views:
    """The sizes asked for, or else the paper's; but torchvision's own for what it published."""
    usual = views_for(request.crops, crop)
    if request.sizes:
        return dataclasses.replace(usual, sizes=request.sizes)
    told = {each.resize if each else None for each in published}
    size = next(iter(told), None)
    if request.crops == "center" and crop == PAPER_CROP and len(told) == 1 and size:
        return dataclasses.replace(usual, sizes=(size,))
    return usual


def _measure(
    request: Request,
    members: Sequence[Member],
    names: Sequence[str],
    data: ImageFolder,
    views: Views,
    device: Device,
    step: Step,
) -> Scores:
    arithmetic = partial(autocast, device)
    with computing(device):
        # Whole pictures come in too many shapes to search for each the fastest convolution.
        torch.backends.cudnn.benchmark = views.crops != "dense"
        if request.bn == "recomputed":
            for member, name in zip(members, names, strict=True):
                images.recompute_bn(
                    member,
                    data.train,
                    views.crop,
                    device.torch,
                    autocast=arithmetic,
                    workers=device.workers,
                    progress=step(f"{name}: BN's statistics"),
                )
        return images.evaluate(
            members,
            data.test,
            views,
            device.torch,
            autocast=arithmetic,
            batch_size=request.batch_size,
            workers=device.workers,
            progress=step("validation images"),
            classes=len(data.classes),
        )


def _label(run: LoadedRun) -> str:
    """A run among those of its data set."""
    filed = run.record.run
    return f"{filed.arm}/{filed.protocol}/seed{filed.seed}"


def _name(views: Views, bn: str) -> str:
    """What the evaluation is called: `dense`, or with what is unusual `dense+sizes=224,256`."""
    name = NAMES[views.crops]
    if views != views_for(views.crops, views.crop):
        name += "+sizes=" + ",".join(str(size) for size in views.sizes)
    return name + ("+bn=recomputed" if bn == "recomputed" else "")


def _settings(
    request: Request, runs: Sequence[LoadedRun], views: Views, data: ImageFolder
) -> dict[str, object]:
    """What decides the errors beside the weights; `dataset_digest` is the validation split's."""
    trained = {run.record.recipe.bn_statistics for run in runs}
    bn = {request.bn} if request.bn == "recomputed" or not runs else trained
    settings: dict[str, object] = {
        "crops": views.crops,
        "sizes": list(views.sizes),
        "crop": views.crop,
        "bn": " and ".join(sorted(bn)),
        "dataset": data.name,
        **images.split_settings(data),
    }
    if request.networks:
        settings["mean"] = request.mean
        settings["members"] = [_network_member(*network) for network in request.networks]
    if len(runs) > 1:
        settings["members"] = [
            {"run": _label(run), "spec_hash": run.record.spec.hash} for run in runs
        ]
    return settings


def _network_member(network: str, source: str) -> dict[str, str]:
    """A network and its weights: a file by name and SHA-256, as folders are the user's own."""
    path = Path(source)
    if not path.is_file():
        return {"network": network, "weights": source}
    return {"network": network, "weights": path.name, "sha256": file_digest(path)}


def _command(request: Request, runs: Sequence[LoadedRun]) -> str:
    """The command that repeats an evaluation; folders are the user's own and left out."""
    usual, options = Request(), {}
    if request.sizes:
        options["sizes"] = ",".join(str(size) for size in request.sizes)
    for option in ("crop", "bn", "mean", "dataset", "corrupt"):
        value = getattr(request, option)
        if value != getattr(usual, option):
            options[option] = value
    return evaluate_command(
        [run.record.run for run in runs],
        request.crops,
        networks=[(name, Path(told).name) for name, told in request.networks],
        options=options,
    )


def _file(evaluation: Evaluation, runs: Sequence[LoadedRun]) -> tuple[Evaluation, Path | None]:
    """The evaluation as it is filed, and where; an ensemble's name tells its members apart."""
    if not runs:
        return evaluation, None
    first = runs[0].record
    if len(runs) == 1:
        evaluation = msgspec.structs.replace(evaluation, spec_hash=first.spec.hash)
        return evaluation, evaluations.write_evaluation(first.folder, evaluation)
    told = "\n".join(sorted(f"{_label(run)} {run.record.spec.hash}" for run in runs))
    digest = hashlib.sha256(told.encode()).hexdigest()[:8]
    name = f"{evaluation.name}-of{len(runs)}-{digest}"
    evaluation = msgspec.structs.replace(evaluation, name=name)
    results = first.folder.parents[3]
    return evaluation, evaluations.write_ensemble(results, first.run.dataset, evaluation)
