"""Near-duplicates: groups of files, pictures or films, that are the same or almost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sightline.errors import UsageError

if TYPE_CHECKING:
    from sightline.index.table import Table

Ids = NDArray[np.int64]

# Rows of one product, and rows whose facts are read at a time: tens of MB.
ABOVE, BESIDE, FACTS = 1024, 4096, 65536


@dataclass(frozen=True)
class Duplicate:
    """One file of a group; `uri` is an absolute path, `id` that of its first row. `score` is its cosine with the
    group's first file; of a film the mean over its moments, each with the moment that is nearest to it there."""

    id: int
    uri: str
    score: float
    width: int
    height: int
    size: int


def near_duplicates(table: Table, threshold: float = 0.95) -> list[list[Duplicate]]:
    """Groups of at least two files, the largest group first, then in the order of indexing.

    Two pictures belong together when their cosine is at least `threshold` (in (0, 1]), two films when every moment of
    each has such a one in the other, and files that are the same byte for byte; groups are what such pairs connect, so
    two ends of a long group may be less alike. The first of a group is the one to keep: most pixels, then most bytes,
    then the oldest row; the others follow by their cosine with it. Every pair is compared (time grows with the square
    of the table), in bounded memory.
    """
    if not 0 < threshold <= 1:
        raise UsageError(f"the threshold is {threshold}: it is a cosine above 0 and at most 1, such as 0.95")
    ids, matrix = table.vectors()
    order, starts = _files(table, ids)
    if len(starts) < len(ids):  # the moments of a film side by side
        ids, matrix = ids[order], matrix[order]
    label = np.arange(len(starts))
    _join(label, *_same_hash(table, ids[starts]))
    for first, second in _near(matrix, starts, threshold):
        _join(label, first, second)
    order = np.argsort(label, kind="stable")
    groups = [group for group in np.split(order, np.flatnonzero(np.diff(label[order])) + 1) if len(group) > 1]
    groups.sort(key=lambda group: (-len(group), ids[starts[group]].min()))
    rows = np.split(np.arange(len(ids)), starts[1:])
    return [_describe(table, ids[starts[group]], [matrix[rows[file]] for file in group]) for group in groups]


def _files(table: Table, ids: Ids) -> tuple[Ids, Ids]:
    """The places of the rows, those of one film together and by their ids, and where in that order each file begins."""
    moments = table.columns(["id", "uri"], "kind = 'moment'")
    held, uris = (column.to_pylist() for column in moments.columns)
    lowest: dict[str, int] = {}
    for id, uri in zip(held, uris, strict=True):
        lowest[uri] = min(id, lowest.get(uri, id))
    rank = np.argsort(ids)
    file = ids.copy()  # of each row, named by the lowest id among its rows
    file[rank[np.searchsorted(ids, held, sorter=rank)]] = [lowest[uri] for uri in uris]
    order = np.lexsort((ids, file))
    named = file[order]
    return order, np.flatnonzero(np.append(True, named[1:] != named[:-1])[: len(named)])


def _join(label: Ids, first: Ids, second: Ids) -> None:
    """Connected components, in place: afterwards the rows of each pair carry the same, smallest, label."""
    while (apart := label[first] != label[second]).any():
        first, second = first[apart], second[apart]
        one, other = label[first], label[second]
        np.minimum.at(label, np.maximum(one, other), np.minimum(one, other))
        while ((shorter := label[label]) != label).any():
            label[:] = shorter


def _same_hash(table: Table, ids: Ids) -> tuple[Ids, Ids]:
    """Pairs (first file of these bytes, later file of the same), as positions."""
    seen: dict[Any, int] = {}
    pairs: list[tuple[int, int]] = []
    for start in range(0, len(ids), FACTS):
        for position, row in enumerate(table.rows(ids[start : start + FACTS], ["hash"]), start):
            if (first := seen.setdefault(row["hash"], position)) != position:
                pairs.append((first, position))
    array = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return array[:, 0], array[:, 1]


def _unit(rows: NDArray[np.float16]) -> NDArray[np.float32]:
    """In float32 and of unit length again, which storage in float16 has bent a little."""
    wide = rows.astype(np.float32)
    wide /= np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), np.float32(1e-12))
    return wide


def _near(matrix: NDArray[np.float16], starts: Ids, threshold: float) -> Iterator[tuple[Ids, Ids]]:
    """Pairs of near files, as positions; `starts` is where each one's rows begin. Each pair comes at least once."""
    above = _blocks(starts, len(matrix), ABOVE)
    beside = _blocks(starts, len(matrix), BESIDE)
    for top, bottom in above:
        rows = _unit(matrix[starts[top] : _end(starts, bottom, len(matrix))])
        for left, right in beside:
            if right <= top:
                continue
            columns = _unit(matrix[starts[left] : _end(starts, right, len(matrix))])
            # Of two equal pictures float32 says 1 - 1e-7 as readily as 1.
            near = rows @ columns.T >= threshold - 1e-6
            if near.shape != (bottom - top, right - left):
                down, across = starts[top:bottom] - starts[top], starts[left:right] - starts[left]
                any_across = np.logical_or.reduceat(near, across, axis=1)
                any_down = np.logical_or.reduceat(near, down, axis=0)
                near = np.logical_and.reduceat(any_across, down, axis=0)
                near &= np.logical_and.reduceat(any_down, across, axis=1)
            first, second = np.nonzero(near)
            yield first + top, second + left


def _blocks(starts: Ids, rows: int, size: int) -> list[tuple[int, int]]:
    """The files from .. to of blocks of about `size` rows; a film is never split."""
    cuts = np.unique(np.append(np.searchsorted(starts, np.arange(0, rows, size)), len(starts))).tolist()
    return list(pairwise(cuts))


def _end(starts: Ids, file: int, rows: int) -> int:
    return int(starts[file]) if file < len(starts) else rows


def _describe(table: Table, ids: Ids, vectors: list[NDArray[np.float16]]) -> list[Duplicate]:
    from sightline.index.uri import to_path

    facts = table.rows(ids, ["id", "uri", "width", "height", "size"])
    best = max(range(len(ids)), key=lambda i: (facts[i]["width"] * facts[i]["height"], facts[i]["size"], -ids[i]))
    kept = _unit(vectors[best]).T
    scores = [min(float((_unit(rows) @ kept).max(axis=1).mean()), 1.0) for rows in vectors]
    scores[best] = 1.0
    order = sorted(range(len(ids)), key=lambda i: (i != best, -scores[i], ids[i]))
    return [
        Duplicate(
            id=facts[i]["id"],
            uri=str(to_path(facts[i]["uri"])),
            score=scores[i],
            width=facts[i]["width"],
            height=facts[i]["height"],
            size=facts[i]["size"],
        )
        for i in order
    ]
