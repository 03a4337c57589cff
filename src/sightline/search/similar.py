"""Near-duplicates: groups of pictures that are the same or almost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sightline.errors import UsageError

if TYPE_CHECKING:
    from sightline.index.table import Table

# Rows of one product, and rows whose facts are read at a time: tens of MB.
ABOVE, BESIDE, FACTS = 1024, 4096, 65536


@dataclass(frozen=True)
class Duplicate:
    """One picture of a group. `score` is its cosine with the group's first picture; `uri` an absolute path."""

    id: int
    uri: str
    score: float
    width: int
    height: int
    size: int


def near_duplicates(table: Table, threshold: float = 0.95) -> list[list[Duplicate]]:
    """Groups of at least two pictures, the largest group first, then in the order of indexing.

    Two pictures belong together when their cosine is at least `threshold` (in (0, 1]) or their files are the same
    byte for byte; groups are what such pairs connect, so two ends of a long group may be less alike. The first of a
    group is the one to keep: most pixels, then most bytes, then the oldest row; the others follow by their cosine
    with it. Every pair is compared (time grows with the square of the table), in bounded memory.
    """
    if not 0 < threshold <= 1:
        raise UsageError(f"the threshold is {threshold}: it is a cosine above 0 and at most 1, such as 0.95")
    ids, matrix = table.vectors()
    label = np.arange(len(ids))
    _join(label, *_same_hash(table, ids))
    for first, second in _near(matrix, threshold):
        _join(label, first, second)
    order = np.argsort(label, kind="stable")
    groups = [group for group in np.split(order, np.flatnonzero(np.diff(label[order])) + 1) if len(group) > 1]
    groups.sort(key=lambda group: (-len(group), ids[group].min()))
    return [_describe(table, ids[group], matrix[group]) for group in groups]


def _join(label: NDArray[np.int64], first: NDArray[np.int64], second: NDArray[np.int64]) -> None:
    """Connected components, in place: afterwards the rows of each pair carry the same, smallest, label."""
    while (apart := label[first] != label[second]).any():
        first, second = first[apart], second[apart]
        one, other = label[first], label[second]
        np.minimum.at(label, np.maximum(one, other), np.minimum(one, other))
        while ((shorter := label[label]) != label).any():
            label[:] = shorter


def _same_hash(table: Table, ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs (first row of these bytes, later row of the same), as positions."""
    seen: dict[Any, int] = {}
    pairs: list[tuple[int, int]] = []
    for start in range(0, len(ids), FACTS):
        for position, row in enumerate(table.rows(ids[start : start + FACTS], ["hash", "start"]), start):
            if (first := seen.setdefault((row["hash"], row["start"]), position)) != position:
                pairs.append((first, position))
    array = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return array[:, 0], array[:, 1]


def _unit(rows: NDArray[np.float16]) -> NDArray[np.float32]:
    """In float32 and of unit length again, which storage in float16 has bent a little."""
    wide = rows.astype(np.float32)
    wide /= np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), np.float32(1e-12))
    return wide


def _near(matrix: NDArray[np.float16], threshold: float) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    for top in range(0, len(matrix), ABOVE):
        above = _unit(matrix[top : top + ABOVE])
        for left in range(top, len(matrix), BESIDE):
            # Of two equal pictures float32 says 1 - 1e-7 as readily as 1.
            rows, columns = np.nonzero(above @ _unit(matrix[left : left + BESIDE]).T >= threshold - 1e-6)
            yield rows + top, columns + left


def _describe(table: Table, ids: NDArray[np.int64], vectors: NDArray[np.float16]) -> list[Duplicate]:
    from sightline.index.uri import to_path

    facts = table.rows(ids, ["id", "uri", "width", "height", "size"])
    best = max(range(len(ids)), key=lambda i: (facts[i]["width"] * facts[i]["height"], facts[i]["size"], -ids[i]))
    unit = _unit(vectors)
    scores = np.minimum(unit @ unit[best], np.float32(1))
    scores[best] = 1
    order = sorted(range(len(ids)), key=lambda i: (i != best, -scores[i], ids[i]))
    return [
        Duplicate(
            id=facts[i]["id"],
            uri=str(to_path(facts[i]["uri"])),
            score=float(scores[i]),
            width=facts[i]["width"],
            height=facts[i]["height"],
            size=facts[i]["size"],
        )
        for i in order
    ]
