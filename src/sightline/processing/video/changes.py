"""How a video's picture changes from frame to frame, by thumbnails: where a shot ends, and where nothing moves."""

import numpy as np
from numpy.typing import NDArray

from sightline.processing.video.frames import Thumbnail

_DARK = 32
"""A picture without a level as high as this is black."""

_COLORS, _ARRANGEMENT = 0.2, 0.3
"""How far colors and arrangement must be apart for a cut, of 1.

Measured with 300 pairs of photos: different photos are 0.21 or more apart in colors (99% of them 0.22 or more), while a
pan by up to an eighth of the width from frame to frame, a zoom by 15%, or an object of up to 0.8 of the height that
crosses the picture stay below 0.2. Light between half and 1.8 times as bright moves colors by up to 0.98, but leaves
the arrangement: 99% are within 0.23, where different photos are 0.46 or more apart.
"""

_ALIKE = 10
"""Levels of 255: pictures that differ by less on average are one shot (different photos differ by 46 or more)."""

MAX_DRIFT = 3
"""Levels of 255 by which a 64th of the width may change in a picture that stands still: more than compression does."""


class CutDetector:
    """Follows the frames of a shot and knows whether another has begun.

    A change that is undone within `flash` ticks is a flash. `change` is the tick at which the picture changed, while it
    is open whether that is a flash; else None.
    """

    def __init__(self, flash: int) -> None:
        self.change: int | None = None
        self._flash = flash
        self._latest: Thumbnail | None = None
        self._before: Thumbnail | None = None  # the last frame before the change

    def restart(self, thumbnail: Thumbnail) -> None:
        """Takes in a frame before which no shot is to be compared."""
        self.change, self._before, self._latest = None, None, thumbnail

    def is_cut(self, tick: int | None) -> bool:
        """Whether the change is known to be a cut when the next frame comes at `tick` (None: the video ends)."""
        return self.change is not None and (tick is None or tick - self.change >= self._flash)

    def accept(self) -> None:
        """The shot that began at the change is the present shot from here on."""
        self.change = self._before = None

    def add(self, tick: int, thumbnail: Thumbnail) -> bool:
        """Takes in a frame; whether it belongs to the present shot (else to what follows the change)."""
        reference = self._latest if self.change is None else self._before
        belongs = reference is None or not is_change(reference, thumbnail)
        if belongs:
            self.change = self._before = None
        elif self.change is None:
            self.change, self._before = tick, self._latest
        self._latest = thumbnail
        return belongs


class RestDetector:
    """Follows a video's frames and knows since when the picture stands still.

    A rest is a time of at least `frozen` ticks in which no frame differs visibly from the first. A single frame is a
    rest only after `longest` ticks: in a video of one frame a second each frame is on show as long as a short rest.
    """

    def __init__(self, frozen: int, longest: int) -> None:
        self.start = 0
        """The tick of the first frame that looks like the latest."""

        self._frozen, self._longest = frozen, longest
        self._first: Thumbnail | None = None
        self._frames = 0

    def add(self, tick: int, thumbnail: Thumbnail) -> bool:
        """Takes in a frame; whether the picture moved, that is, differs from the one that stood still until now."""
        if self._first is not None and difference(self._first, thumbnail).max() <= MAX_DRIFT:
            self._frames += 1
            return False
        self.start, self._first, self._frames = tick, thumbnail, 1
        return True

    def is_rest(self, tick: int) -> bool:
        """Whether the picture has stood still for long enough when the next frame comes at `tick`."""
        return tick - self.start >= (self._frozen if self._frames > 1 else self._longest)


def is_change(before: Thumbnail, after: Thumbnail) -> bool:
    """Whether another shot may have begun between two frames.

    Its colors are different and arranged in a different way, or one of the two frames is black and the other is not.
    """
    if is_visible(before) != is_visible(after):
        return True
    if difference(before, after).mean() < _ALIKE:
        return False
    return color_distance(before, after) >= _COLORS and arrangement_distance(before, after) >= _ARRANGEMENT


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
