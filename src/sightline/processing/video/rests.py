"""Where a video's picture stands still."""

from sightline.processing.video.compare import difference
from sightline.processing.video.frames import Thumbnail

MAX_DRIFT = 3
"""Levels of 255 by which a 64th of the width may change in a picture that stands still: more than compression does."""


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
