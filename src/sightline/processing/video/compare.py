"""How much two frames of a video differ, by their thumbnails."""

import numpy as np
from numpy.typing import NDArray

from sightline.processing.video.frames import Thumbnail

_DARK = 32
"""A picture without a level as high as this is black."""


def is_visible(thumbnail: Thumbnail) -> bool:
    """Whether there is anything to see: the picture is not black."""
    return bool(thumbnail.max() >= _DARK)


def difference(a: Thumbnail, b: Thumbnail) -> NDArray[np.int16]:
    """The absolute difference of each value, in levels of 255, (36, 64, 3)."""
    levels: NDArray[np.int16] = np.abs(a.astype(np.int16) - b)
    return levels


def color_distance(a: Thumbnail, b: Thumbnail) -> float:
    """How far apart the colors are, wherever they are in the picture: 0 equal, 1 nothing in common."""
    return float(np.abs(_histogram(a) - _histogram(b)).sum() / 2)


def arrangement_distance(a: Thumbnail, b: Thumbnail) -> float:
    """1 less the correlation over the picture, of the channel in which that is the lowest.

    Channels in which a picture is even don't count; 1 if all are.
    """
    x, y = (thumbnail.reshape(-1, 3) - thumbnail.mean(axis=(0, 1)) for thumbnail in (a, b))
    scale = np.sqrt((x * x).sum(axis=0) * (y * y).sum(axis=0))
    uneven = scale > len(x)  # deviations of one level
    return float(1 - ((x * y).sum(axis=0)[uneven] / scale[uneven]).min(initial=1)) if uneven.any() else 1.0


def _histogram(thumbnail: Thumbnail) -> NDArray[np.float64]:
    """The share of the values in each of 16 bins for each channel, (48,): together 1."""
    bins = (thumbnail >> 4).reshape(-1, 3).astype(np.intp) + np.array([0, 16, 32])
    shares: NDArray[np.float64] = np.bincount(bins.ravel(), minlength=48) / bins.size
    return shares
