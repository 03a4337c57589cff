"""Pictures ranked by the region in them that comes nearest to a query: a small thing counts as much as a large one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sightline.index.table import Table
from sightline.models.regions import unpack


@dataclass(frozen=True, eq=False)
class Region:
    """Where in a picture, or in the middle frame of a moment, something was found.

    `box` is (left, top, right, bottom) in pixels of the picture as it is seen. `mask` (rows, columns), bool, says which
    patches belong to it; they lie over `window`, (left, top, right, bottom) in pixels: what of the picture the model
    saw, which for a picture that is no square is the middle.
    """

    box: tuple[int, int, int, int]
    mask: NDArray[np.bool_]
    window: tuple[float, float, float, float]

    def mask_of(self, picture: tuple[int, int], size: tuple[int, int]) -> NDArray[np.bool_]:
        """The mask (height, width) over all of a `picture` of (width, height), drawn at `size` (width, height)."""
        left, top, right, bottom = self.window
        rows, columns = self.mask.shape
        x = ((np.arange(size[0]) + 0.5) * picture[0] / size[0] - left) / (right - left) * columns
        y = ((np.arange(size[1]) + 0.5) * picture[1] / size[1] - top) / (bottom - top) * rows
        inside = ((y >= 0) & (y < rows))[:, None] & ((x >= 0) & (x < columns))[None]
        cells = self.mask[y.astype(int).clip(0, rows - 1)[:, None], x.astype(int).clip(0, columns - 1)[None]]
        mask: NDArray[np.bool_] = inside & cells
        return mask


def nearest(
    table: Table, query: NDArray[np.float32], k: int, allow: NDArray[np.int64] | None
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The cosines and ids, (k,) each or fewer, of the items whose best region is nearest, best first, ties by id.

    Exact: each region of each item is compared; the table's regions are read once, some rows at a time.
    """
    scores, ids = np.empty(0, np.float32), np.empty(0, np.int64)
    for some, packed in table.regions():
        if allow is not None:
            there = np.isin(some, allow)
            some, packed = some[there], packed[there]
        scores = np.concatenate([scores, _cosines(table, packed, query).max(axis=1, initial=-np.inf)])
        ids = np.concatenate([ids, some])
        best = np.lexsort((ids, -scores))[:k]
        scores, ids = scores[best], ids[best]
    return scores, ids


def regions_of(table: Table, ids: NDArray[np.int64], query: NDArray[np.float32], profile: Any) -> list[Region]:
    """The region of each item that comes nearest to the query."""
    regions = []
    for row, packed in zip(table.rows(ids, ["width", "height"]), table.regions_of(ids), strict=True):
        number = int(_cosines(table, packed[None], query)[0].argmax())
        mask = unpack(packed[None], _shape(table))[1][0] == number
        left, top, right, bottom = window = profile.visible_box(row["height"], row["width"])
        down, across = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
        high, wide = (bottom - top) / mask.shape[0], (right - left) / mask.shape[1]
        box = (
            max(0, int(left + across[0] * wide)),
            max(0, int(top + down[0] * high)),
            min(row["width"], int(np.ceil(left + (across[-1] + 1) * wide))),
            min(row["height"], int(np.ceil(top + (down[-1] + 1) * high))),
        )
        regions.append(Region(box, mask, window))
    return regions


def _cosines(table: Table, packed: NDArray[np.float16], query: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, regions); minus infinity for a region to which no patch belongs: it is nowhere."""
    vectors, owners = unpack(packed, _shape(table))
    cosines = vectors.astype(np.float32) @ query
    there = (owners.reshape(len(owners), -1, 1) == np.arange(vectors.shape[1])).any(axis=1)
    return np.where(there, cosines, np.float32(-np.inf))


def _shape(table: Table) -> tuple[int, int, int]:
    assert table.model.regions is not None
    return table.model.regions
