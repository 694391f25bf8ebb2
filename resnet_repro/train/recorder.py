"""The files of a run's record, as it goes on and when it ends."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import safetensors.torch

from resnet_repro.data.image_file import decoder
from resnet_repro.evaluate.imagenet.crops import views_for
from resnet_repro.evaluate.imagenet.preprocessing import subtracting
from resnet_repro.evaluate.imagenet.scores import Member, evaluate, split_settings
from resnet_repro.evaluate.layer_responses import layer_responses
from resnet_repro.models.names import CifarName, parse
from resnet_repro.records import provenance, schema, store
from resnet_repro.records.evaluations import Evaluation, write_evaluation
from resnet_repro.records.files import write_atomic
from resnet_repro.runtime.device import uncompiled
from resnet_repro.train.job import Job, Progress
from resnet_repro.train.recipe import ImageRecipe
from resnet_repro.train.sources import Data, Photographs
from resnet_repro.train.trainer import Trainer

# Weights of ImageNet networks are too large for the project's own repository: they lie beside the
# record, which is whole without them.
BESIDE = ("weights.safetensors", "statistics.safetensors")


def write_tables(job: Job, progress: Progress) -> None:
    """Write the rows so far."""
    gradients = tuple(progress.gradients[0])
    store.write_table(job.folder / "metrics.csv", schema.METRICS, progress.metrics)
    store.write_table(job.folder / "timing.csv", schema.TIMING, progress.timing)
    store.write_table(job.folder / "gradients.csv", gradients, progress.gradients)


def sitting(job: Job) -> dict[str, Any]:
    """How the steps of this sitting are computed; a later one may compute differently."""
    commit, dirty = provenance.commit()
    return {
        "device": job.device.kind,
        "device_name": job.device.name,
        "precision": job.device.precision,
        "threads": job.device.threads,
        "kernels": job.device.kernels,
        "compile": job.device.compile,
        "cuda_graph": job.device.graph,
        "parts": job.device.grad_accum_steps,
        "decoder": decoder() if isinstance(job.recipe, ImageRecipe) else "",
        "commit": commit,
        "dirty": dirty,
    }


def execution(job: Job, progress: Progress, trainer: Trainer, data: Data) -> schema.Execution:
    """How the run is computed, as execution.json says it."""
    return schema.Execution(
        versions=provenance.versions(),
        channels_last=True,
        world_size=trainer.world.size,
        command=job.command,
        started=progress.started,
        resumed_at=tuple(progress.resumed_at),
        earlier=tuple(progress.earlier),
        skipped_images=_names(data.folder.skipped) if isinstance(data, Photographs) else (),
        **sitting(job),
    )


def _names(paths: Sequence[str]) -> tuple[str, ...]:
    """Names of files as JSON may hold them: bytes that are no UTF-8 are written out."""
    return tuple(os.fsencode(path).decode("utf-8", "backslashreplace") for path in paths)


def finish(
    job: Job,
    trainer: Trainer,
    data: Data,
    progress: Progress,
    execution: schema.Execution,
    status: schema.Status,
    say: Callable[[str], None],
    check: Callable[[], None],
) -> schema.Result:
    """Measure what is measured once, and write the record's last files.

    check: called before files are written; raises TakenOver when the run is another process's.
    Every process that takes part must call it; the first one writes.
    """
    trainer.adopt_averages()
    float32 = None if job.device.precision == "fp32" else trainer.test_in_float32()
    with uncompiled(job.device):
        responses = layer_responses(trainer.model, trainer.source, trainer.world.sum)
    rounded = None
    trainer.world.on_main_process(check)
    if status == "done" and _keeps_weights(job):
        rounded = _round_weights(job, trainer)
    last = progress.metrics[-1]
    tested = [r for r in progress.metrics if math.isfinite(r["test_error"])]
    best = min(tested, key=lambda r: r["test_error"], default=None)
    result = schema.Result(
        status=status,
        spec_hash=job.spec.hash,
        iterations=progress.iteration,
        parameters=sum(p.numel() for p in trainer.model.parameters()),
        train_loss=schema.finite(last["train_loss"]),
        train_error=schema.finite(last["train_error"]),
        test_loss=schema.finite(last["test_loss"]),
        test_error=schema.finite(last["test_error"]),
        best_test_error=best["test_error"] if best else None,
        best_test_iteration=int(best["iteration"]) if best else None,
        warmup_ended=trainer.warmup_ended,
        half_precision_test_error=rounded,
        test_error_moving=schema.finite(last["test_error_moving"]),
        test_error_float32=float32,
    )

    def write() -> schema.Result:
        check()
        layers = [
            {"layer": i, "name": name, "std": std} for i, (name, std) in enumerate(responses, 1)
        ]
        store.write_table(job.folder / "layers.csv", schema.LAYERS, layers)
        if isinstance(data, Photographs) and status == "done":
            data.statistics.save(job.folder / "statistics.safetensors")
            if math.isfinite(last["test_loss"]):
                _ten_crop(job, trainer, data, say)
            check()  # ten crops of each image take long
        ended = msgspec.structs.replace(execution, ended=provenance.utc_now())
        store.write_execution(job.folder, ended)
        whole = msgspec.structs.replace(result, files=_digests(job.folder, data))
        store.write_result(job.folder, whole)
        return whole

    return trainer.world.on_main_process(write)


def _digests(folder: Path, data: Data) -> dict[str, str]:
    """SHA-256 of every file that belongs to the record."""
    beside = BESIDE if isinstance(data, Photographs) else ()
    return {
        path.name: store.file_digest(path)
        for path in sorted(folder.iterdir())
        if path.suffix in (".csv", ".safetensors") and path.name not in beside
    }


def _keeps_weights(job: Job) -> bool:
    network = parse(job.spec.network)
    if isinstance(network, CifarName):
        return job.spec.seed == 0 and network.depth <= schema.WEIGHTS_MAX_DEPTH
    return True  # ten-crop and dense tests, and ensembles, need them


def _round_weights(job: Job, trainer: Trainer) -> float:
    """Keep the final weights in half precision; returns the test error they give, in %.

    BN's statistics stay in float32: a variance of pixels up to 255 can outgrow half precision.
    The error is measured in float32, as whoever loads them will. The trainer's model has the
    rounded weights afterwards.
    """
    weights = dict(trainer.model.named_parameters())
    half = {
        name: (value.half() if name in weights else value).detach().cpu().contiguous()
        for name, value in trainer.model.state_dict().items()
    }
    if trainer.world.first:
        write_atomic(job.folder / "weights.safetensors", safetensors.torch.save(half))
    trainer.model.load_state_dict(half)
    return trainer.test_in_float32()


def _ten_crop(job: Job, trainer: Trainer, data: Photographs, say: Callable[[str], None]) -> None:
    """The test that Tables 2 and 3 report, of the weights that are kept."""
    recipe = job.recipe
    assert isinstance(recipe, ImageRecipe)
    views = views_for("10", recipe.crop)
    say(f"{job.run}: testing ten crops of each image")
    was_training = trainer.model.training
    with uncompiled(job.device):
        scores = evaluate(
            [Member(trainer.model, subtracting(data.statistics, recipe.mean))],
            data.folder.test,
            views,
            job.device.torch,
            workers=job.device.workers,
        )
    trainer.model.train(was_training)
    settings = {
        "crops": views.crops,
        "sizes": list(views.sizes),
        "crop": views.crop,
        "bn": recipe.bn_statistics,
        **split_settings(data.folder),
    }
    values = {
        "images": scores.images,
        "top1_error": scores.top1_error,
        "top5_error": scores.top5_error,
    }
    how = {"versions": provenance.versions(), **sitting(job)}
    write_evaluation(job.folder, Evaluation("ten_crop", job.spec.hash, settings, values, how))
