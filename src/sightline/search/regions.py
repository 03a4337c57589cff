"""Images ranked by the region in them that comes nearest to a query: a small thing counts as much as a large one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sightline.index.table import Table
from sightline.models.regions import unpack
from sightline.processing.image.profile import PixelProfile
from sightline.search.result import Ranked


@dataclass(frozen=True, eq=False)
class Region:
    """A part of an image, or of the middle frame of a moment.

    `box` is (left, top, right, bottom) in pixels of the upright image. `mask` (rows, columns), bool, says which patches
    belong to the region; they lie over `window`, (left, top, right, bottom) in pixels: the part of the image that the
    model saw, its middle square.
    """

    box: tuple[int, int, int, int]
    mask: NDArray[np.bool_]
    window: tuple[float, float, float, float]

    def mask_of(self, image: tuple[int, int], size: tuple[int, int]) -> NDArray[np.bool_]:
        """The mask (height, width) over all of an `image` of (width, height), drawn at `size` (width, height)."""
        left, top, right, bottom = self.window
        rows, columns = self.mask.shape
        x = ((np.arange(size[0]) + 0.5) * image[0] / size[0] - left) / (right - left) * columns
        y = ((np.arange(size[1]) + 0.5) * image[1] / size[1] - top) / (bottom - top) * rows
        inside = ((y >= 0) & (y < rows))[:, None] & ((x >= 0) & (x < columns))[None]
        cells = self.mask[y.astype(int).clip(0, rows - 1)[:, None], x.astype(int).clip(0, columns - 1)[None]]
        mask: NDArray[np.bool_] = inside & cells
        return mask


def nearest(
    queries: NDArray[np.float32], table: Table, k: int, allow: NDArray[np.int64] | None, profile: PixelProfile
) -> list[Ranked]:
    """For each query's vector (q, dim) the k items, or fewer, whose best region is nearest, ties by id, each with that
    region. `allow`: the ids that may be found, None for all. `profile`: the model's, by which it crops images.

    Exact: each region of each item is compared; the table's regions are read once, some rows at a time.
    """
    best = [Ranked(np.empty(0, np.float32), np.empty(0, np.int64)) for _ in queries]
    for ids, packed in table.regions():
        if allow is not None:
            kept = np.isin(ids, allow)
            ids, packed = ids[kept], packed[kept]
        if not len(ids):
            continue
        regions, is_shown, _ = _unpack(table, packed)
        for row, query in enumerate(queries):  # not by one product, whose bits depend on how many queries there are
            cosines = _cosines(regions, is_shown, query)
            scores = np.concatenate([best[row].scores, cosines.max(axis=1, initial=-np.inf)])
            merged = np.concatenate([best[row].ids, ids])
            first = np.lexsort((merged, -scores))[:k]
            best[row] = Ranked(scores[first], merged[first])
    return [
        Ranked(scores, ids, _regions(table, ids, query, profile))
        for (scores, ids, _), query in zip(best, queries, strict=True)
    ]


def _regions(
    table: Table, ids: NDArray[np.int64], query: NDArray[np.float32], profile: PixelProfile
) -> Sequence[Region]:
    """The region of each item that comes nearest to a query."""
    regions = []
    for row, packed in zip(table.rows(ids, ["width", "height"]), table.regions_of(ids), strict=True):
        vectors, is_shown, owners = _unpack(table, packed[None])
        mask = owners[0] == int(_cosines(vectors, is_shown, query)[0].argmax())
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


def _cosines(
    regions: NDArray[np.float32], is_shown: NDArray[np.bool_], query: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The cosines (n, regions) of a query with the regions; minus infinity for a region without a patch."""
    return np.where(is_shown, regions @ query, np.float32(-np.inf))


def _unpack(
    table: Table, packed: NDArray[np.float16]
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.int64]]:
    """Of packed regions: their vectors float32 (n, regions, dim), whether any patch belongs to each (n, regions), and
    the region of each patch (n, rows, columns)."""
    assert table.model.regions is not None
    vectors, owners = unpack(packed, table.model.regions)
    is_shown = (owners.reshape(len(owners), -1, 1) == np.arange(vectors.shape[1])).any(axis=1)
    return vectors.astype(np.float32), is_shown, owners
