"""Ranks over all pairs of two lists, without ever holding the matrix of all their scores.

Shapes: N pictures, T texts, D numbers in a vector.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Scores = Callable[[slice, slice], NDArray[np.floating]]
"""The scores (n, t) of a range of pictures with a range of texts."""

TILE = (1024, 4096)
"""Pictures and texts whose scores are in memory at a time: 32 MB."""

_GRID = np.float32(2**26)


def exact_cosines(images: NDArray[np.float32], texts: NDArray[np.float32]) -> Scores:
    """Unit vectors (N, D) and (T, D) -> their dot products, the same bits in tiles of any shape, on any machine.

    A product's rounding depends on its shape, and a rank counts who is ahead by however little. So the numbers are
    first rounded to multiples of 2^-26 (which moves a cosine by some 1e-8, less than float32's sums do); the products
    are then multiples of 2^-52, and by Cauchy and Schwarz no partial sum reaches 2: float64 holds each of them exactly.
    Raises `ValueError` for vectors that are longer than 1 or not finite.
    """
    for name, rows in (("pictures", images), ("texts", texts)):
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
    report: Callable[[int], None] = lambda images: None,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ranks from 0 of each picture's best text (N,) and of each text's picture (T,), equal scores by position.

    `owner` (T,) says which picture each text is of; ascending, and each picture has one. Both directions are counted
    in the same tiles, of which one is in memory; `scores` must give a tile twice the same. `report` hears how many
    pictures are done. The numbers are those of `recall.ranks`. Raises `ValueError` for a wrong `owner` and for scores
    that are not numbers.
    """
    count = int(owner[-1]) + 1 if len(owner) else 0
    if count and (owner[0] != 0 or not np.isin(np.diff(owner), (0, 1)).all()):
        raise ValueError("texts must come in the order of their pictures, and each picture needs one")
    rows = [slice(start, min(start + tile[0], count)) for start in range(0, count, tile[0])]
    columns = [slice(start, min(start + tile[1], len(owner))) for start in range(0, len(owner), tile[1])]

    def tile_of(r: slice, c: slice) -> NDArray[np.floating]:
        found = scores(r, c)
        if np.isnan(found).any():
            raise ValueError("scores hold NaN, which have no order")
        return found

    # First the right answers alone. They lie along a staircase from the first tile to the last.
    right = np.empty(len(owner))
    for r in rows:
        first, last = np.searchsorted(owner, [r.start, r.stop])
        for c in columns:
            own = np.arange(max(first, c.start), min(last, c.stop))
            if len(own):
                right[own] = tile_of(r, c)[owner[own] - r.start, own - c.start]
    starts = np.searchsorted(owner, np.arange(count))
    best = np.maximum.reduceat(right, starts) if count else right
    leaders = np.flatnonzero(right == best[owner])
    leader = leaders[np.searchsorted(owner[leaders], np.arange(count))]

    of_images, of_texts = np.zeros(count, np.int64), np.zeros(len(owner), np.int64)
    for r in rows:
        for c in columns:
            found = tile_of(r, c)
            of_images[r] += _ahead(found, best[r], leader[r], c.start)
            of_texts[c] += _ahead(found.T, right[c], owner[c], r.start)
        report(r.stop)
    return of_images, of_texts


def _ahead(
    found: NDArray[np.floating], level: NDArray[np.floating], place: NDArray[np.int64], start: int
) -> NDArray[np.int64]:
    """How many of each row of `found` (R, C), whose columns are `start` and on, come before the answer at `place` (R,)
    with the score `level` (R,)."""
    stop = start + found.shape[1]
    if place.min() >= stop:
        count: NDArray[np.int64] = (found >= level[:, None]).sum(1)
        return count
    count = (found > level[:, None]).sum(1)
    if place.max() > start:
        count += ((found == level[:, None]) & (np.arange(start, stop) < place[:, None])).sum(1)
    return count
