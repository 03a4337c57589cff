"""Where a video's shot changes."""

from sightline.processing.video.compare import arrangement_distance, color_distance, difference, is_visible
from sightline.processing.video.frames import Thumbnail

_COLORS, _ARRANGEMENT = 0.2, 0.3
"""How far colors and arrangement must be apart for a cut, of 1.

Measured with 300 pairs of photos: different photos are 0.21 or more apart in colors (99% of them 0.22 or more), while a
pan by up to an eighth of the width from frame to frame, a zoom by 15%, or an object of up to 0.8 of the height that
crosses the picture stay below 0.2. Light between half and 1.8 times as bright moves colors by up to 0.98, but leaves
the arrangement: 99% are within 0.23, where different photos are 0.46 or more apart.
"""

_ALIKE = 10
"""Levels of 255: pictures that differ by less on average are one shot (different photos differ by 46 or more)."""


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


def is_change(before: Thumbnail, after: Thumbnail) -> bool:
    """Whether another shot may have begun between two frames.

    Its colors are different and arranged in a different way, or one of the two frames is black and the other is not.
    """
    if is_visible(before) != is_visible(after):
        return True
    if difference(before, after).mean() < _ALIKE:
        return False
    return color_distance(before, after) >= _COLORS and arrangement_distance(before, after) >= _ARRANGEMENT
