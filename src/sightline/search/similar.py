"""Near-duplicates: groups of files, images or videos, that are the same or almost.

A model's vectors say what an image shows, so that two photos of one kind of thing may be nearer to one another than a
photo is to its own copy, and how near depends on the model. So two witnesses are asked: the vectors, and the perceptual
hashes of the thumbnails, which say how light and dark lie in an image (docs/decisions/0028-what-a-search-answers.md).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from sightline.errors import UsageError
from sightline.index.uri import to_path
from sightline.progress import Progress, ProgressCallback, no_progress
from sightline.search.presence import missing_files
from sightline.vectors import unit

if TYPE_CHECKING:
    from sightline.index.table import Table

Ids = NDArray[np.int64]

TILE = 1024, 4096
"""Rows and columns of a product of vectors: tens of MB."""
HASHES = 65536
"""Rows whose hashes are read at a time."""
HASH_BITS = 10
"""Bits of 64 in which the perceptual hashes of two images that are almost the same may differ."""

Match = Literal["first", "exact", "near"]


@dataclass(frozen=True)
class Duplicate:
    """A file of a group. `uri` is an absolute path, `id` that of the file's first row. `match`: "first", the file to
    keep; "exact", the same bytes as the first; "near", almost the same as the first. `score` is the cosine with the
    first file; of a video the mean over its moments, each with the nearest moment of the first file. `missing`: whether
    there is certainly no such file any more; None if its disk gave no answer."""

    id: int
    uri: str
    match: Match
    score: float
    width: int
    height: int
    size: int
    missing: bool | None


def near_duplicates(
    table: Table,
    threshold: float = 0.9,
    where: str | None = None,
    progress: ProgressCallback = no_progress,
    *,
    tile: tuple[int, int] = TILE,
    hashes: int = HASHES,
) -> list[list[Duplicate]]:
    """Groups of at least two files, the largest group first, then in the order of indexing.

    Two images are near when their cosine is at least `threshold` (in (0, 1]) and their perceptual hashes differ in at
    most HASH_BITS bits (rows of older formats may have no hash: then by the cosine alone), two videos when every
    moment of each has such a moment in the other. The first of a group is the file to keep: one that is still
    there, of these that of most pixels, then one that says when it was taken, then that of most bytes, then of the
    oldest row. All others are near to the first, or the same byte for byte; exact copies come before near ones,
    each by their cosine, and what is missing comes last. Every pair is compared (time grows with the square of the
    table), in bounded memory: `tile` rows and columns of vectors, `hashes` rows of hashes at a time.
    Where several names lead to one file, by links or mounts, only one of them is in a group: to delete another name
    would gain no space, or lose the file.
    `where`: only files of which a row fulfils this condition (docs/filters.md); a video then counts with all its rows.
    Raises UsageError for a threshold that is no cosine above 0, and for what is no condition.
    """
    if not 0 < threshold <= 1:
        raise UsageError(f"the threshold is {threshold}: it is a cosine above 0 and at most 1, such as 0.9")
    ids, matrix = table.vectors()
    order, starts = _files(table, ids)
    if where is not None:
        order, starts = _chosen(order, starts, np.isin(ids, table.ids_where(where)))
    if len(starts) < len(ids):  # the moments of a video side by side, without the files that are not looked at
        ids, matrix = ids[order], matrix[order]
    files = _Files(table, ids, matrix, starts, threshold)
    label = np.arange(len(starts))
    _join(label, *_same_hash(table, files.ids, hashes))
    for first, second in _near(files, tile, progress):
        _join(label, first, second)
    order = np.argsort(label, kind="stable")
    connected = [part for part in np.split(order, np.flatnonzero(np.diff(label[order])) + 1) if len(part) > 1]
    parts = [part for part in (_real_files(table, files.ids, part) for part in connected) if len(part) > 1]
    facts = _facts(table, files, parts)
    groups = [group for part in parts for group in _groups(files, part, facts)]
    return sorted(groups, key=lambda group: (-len(group), min(item.id for item in group)))


class _Files:
    """The files to compare: their rows' vectors and perceptual hashes, the rows of a file side by side."""

    def __init__(self, table: Table, ids: Ids, matrix: NDArray[np.float16], starts: Ids, threshold: float) -> None:
        """`ids` and `matrix` (n, dim) are those of the rows; `starts`: where the rows of each file begin."""
        self.ids, self.starts, self._matrix = ids[starts], starts, matrix
        self._lengths = np.diff(np.append(starts, len(ids)))
        self._least = threshold - 1e-6  # the cosine of two equal images is 1 in float32 only up to rounding
        rows = table.columns(["id", "phash"])
        rank = np.argsort(rows.column("id").to_numpy())
        found = rank[np.searchsorted(rows.column("id").to_numpy(), ids, sorter=rank)]
        column = rows.column("phash")
        self._hashes = column.fill_null(0).to_numpy()[found]
        self._has_hash = column.is_valid().to_numpy()[found]

    def vectors(self, files: Ids) -> NDArray[np.float32]:
        """Of all rows of these files, float32 (m, dim)."""
        return unit(self._matrix[self._rows(files)])

    def near(self, first: Ids, second: Ids) -> NDArray[np.bool_]:
        """Which of the files are near to which (len(first), len(second))."""
        is_near = self.vectors(first) @ self.vectors(second).T >= self._least
        down, across = np.nonzero(is_near)
        one, other = self._rows(first)[down], self._rows(second)[across]
        for start in range(0, len(down), HASHES):
            pairs = slice(start, start + HASHES)
            a, b = one[pairs], other[pairs]
            differing = np.unpackbits((self._hashes[a] ^ self._hashes[b]).view(np.uint8).reshape(-1, 8), axis=1)
            apart = (differing.sum(axis=1) > HASH_BITS) & self._has_hash[a] & self._has_hash[b]
            is_near[down[pairs][apart], across[pairs][apart]] = False
        if is_near.shape == (len(first), len(second)):
            return is_near
        down, across = (np.cumsum(self._lengths[files]) - self._lengths[files] for files in (first, second))
        any_across = np.logical_or.reduceat(is_near, across, axis=1)
        any_down = np.logical_or.reduceat(is_near, down, axis=0)
        both: NDArray[np.bool_] = np.logical_and.reduceat(any_across, down, axis=0)
        return both & np.logical_and.reduceat(any_down, across, axis=1)

    def _rows(self, files: Ids) -> Ids:
        lengths = self._lengths[files]
        before = np.cumsum(lengths) - lengths
        rows: Ids = np.arange(lengths.sum()) + np.repeat(self.starts[files] - before, lengths)
        return rows


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


def _near(files: _Files, tile: tuple[int, int], progress: ProgressCallback) -> Iterator[tuple[Ids, Ids]]:
    """Pairs of near files, as positions. Each pair comes at least once."""
    above, beside = (_blocks(files, size) for size in tile)
    for top in above:
        for left in beside:
            if left[-1] >= top[0]:
                first, second = np.nonzero(files.near(top, left))
                yield top[first], left[second]
        progress(Progress("comparing", int(top[-1]) + 1, len(files.ids)))


def _blocks(files: _Files, size: int) -> list[Ids]:
    """All files in blocks of about `size` rows; a video is never split."""
    starts = files.starts
    if not len(starts):
        return []
    cuts = np.unique(np.searchsorted(starts, np.arange(size, starts[-1] + 1, size)))
    return np.split(np.arange(len(starts)), cuts)


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


def _facts(table: Table, files: _Files, parts: Sequence[Ids]) -> dict[int, dict[str, Any]]:
    """Of the files in these parts, by their positions: what the table says, "uri" as a path, and "missing"."""
    positions = np.concatenate([np.empty(0, np.int64), *parts])
    rows = table.rows(files.ids[positions], ["id", "uri", "width", "height", "size", "taken", "hash"])
    for row in rows:
        row["uri"] = str(to_path(row["uri"]))
    for row, missing in zip(rows, missing_files([row["uri"] for row in rows]), strict=True):
        row["missing"] = missing
    return dict(zip(positions.tolist(), rows, strict=True))


def _groups(files: _Files, part: Ids, facts: Mapping[int, dict[str, Any]]) -> Iterator[list[Duplicate]]:
    """Connected files as groups around the file to keep: what is only near to a neighbour of it is in no group with
    it, for the neighbour is what may be deleted."""
    left = sorted(part.tolist(), key=lambda file: _preference(facts[file]))
    while len(left) > 1:
        first, *others = left
        matches: dict[int, Match] = {first: "first"}
        for file, is_near in zip(others, files.near(np.array([first]), np.array(others))[0].tolist(), strict=True):
            if facts[file]["hash"] == facts[first]["hash"]:
                matches[file] = "exact"
            elif is_near:
                matches[file] = "near"
        if len(matches) > 1:
            yield _group(files, first, matches, facts)
        left = [file for file in others if file not in matches]


def _preference(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """The file to keep has the lowest: one that is there rather than one of which that is unknown, or that is gone. Of
    as many pixels an export without the original's date may have more bytes."""
    missing, pixels = row["missing"], row["width"] * row["height"]
    return missing is not False, missing is True, -pixels, row["taken"] is None, -row["size"], row["id"]


def _group(
    files: _Files, first: int, matches: Mapping[int, Match], facts: Mapping[int, dict[str, Any]]
) -> list[Duplicate]:
    reference = files.vectors(np.array([first])).T
    group = []
    for file, match in matches.items():
        row = facts[file]
        cosines = files.vectors(np.array([file])) @ reference
        score = 1.0 if file == first else min(float(cosines.max(axis=1).mean()), 1.0)
        shown = (row[name] for name in ("width", "height", "size", "missing"))
        group.append(Duplicate(row["id"], row["uri"], match, score, *shown))
    places = {"first": 0, "exact": 1, "near": 2}
    return sorted(
        group, key=lambda item: (item.match != "first", item.missing is True, places[item.match], -item.score)
    )
