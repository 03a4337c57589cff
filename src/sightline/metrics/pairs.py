"""Ranks over all pairs of two lists, without ever holding the matrix of all their scores.

Shapes: N images, T texts, D numbers in a vector.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sightline.metrics.recall import count_ahead
from sightline.vectors import tiles

Scores = Callable[[slice, slice], NDArray[np.floating]]
"""The scores (n, t) of a range of images with a range of texts."""

TILE = (1024, 4096)
"""Images and texts whose scores are in memory at a time: 32 MB."""

_GRID = np.float32(2**26)


def exact_cosines(images: NDArray[np.float32], texts: NDArray[np.float32]) -> Scores:
    """Unit vectors (N, D) and (T, D) -> their dot products, the same bits in tiles of any shape, on any machine.

    A product's rounding depends on its shape, and a rank counts scores that are higher by however little. So the
    numbers are first rounded to multiples of 2^-26 (which moves a cosine by some 1e-8, less than float32's sums do);
    the products are then multiples of 2^-52, and by Cauchy and Schwarz no partial sum reaches 2: float64 holds each of
    them exactly.
    Raises `ValueError` for vectors that are longer than 1 or not finite.
    """
    for name, rows in (("images", images), ("texts", texts)):
        # Also false where it is NaN.
        if len(rows) and not np.sqrt(np.einsum("nd,nd->n", rows, rows).max()) < 1.01:
            raise ValueError(f"the vectors of the {name} are not of unit length, or not finite")

    def scores(rows: slice, columns: slice) -> NDArray[np.float64]:
        product: NDArray[np.float64] = _on_grid(images[rows]) @ _on_grid(texts[columns]).T
        return product

    return scores


def _on_grid(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    exact: NDArray[np.float64] = (np.rint(rows * _GRID) / _GRID).astype(np.float64)
    return exact


def pair_ranks(
    scores: Scores,
    owner: NDArray[np.int64],
    tile: tuple[int, int] = TILE,
    progress: Callable[[int], None] = lambda images: None,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ranks from 0 of each image's best text (N,) and of each text's image (T,), equal scores by position.

    `owner` (T,) says which image each text is of; ascending, and each image has one. Both directions are counted in
    the same tiles, of which one is in memory; `scores` must give a tile twice the same. `progress` gets the number of
    images that are done. The numbers are those of `recall.ranks`. Raises `ValueError` for a wrong `owner` and for
    scores that are NaN.
    """
    count = int(owner[-1]) + 1 if len(owner) else 0
    if count and (owner[0] != 0 or not np.isin(np.diff(owner), (0, 1)).all()):
        raise ValueError("texts must come in the order of their images, and each image needs one")

    def block_of(rows: slice, columns: slice) -> NDArray[np.floating]:
        block = scores(rows, columns)
        if np.isnan(block).any():
            raise ValueError("scores hold NaN, which have no order")
        return block

    # First the right answers alone. They lie along a staircase from the first tile to the last.
    right = np.empty(len(owner))
    for rows, columns in tiles(count, len(owner), tile):
        first, last = np.searchsorted(owner, [rows.start, rows.stop])
        texts = np.arange(max(first, columns.start), min(last, columns.stop))
        if len(texts):
            right[texts] = block_of(rows, columns)[owner[texts] - rows.start, texts - columns.start]
    starts = np.searchsorted(owner, np.arange(count))
    best = np.maximum.reduceat(right, starts) if count else right
    leaders = np.flatnonzero(right == best[owner])
    leader = leaders[np.searchsorted(owner[leaders], np.arange(count))]

    of_images, of_texts = np.zeros(count, np.int64), np.zeros(len(owner), np.int64)
    for rows, columns in tiles(count, len(owner), tile):
        block = block_of(rows, columns)
        of_images[rows] += count_ahead(block, best[rows], leader[rows], columns.start)
        of_texts[columns] += count_ahead(block.T, right[columns], owner[columns], rows.start)
        if columns.stop == len(owner):
            progress(rows.stop)
    return of_images, of_texts
