"""Which files of a folder are the shards of a data set, and whether all of them are there."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path

from resnet_repro.errors import UserError

# Names of shards with their folder's; `before` ends before the split's word, `after` is what
# follows the number. What a download adds to tell its files apart is no part of the name.
PARQUET = (
    # The hub's own, its converted branch's, and files without numbers.
    re.compile(
        r"(?P<before>[^/]*/)(?P<split>[a-z]+)(?P<joint>-)(?P<index>\d{5})"
        r"(?P<after>-of-(?P<total>\d{5}))(?:-[0-9a-f]+)?\.parquet"
    ),
    re.compile(r"(?P<before>)(?P<split>[a-z]+)(?P<joint>/)(?P<index>\d{4,5})(?P<after>)\.parquet"),
    re.compile(r"(?P<before>[^/]*/)(?P<split>[a-z]+)(?P<joint>)(?P<index>)(?P<after>)\.parquet"),
)
WEBDATASET = (
    re.compile(
        r"(?P<before>[^/]*/(?:[^/]*[-_])?)(?P<split>[a-z]+)(?P<joint>[-_])(?P<index>\d+)"
        r"(?P<after>)\.tar"
    ),
)


@dataclass(frozen=True)
class Shard:
    """A file of one split, and what its name says; `total` where it does.

    folder: the copy's. before, joint, digits, after: what the names of its series share, from the
    copy's folder on.
    """

    path: Path
    folder: Path
    split: str
    index: int
    total: int | None
    before: str
    joint: str
    digits: int
    after: str

    def sibling(self, index: int, split: str) -> Path:
        """Where the shard with this number of this split would be."""
        number = f"{index:0{self.digits}d}" if self.digits else ""
        name = f"{self.before}{split}{self.joint}{number}{self.after}{self.path.suffix}"
        return self.folder / name


def find_shards(
    root: Path, names: Sequence[re.Pattern[str]], splits: Container[str]
) -> dict[Path, list[Shard]]:
    """The shards in `root`, some folders down and in the hub's cache, by the folder of a copy.

    names: PARQUET or WEBDATASET. splits: the words by which splits are called.
    """
    found = defaultdict(list)
    for path in files(root, names[0].pattern.rpartition(".")[2]):
        for pattern in names:
            match = pattern.fullmatch("/".join(path.parts[-2:]))
            if match and match["split"] in splits:
                shard = _shard(path, match)
                found[shard.folder].append(shard)
                break
    return dict(found)


def _shard(path: Path, match: re.Match[str]) -> Shard:
    told = match.groupdict()
    return Shard(
        path=path,
        folder=path.parent.parent if told["joint"] == "/" else path.parent,
        split=told["split"],
        index=int(told["index"] or 0),
        total=int(told["total"]) if told.get("total") else None,
        before=told["before"].rpartition("/")[2],
        joint=told["joint"],
        digits=len(told["index"]),
        after=told["after"],
    )


def files(root: Path, suffix: str) -> list[Path]:
    """The files whose names end so, in `root`, some folders down and in the hub's cache."""
    patterns = [
        f"{above}{below}.{suffix}"
        for above in ("", "snapshots/*/", "*/snapshots/*/")  # the hub's cache
        for below in ("*", "*/*", "*/*/*")
    ]
    return sorted({path for pattern in patterns for path in root.glob(pattern)})


def only_copy(kind: str, copies: dict[Path, list[Shard]]) -> tuple[Path, list[Shard]] | None:
    """The copy that was found, if any. Raises UserError when there are several."""
    if len(copies) > 1:
        names = ", ".join(str(folder) for folder in sorted(copies))
        raise UserError(f"{kind} in several folders ({names}): name one as the data root")
    return next(iter(copies.items()), None)


def complete(shards: Sequence[Shard], splits: Sequence[str]) -> list[Path]:
    """A copy's files of one split, in the order of their numbers.

    splits: the words by which it is called; the first is the one to give a missing file.
    Raises UserError naming one that is missing, or when two downloads are mixed. Where no name
    says how many there are, only one before the last can be seen to be missing.
    """
    own = [shard for shard in shards if shard.split in splits]
    if not own:
        missing = shards[0].sibling(0, splits[0])
        raise UserError(f"{missing} is missing: download it again")
    by_index = {shard.index: shard.path for shard in own}
    series = {(shard.split, shard.before, shard.joint, shard.after) for shard in own}
    if len(series) > 1 or len(by_index) < len(own):
        raise UserError(
            f"{own[0].folder} mixes {splits[0]} shards of several downloads: keep one of them"
        )
    for index in range(own[0].total or max(by_index) + 1):
        if index not in by_index:
            missing = own[0].sibling(index, own[0].split)
            raise UserError(f"{missing} is missing: download it again")
    return [by_index[index] for index in sorted(by_index)]
