"""A handful of small JPEGs in ImageNet's layout, and in the other forms it comes in."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped, unused-ignore]
import pyarrow.parquet as pq  # type: ignore[import-untyped, unused-ignore]
from PIL import Image

from resnet_repro.data.imagefolder.listing import IMAGENETTE


def make_imagenette(root: Path, train: int = 4, val: int = 2) -> Path:
    """Write so many images of each of Imagenette's classes below `root`, and return it.

    Each class has a tint of its own under noise, so that there is something to learn; sizes and
    aspects differ.
    """
    rng = np.random.default_rng(0)
    for label, wnid in enumerate(IMAGENETTE):
        tint = np.array([label * 25, 255 - label * 25, 128])
        for split, count in (("train", train), ("val", val)):
            folder = root / split / wnid
            folder.mkdir(parents=True)
            for number in range(count):
                height, width = 40 + int(rng.integers(24)), 40 + int(rng.integers(24))
                noise = rng.integers(-60, 60, (height, width, 3))
                pixels = np.clip(tint + noise, 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{wnid}_{number}.JPEG", quality=90)
    return root


def to_parquet(root: Path, copy: Path, shards: int = 2, group: int = 3, named: bool = True) -> Path:
    """Photographs in class folders as the hub's shards, in another order; the copy's folder.

    named: whether paths end with the class, as ImageNet's do there; a schema tells its words.
    """
    classes = sorted(path.name for path in (root / "train").iterdir())
    labels = {"_type": "ClassLabel", "names": [f"word {n}" for n in range(len(classes))]}
    note = json.dumps({"info": {"features": {"image": {"_type": "Image"}, "label": labels}}})
    for part, word in (("train", "train"), ("val", "validation")):
        images = _shuffled(root / part)
        for index in range(shards):
            rows = images[index::shards]
            names = [f"{p.stem}_{p.parent.name}{p.suffix}" if named else p.name for p in rows]
            pictures = [
                {"bytes": p.read_bytes(), "path": name} for p, name in zip(rows, names, strict=True)
            ]
            numbers = [classes.index(p.parent.name) for p in rows]
            table = pa.table({"image": pictures, "label": numbers})
            path = copy / "data" / f"{word}-{index:05d}-of-{shards:05d}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(
                table.replace_schema_metadata({"huggingface": note}), path, row_group_size=group
            )
    return copy


def to_webdataset(root: Path, copy: Path, shards: int = 2) -> Path:
    """The same as WebDataset tars: KEY.jpg, KEY.json that nobody needs, and KEY.cls."""
    copy.mkdir(parents=True)
    classes = sorted(path.name for path in (root / "train").iterdir())
    for part in ("train", "val"):
        for index in range(shards):
            with tarfile.open(copy / f"imagenet-{part}-{index:06d}.tar", "w") as archive:
                for path in _shuffled(root / part)[index::shards]:
                    label = str(classes.index(path.parent.name)).encode()
                    members = (("jpg", path.read_bytes()), ("json", b"{}"), ("cls", label))
                    for suffix, content in members:
                        member = tarfile.TarInfo(f"{path.stem}.{suffix}")
                        member.size = len(content)
                        archive.addfile(member, io.BytesIO(content))
    return copy


def to_kaggle(root: Path, copy: Path) -> Path:
    """The same in Kaggle's folders, where the validation images' classes are in a table."""
    folder = copy / "ILSVRC" / "Data" / "CLS-LOC"
    shutil.copytree(root / "train", folder / "train")
    (folder / "val").mkdir()
    lines = ["ImageId,PredictionString"]
    for path in _shuffled(root / "val"):
        shutil.copy(path, folder / "val")
        lines.append(f"{path.stem},{path.parent.name} 1 2 30 40 {path.parent.name} 5 6 7 8 ")
    (copy / "LOC_val_solution.csv").write_text("\n".join(lines) + "\n")
    return copy


FORMS: dict[str, Callable[[Path, Path], Path]] = {
    "Parquet shards": to_parquet,
    "WebDataset tars": to_webdataset,
    "Kaggle's CLS-LOC": to_kaggle,
}


def _shuffled(folder: Path) -> list[Path]:
    paths = sorted(folder.glob("*/*"))
    return [paths[i] for i in np.random.default_rng(1).permutation(len(paths))]
