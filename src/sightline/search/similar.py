"""Near-duplicates: groups of files, images or videos, that are the same or almost."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sightline.errors import UsageError
from sightline.index.uri import to_path
from sightline.progress import Progress, ProgressCallback, no_progress
from sightline.vectors import unit

if TYPE_CHECKING:
    from sightline.index.table import Table

Ids = NDArray[np.int64]

TILE = 1024, 4096
"""Rows and columns of a product of vectors: tens of MB."""
HASHES = 65536
"""Rows whose hashes are read at a time."""


@dataclass(frozen=True)
class Duplicate:
    """A file of a group. `uri` is an absolute path, `id` that of the file's first row. `score` is the cosine with the
    group's first file; of a video the mean over its moments, each with the nearest moment of the first file."""

    id: int
    uri: str
    score: float
    width: int
    height: int
    size: int


def near_duplicates(
    table: Table,
    threshold: float = 0.95,
    where: str | None = None,
    progress: ProgressCallback = no_progress,
    *,
    tile: tuple[int, int] = TILE,
    hashes: int = HASHES,
) -> list[list[Duplicate]]:
    """Groups of at least two files, the largest group first, then in the order of indexing.

    Two images belong together when their cosine is at least `threshold` (in (0, 1]), two videos when every moment of
    each has such a moment in the other, and two files that are the same byte for byte. Groups are what such pairs
    connect, so two ends of a long group may be less alike. The first of a group is the file to keep: most pixels, then
    most bytes, then the oldest row; the others follow by their cosine with it. Every pair is compared (time grows with
    the square of the table), in bounded memory: `tile` rows and columns of vectors, `hashes` rows of hashes at a time.
    Where several names lead to one file, by links or mounts, only one of them is in a group: to delete another name
    would gain no space, or lose the file.
    `where`: only files of which a row fulfils this condition (docs/filters.md); a video then counts with all its rows.
    Raises UsageError for a threshold that is no cosine above 0, and for what is no condition.
    """
    if not 0 < threshold <= 1:
        raise UsageError(f"the threshold is {threshold}: it is a cosine above 0 and at most 1, such as 0.95")
    ids, matrix = table.vectors()
    order, starts = _files(table, ids)
    if where is not None:
        order, starts = _chosen(order, starts, np.isin(ids, table.ids_where(where)))
    if len(starts) < len(ids):  # the moments of a video side by side, without the files that are not looked at
        ids, matrix = ids[order], matrix[order]
    label = np.arange(len(starts))
    _join(label, *_same_hash(table, ids[starts], hashes))
    for first, second in _near(matrix, starts, threshold, tile, progress):
        _join(label, first, second)
    order = np.argsort(label, kind="stable")
    groups = [group for group in np.split(order, np.flatnonzero(np.diff(label[order])) + 1) if len(group) > 1]
    groups = [group for group in (_real_files(table, ids[starts], group) for group in groups) if len(group) > 1]
    groups.sort(key=lambda group: (-len(group), ids[starts[group]].min()))
    rows = np.split(np.arange(len(ids)), starts[1:])
    return [_describe(table, ids[starts[group]], [matrix[rows[file]] for file in group]) for group in groups]


def _files(table: Table, ids: Ids) -> tuple[Ids, Ids]:
    """The places of the rows, those of a video together and by their ids, and where in that order each file begins."""
    moments = table.columns(["id", "uri"], "kind = 'moment'")
    moment_ids, uris = (column.to_pylist() for column in moments.columns)
    lowest: dict[str, int] = {}
    for id, uri in zip(moment_ids, uris, strict=True):
        lowest[uri] = min(id, lowest.get(uri, id))
    rank = np.argsort(ids)
    file = ids.copy()  # each row's file, by the lowest id among the file's rows
    file[rank[np.searchsorted(ids, moment_ids, sorter=rank)]] = [lowest[uri] for uri in uris]
    order = np.lexsort((ids, file))
    ordered = file[order]
    return order, np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)])


def _chosen(order: Ids, starts: Ids, fulfil: NDArray[np.bool_]) -> tuple[Ids, Ids]:
    """`order` and `starts` of the files of which a row is among those that fulfil the condition."""
    if not len(starts):
        return order, starts
    chosen = np.logical_or.reduceat(fulfil[order], starts)
    lengths = np.diff(np.append(starts, len(order)))
    return order[np.repeat(chosen, lengths)], np.cumsum(lengths[chosen]) - lengths[chosen]


def _join(label: Ids, first: Ids, second: Ids) -> None:
    """Connected components, in place: afterwards the rows of each pair carry the same, smallest, label."""
    while (apart := label[first] != label[second]).any():
        first, second = first[apart], second[apart]
        first_label, second_label = label[first], label[second]
        np.minimum.at(label, np.maximum(first_label, second_label), np.minimum(first_label, second_label))
        while ((shorter := label[label]) != label).any():
            label[:] = shorter


def _same_hash(table: Table, ids: Ids, step: int) -> tuple[Ids, Ids]:
    """Pairs (first file with these bytes, later file with the same), as positions."""
    firsts: dict[Any, int] = {}
    pairs: list[tuple[int, int]] = []
    for start in range(0, len(ids), step):
        for position, row in enumerate(table.rows(ids[start : start + step], ["hash"]), start):
            if (first := firsts.setdefault(row["hash"], position)) != position:
                pairs.append((first, position))
    array = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return array[:, 0], array[:, 1]


def _near(
    matrix: NDArray[np.float16], starts: Ids, threshold: float, tile: tuple[int, int], progress: ProgressCallback
) -> Iterator[tuple[Ids, Ids]]:
    """Pairs of near files, as positions; `starts` is where each file's rows begin. Each pair comes at least once."""
    above, beside = (_blocks(starts, len(matrix), size) for size in tile)
    for top, bottom in above:
        rows = unit(matrix[starts[top] : _end(starts, bottom, len(matrix))])
        for left, right in beside:
            if right <= top:
                continue
            columns = unit(matrix[starts[left] : _end(starts, right, len(matrix))])
            # The cosine of two equal images is 1 in float32 only up to rounding.
            is_near = rows @ columns.T >= threshold - 1e-6
            if is_near.shape != (bottom - top, right - left):
                down, across = starts[top:bottom] - starts[top], starts[left:right] - starts[left]
                any_across = np.logical_or.reduceat(is_near, across, axis=1)
                any_down = np.logical_or.reduceat(is_near, down, axis=0)
                is_near = np.logical_and.reduceat(any_across, down, axis=0)
                is_near &= np.logical_and.reduceat(any_down, across, axis=1)
            first, second = np.nonzero(is_near)
            yield first + top, second + left
        progress(Progress("comparing", bottom, len(starts)))


def _blocks(starts: Ids, rows: int, size: int) -> list[tuple[int, int]]:
    """The first and the last file (exclusive) of blocks of about `size` rows; a video is never split."""
    cuts = np.unique(np.append(np.searchsorted(starts, np.arange(0, rows, size)), len(starts))).tolist()
    return list(pairwise(cuts))


def _end(starts: Ids, file: int, rows: int) -> int:
    return int(starts[file]) if file < len(starts) else rows


def _real_files(table: Table, ids: Ids, group: Ids) -> Ids:
    """The files of a group, as positions, without those that are other names of one of them."""
    paths = [str(to_path(row["uri"])) for row in table.rows(ids[group], ["uri"])]
    real = [os.path.realpath(path) for path in paths]
    seen: set[tuple[Any, ...]] = set()
    kept = []
    for place in sorted(range(len(paths)), key=lambda place: (paths[place] != real[place], place)):
        names = _names(real[place])
        if not names & seen:
            kept.append(place)
        seen |= names
    return group[sorted(kept)]


def _names(path: str) -> set[tuple[Any, ...]]:
    """What shows that two paths lead to the same file, if they have one of it in common. Where a file system leaves it
    in doubt, two files count as one: they are not offered then."""
    names: set[tuple[Any, ...]] = {("path", path)}
    with suppress(OSError, ValueError):
        stated = Path(path).stat()
        names.add(("inode", stated.st_dev, stated.st_ino, stated.st_size))
        if stated.st_nlink > 1:  # hard links share their times even where inode numbers are unstable
            names.add(("times", stated.st_dev, stated.st_size, stated.st_mtime_ns, stated.st_ctime_ns))
    return names


def _describe(table: Table, ids: Ids, vectors: list[NDArray[np.float16]]) -> list[Duplicate]:
    facts = table.rows(ids, ["id", "uri", "width", "height", "size"])
    best = max(range(len(ids)), key=lambda i: (facts[i]["width"] * facts[i]["height"], facts[i]["size"], -ids[i]))
    reference = unit(vectors[best]).T
    scores = [min(float((unit(rows) @ reference).max(axis=1).mean()), 1.0) for rows in vectors]
    scores[best] = 1.0
    order = sorted(range(len(ids)), key=lambda i: (i != best, -scores[i], ids[i]))
    return [
        Duplicate(row["id"], str(to_path(row["uri"])), scores[i], row["width"], row["height"], row["size"])
        for i, row in ((i, facts[i]) for i in order)
    ]
