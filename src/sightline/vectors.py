"""Arithmetic on matrices of vectors that several rooms share."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


def unit(rows: NDArray[np.floating]) -> NDArray[np.float32]:
    """Rows (n, dim), or one vector (dim,), scaled to length 1, float32. A row of zeros stays zero."""
    wide = np.asarray(rows, np.float32)
    return np.asarray(wide / np.maximum(np.linalg.norm(wide, axis=-1, keepdims=True), np.float32(1e-12)))


def tiles(rows: int, columns: int, shape: tuple[int, int]) -> Iterator[tuple[slice, slice]]:
    """The tiles of a matrix (rows, columns), each of at most `shape`, row by row: so the whole is never in memory."""
    for top in range(0, rows, shape[0]):
        for left in range(0, columns, shape[1]):
            yield slice(top, min(top + shape[0], rows)), slice(left, min(left + shape[1], columns))
