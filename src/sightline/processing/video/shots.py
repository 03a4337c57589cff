"""A film cut into moments: where the shot changes, none too long, and without what shows nothing new."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightline.processing.video.frames import ReducedFrame
from sightline.processing.video.reader import Source, VideoReader
from sightline.processing.video.scan import scan_frames

Look = NDArray[np.uint8]

LONGEST, SPLIT = 10.0, 7.5
"""Seconds: a moment that gets longest is split here, so that no scrap is left at the end of a shot."""

FROZEN = 1.0
"""Seconds after which a picture that stands still shows nothing new."""

FLASH = 0.25
"""Seconds: a change that is undone within them is a flash, not another shot."""

_COLORS, _ARRANGEMENT = 0.2, 0.3
"""How far colors and arrangement must be apart for a cut, of 1.

Measured with 300 pairs of photos: other photos are 0.21 or more apart in colors (99% of them 0.22 or more), while a
pan by up to an eighth of the width from frame to frame, a zoom by 15%, or an object of up to 0.8 of the height that
crosses the picture stay below 0.2. Light between half and 1.8 times as bright moves colors by up to 0.98, but leaves
the arrangement: 99% are within 0.23, where other photos are 0.46 or more apart.
"""

_ALIKE = 10
"""Levels of 255: pictures that differ less on average aren't looked at any closer (photos differ by 46 or more)."""

_STILL = 3
"""Levels of 255 by which a 64th of the width may change in a picture that stands still: more than compression does."""

_DARK = 32
"""A picture without a level as high as this is black."""


@dataclass(frozen=True)
class Moment:
    """What a film shows from `start` to `end`, in a player's seconds, and frames from equal parts of it."""

    start: float
    end: float
    frames: list[Image.Image] = field(repr=False)


def moments(source: Source, count: int, short_side: int | None = None) -> Iterator[Moment]:
    """The film's moments in order, each with `count` frames, in one pass and with bounded memory however long it is.

    A moment ends where the shot changes (a cut; dissolves end none), where the picture gets black, after it has
    stood still for FROZEN seconds, and before LONGEST seconds. What follows such an end without anything to see is in
    no moment: a black film has none, an hour of a slide one of FROZEN seconds. The frames are those nearest to the
    middles of equal parts among some kept on the way, off by a quarter of a part at most; too few are repeated. Where
    the film has no keyframe at a cut, the cut is seen up to a few frames late: those that no other refers to are not
    decoded.
    `short_side`: see `frames_at`. Raises VideoError.
    """
    if count < 1:
        raise ValueError(f"{count} frames a moment: at least one")
    with VideoReader(source, short_side) as reel:
        for shot in _shots(reel, scan_frames(source, short_side, _glance), count):
            middles = shot.start + (shot.end - shot.start) * (np.arange(count) + 0.5) / count
            ticks = np.array([tick for tick, _ in shot.stills])
            nearest = np.abs(middles[:, None] - ticks).argmin(axis=1).tolist()
            pictures = {i: reel.picture(shot.stills[i][1]) for i in set(nearest)}
            yield Moment(reel.seconds(shot.start), reel.seconds(shot.end), [pictures[i] for i in nearest])


class _Shot:
    """Part of a film with a few of its frames, about evenly apart: with many, every second one is dropped."""

    def __init__(self, start: int, most: int) -> None:
        self.start, self.end = start, start
        self.stills: list[tuple[int, ReducedFrame]] = []
        self._most, self._each, self._seen = most, 1, 0

    def add(self, tick: int, still: ReducedFrame) -> None:
        if self._seen % self._each == 0:
            self.stills.append((tick, still))
        self._seen += 1
        if len(self.stills) == self._most:
            del self.stills[1::2]
            self._each *= 2

    def ended(self, at: int) -> "_Shot":
        self.end = at
        return self

    def split(self, at: int) -> tuple["_Shot", "_Shot"]:
        first, rest = _Shot(self.start, self._most), _Shot(at, self._most)
        first.stills = [(tick, still) for tick, still in self.stills if tick < at]
        rest.stills = [(tick, still) for tick, still in self.stills if tick >= at]
        if rest.stills:
            rest._each, rest._seen = self._each, self._seen
        return first.ended(at), rest


def _glance(reel: VideoReader, still: ReducedFrame) -> tuple[Look, ReducedFrame]:
    return reel.look(still), still


def _shots(
    reel: VideoReader, frames: Iterator[tuple[int, tuple[Look, ReducedFrame] | None]], count: int
) -> Iterator[_Shot]:
    """Parts of the film with something new to see."""
    longest, split, frozen, flash = (round(seconds / reel.base) for seconds in (LONGEST, SPLIT, FROZEN, FLASH))
    shot: _Shot | None = None  # the one on show; None while there is nothing new
    other: _Shot | None = None  # since a change that may be a flash
    last = before = resting = None  # the looks of the last frame, of that before the change, of the still picture
    since, seen = 0, 0  # when the picture came to a rest, and in how many frames it was then seen
    for tick, taken in frames:
        if shot is not None and other is not None and (tick - other.start >= flash or taken is None):
            yield shot.ended(other.start)
            shot, other = (other if other.stills else None), None
        # One frame alone tells no rest: in a film of one frame a second each is on show so long.
        if shot is not None and other is None and tick - since >= (frozen if seen > 1 else longest):
            if shot.start <= since:  # else it began by a split, within the rest
                yield shot.ended(since + frozen)
            shot = None
        if taken is None:
            break
        look, still = taken
        moved = resting is None or _difference(resting, look).max() > _STILL
        seen = 1 if moved else seen + 1
        if moved:
            since, resting = tick, look
        visible = _is_visible(look)
        if shot is None:
            if moved and visible:
                shot = _Shot(tick, 4 * count)
                shot.add(tick, still)
        elif other is not None and before is not None and not _is_change(before, look):
            other = None
            shot.add(tick, still)
        elif other is not None or (last is not None and _is_change(last, look)):
            if other is None:
                other, before = _Shot(tick, 4 * count), last
            if visible:
                other.add(tick, still)
        else:
            if tick - shot.start >= longest:
                first, shot = shot.split(shot.start + split)
                yield first
            shot.add(tick, still)
        last = look
    if shot is not None:
        yield shot.ended(tick)


def _difference(one: Look, two: Look) -> NDArray[np.int16]:
    difference: NDArray[np.int16] = np.abs(one.astype(np.int16) - two)
    return difference


def _is_visible(look: Look) -> bool:
    return bool(look.max() >= _DARK)


def _is_change(before: Look, after: Look) -> bool:
    """Whether another shot may have begun: other colors, and arranged in another way; or there is nothing to see."""
    if _is_visible(before) != _is_visible(after):
        return True
    if _difference(before, after).mean() < _ALIKE:
        return False
    colors = np.abs(_colors(before) - _colors(after)).sum() / 2
    return bool(colors >= _COLORS and _rearranged(before, after) >= _ARRANGEMENT)


def _colors(look: Look) -> NDArray[np.float64]:
    """How the levels of each channel spread over 16 bins; all together 1."""
    levels = (look >> 4).reshape(-1, 3).astype(np.intp) + np.array([0, 16, 32])
    spread: NDArray[np.float64] = np.bincount(levels.ravel(), minlength=48) / levels.size
    return spread


def _rearranged(one: Look, two: Look) -> float:
    """1 less the correlation over the picture, of the channel in which it is the lowest; an even one tells nothing."""
    x, y = (look.reshape(-1, 3) - look.mean(axis=(0, 1)) for look in (one, two))
    scale = np.sqrt((x * x).sum(axis=0) * (y * y).sum(axis=0))
    told = scale > len(x)  # deviations of one level
    return float(1 - ((x * y).sum(axis=0)[told] / scale[told]).min(initial=1)) if told.any() else 1.0
