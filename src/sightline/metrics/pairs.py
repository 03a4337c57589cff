"""Ranks over all pairs of two lists, without ever holding the matrix of all their scores.

Shapes: N images, T texts, D different ones among them.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sightline.metrics.recall import count_ahead
from sightline.vectors import tiles

Floats = NDArray[np.float64]
Scores = Callable[[slice, slice], NDArray[np.floating]]
"""The scores (n, t) of a range of images with a range of texts."""

TILE = (1024, 4096)
"""Images and texts whose scores are in memory at a time: 32 MB."""

_GRID = np.float32(2**26)


def exact_cosines(images: NDArray[np.float32], texts: NDArray[np.float32]) -> Scores:
    """Unit vectors of images and of texts, as rows -> their dot products, the same bits in tiles of any shape, on
    any machine.

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
    text: NDArray[np.int64],
    tile: tuple[int, int] = TILE,
    progress: Callable[[int], None] = lambda images: None,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ranks from 0 of each image's best text (N,) and of each text's best image (T,), equal scores by position.

    `owner` (T,) says which image each text is of; ascending, and each image has one. `text` (T,) says which of the D
    different texts each is, numbered as they first appear; `scores` are those of the images with these. Equal texts are
    all right: an image is found by any copy of its texts, a text finds any image that has it. All T texts are ranked.
    Both directions are counted in the same tiles, of which one is in memory; `scores` must give a tile twice the same.
    `progress` gets the number of images that are done. The numbers are those of `recall.ranks`. Raises `ValueError` for
    a wrong `owner` or `text` and for scores that are NaN.
    """
    count, different = (int(numbers.max()) + 1 if len(numbers) else 0 for numbers in (owner, text))
    if count and (owner[0] != 0 or not np.isin(np.diff(owner), (0, 1)).all()):
        raise ValueError("texts must come in the order of their images, and each image needs one")
    if len(text) != len(owner) or len(first := np.unique(text, return_index=True)[1]) != different:
        raise ValueError("texts must be numbered from 0, as many as there are different ones")

    def block_of(rows: slice, columns: slice) -> NDArray[np.floating]:
        block = scores(rows, columns)
        if np.isnan(block).any():
            raise ValueError("scores hold NaN, which have no order")
        return block

    right = _own_scores(block_of, owner, text, tile)
    best_of_image, best_of_text = np.full(count, -np.inf), np.full(different, -np.inf)
    np.maximum.at(best_of_image, owner, right)
    np.maximum.at(best_of_text, text, right)
    leading_text, leading_image = np.full(count, len(text)), np.full(different, count)
    leads = right == best_of_image[owner]
    np.minimum.at(leading_text, owner[leads], first[text[leads]])
    leads = right == best_of_text[text]
    np.minimum.at(leading_image, text[leads], owner[leads])

    copies = None if different == len(text) else _Copies(text)
    of_images, of_texts = np.zeros(count, np.int64), np.zeros(different, np.int64)
    for rows, columns in tiles(count, different, tile):
        block, level, leader = block_of(rows, columns), best_of_image[rows], leading_text[rows]
        if copies is None:
            of_images[rows] += count_ahead(block, level, leader, columns.start)
        else:
            of_images[rows] += copies.ahead(block, level, leader, columns.start)
        of_texts[columns] += count_ahead(block.T, best_of_text[columns], leading_image[columns], rows.start)
        if columns.stop == different:
            progress(rows.stop)
    return of_images, of_texts[text]


def _own_scores(scores: Scores, owner: NDArray[np.int64], text: NDArray[np.int64], tile: tuple[int, int]) -> Floats:
    """Each text's score with its own image, (T,), from the tiles that hold one. Where no texts are equal these lie
    along a staircase from the first tile to the last."""
    if not len(owner):
        return np.empty(0)
    count, different = int(owner[-1]) + 1, int(text.max()) + 1
    across = -(-different // tile[1])
    number = owner // tile[0] * across + text // tile[1]
    order = np.argsort(number, kind="stable")
    bounds = np.append(np.flatnonzero(np.diff(number[order], prepend=-1)), len(order))
    right = np.empty(len(owner))
    for start, stop in pairwise(bounds):
        texts = order[start:stop]
        top, left = (int(at) * side for at, side in zip(divmod(number[texts[0]], across), tile, strict=True))
        block = scores(slice(top, min(top + tile[0], count)), slice(left, min(left + tile[1], different)))
        right[texts] = block[owner[texts] - top, text[texts] - left]
    return right


class _Copies:
    """How often each of the different texts occurs, and where."""

    def __init__(self, text: NDArray[np.int64]) -> None:
        self._texts = len(text)
        self._counts = np.bincount(text)
        self._starts = np.cumsum(self._counts) - self._counts
        self._places = np.sort(text * len(text) + np.arange(len(text)))  # by text, then by position

    def ahead(
        self, block: NDArray[np.floating], level: Floats, leader: NDArray[np.int64], start: int
    ) -> NDArray[np.int64]:
        """As `count_ahead` counts, with all copies of the texts that are the columns of `block`, from `start` on."""
        counts = self._counts[start : start + block.shape[1]]
        ahead: NDArray[np.int64] = np.where(block > level[:, None], counts, 0).sum(1)
        images, columns = np.nonzero(block == level[:, None])
        texts = start + columns
        earlier = np.searchsorted(self._places, texts * self._texts + leader[images]) - self._starts[texts]
        np.add.at(ahead, images, earlier)
        return ahead
