"""Vectors of images and of their texts, and the axes along which they are longest.

Shapes: N images, T texts, P numbers of a vector.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sightline.encoder.source import Vectors
from sightline.vectors import unit


@dataclass(frozen=True)
class PairVectors:
    """Rows of N images and T texts, (N, ...) and (T, ...), each text's image (T,), ascending, and which of the
    different texts it is (T,)."""

    images: Vectors
    texts: Vectors
    owner: NDArray[np.int64]
    text: NDArray[np.int64]

    def with_rows(self, images: Vectors, texts: Vectors) -> "PairVectors":
        """The same pairs with other rows."""
        return replace(self, images=images, texts=texts)


def principal_axes(vectors: PairVectors) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Vectors (N, P), (T, P) -> (P, P), columns: the axes along which both are longest, images and texts counting
    alike; and the share (P,) of the squared lengths along each.

    Not centred: with all P axes the cosines stay the same.
    """
    moment = sum(rows.T.astype(np.float64) @ rows / len(rows) for rows in (vectors.images, vectors.texts))
    values, axes = np.linalg.eigh(moment)
    return np.asarray(axes[:, ::-1], np.float32), np.asarray(values[::-1] / values.sum())


def turned(vectors: PairVectors, axes: NDArray[np.float32]) -> PairVectors:
    """Vectors (N, P), (T, P) along axes (P, D), of unit length again."""
    return vectors.with_rows(unit(vectors.images @ axes), unit(vectors.texts @ axes))
