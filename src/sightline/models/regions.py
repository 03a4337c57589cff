"""The rows beside an image's vector that hold its regions in an index.

One row of `dim` numbers for each region's vector, then the number of the region that each patch belongs to, row by row
over the patches, filled up with zeros to whole rows. Without torch: a search reads it.
"""

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, int, int]
"""Regions, and rows and columns of patches."""


def packed_rows(shape: Shape, dim: int) -> int:
    """How many rows of `dim` numbers one picture takes."""
    regions, rows, columns = shape
    return regions + -(-rows * columns // dim)


def unpack(packed: NDArray[np.float16], shape: Shape) -> tuple[NDArray[np.float16], NDArray[np.int64]]:
    """(n, packed rows, dim) -> vectors (n, regions, dim), and for each patch its region (n, rows, columns)."""
    regions, rows, columns = shape
    owners = packed[:, regions:].reshape(len(packed), -1)[:, : rows * columns].astype(np.int64)
    return packed[:, :regions], owners.reshape(-1, rows, columns)
