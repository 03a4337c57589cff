"""A video cut into moments.

A shot is what lies between two cuts. A moment is a shot, or a part of a shot: long shots are split, and what shows
nothing new is left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Generic, TypeVar

import numpy as np
from PIL import Image

from sightline.processing.video.changes import CutDetector, RestDetector, is_visible
from sightline.processing.video.frames import ReducedFrame, Thumbnail
from sightline.processing.video.reader import VideoReader, VideoSource, failures_as_video_errors
from sightline.processing.video.scan import MAX_BATCH, scan_frames

T = TypeVar("T")

LONGEST, SPLIT = 10.0, 7.5
"""Seconds. A moment that gets LONGEST is split at SPLIT, so that no scrap is left at the end of a shot."""

FROZEN = 1.0
"""Seconds after which a picture that stands still shows nothing new."""

FLASH = 0.25
"""Seconds: a change that is undone within them is a flash, not another shot."""

KEPT = 4
"""Frames kept on the way for each frame that a moment is to have, at most."""


@dataclass(frozen=True)
class Moment:
    """What a video shows from `start` to `end`, in a player's seconds, and frames from equal parts of it.

    The pictures are as in `frames_at`.
    """

    start: float
    end: float
    frames: list[Image.Image] = field(repr=False)


def moments(
    source: VideoSource, count: int, short_side: int | None = None, *, max_batch: int = MAX_BATCH
) -> Iterator[Moment]:
    """The video's moments in order, each with `count` frames, in one pass and with bounded memory however long it is.

    A moment ends where the shot changes (at a cut, not at a dissolve), where the picture gets black, after it has stood
    still for FROZEN seconds, and before LONGEST seconds. What follows such an end without anything to see is in no
    moment: a black video has none, an hour of a slide has a moment of FROZEN seconds. The frames are those nearest to
    the middles of equal parts among some kept on the way, off by a quarter of a part at most; too few are repeated.
    Where the video has no keyframe at a cut, the cut is found up to a few frames late: frames that no other refers to
    are not decoded. `short_side`: see `frames_at`; `max_batch`: see `scan_frames`. Raises VideoError, and ValueError
    for a count below one.
    """
    if count < 1:
        raise ValueError(f"{count} frames a moment: at least one")
    frames = scan_frames(source, short_side, _with_thumbnail, max_batch=max_batch)
    with failures_as_video_errors(source), VideoReader(source, short_side) as reader:
        for span in find_spans(frames, reader.time_base, KEPT * count):
            nearest = span.nearest(count)
            pictures = {i: reader.to_image(span.frames[i][1]) for i in set(nearest)}
            yield Moment(reader.seconds(span.start), reader.seconds(span.end), [pictures[i] for i in nearest])


def _with_thumbnail(reader: VideoReader, reduced: ReducedFrame) -> tuple[Thumbnail, ReducedFrame]:
    return reader.thumbnail(reduced), reduced


class Span(Generic[T]):
    """Part of a video, from `start` to `end` in ticks, with a few of its frames: (time, frame).

    The frames are about evenly apart: as soon as there are `max_frames`, every second is dropped.
    """

    def __init__(self, start: int, max_frames: int) -> None:
        self.start, self.end = start, start
        self.frames: list[tuple[int, T]] = []
        self._max_frames = max_frames
        self._every = 1  # of so many frames one is kept
        self._added = 0

    def add(self, tick: int, frame: T) -> None:
        if self._added % self._every == 0:
            self.frames.append((tick, frame))
        self._added += 1
        if len(self.frames) == self._max_frames:
            del self.frames[1::2]
            self._every *= 2

    def ended(self, end: int) -> "Span[T]":
        self.end = end
        return self

    def split(self, at: int) -> tuple["Span[T]", "Span[T]"]:
        """The part before the tick `at`, and the part from it on, which goes on."""
        first, rest = Span[T](self.start, self._max_frames), Span[T](at, self._max_frames)
        first.frames = [(tick, frame) for tick, frame in self.frames if tick < at]
        rest.frames = [(tick, frame) for tick, frame in self.frames if tick >= at]
        if rest.frames:
            rest._every, rest._added = self._every, self._added
        return first.ended(at), rest

    def nearest(self, count: int) -> list[int]:
        """Indices of `frames`: those nearest to the middles of `count` equal parts."""
        middles = self.start + (self.end - self.start) * (np.arange(count) + 0.5) / count
        ticks = np.array([tick for tick, _ in self.frames])
        indices: list[int] = np.abs(middles[:, None] - ticks).argmin(axis=1).tolist()
        return indices


def find_spans(
    frames: Iterator[tuple[int, tuple[Thumbnail, T] | None]], time_base: Fraction, max_frames: int
) -> Iterator[Span[T]]:
    """The parts of a video that show something new, each with fewer than `max_frames` frames.

    `frames`: (time in ticks, (thumbnail, frame)) in order, last (the video's end, None). `time_base`: seconds per tick.
    """
    longest, split, frozen, flash = (round(seconds / time_base) for seconds in (LONGEST, SPLIT, FROZEN, FLASH))
    rests, cuts = RestDetector(frozen, longest), CutDetector(flash)
    span: Span[T] | None = None  # the present one; None while nothing new is shown
    following: Span[T] | None = None  # from a change on that may be a flash
    for tick, taken in frames:
        if span is not None and following is not None and cuts.is_cut(tick if taken is not None else None):
            yield span.ended(following.start)
            span, following = (following if following.frames else None), None
            cuts.accept()
        if span is not None and following is None and rests.is_rest(tick):
            if span.start <= rests.start:  # else it began by a split, within the rest
                yield span.ended(rests.start + frozen)
            span = None
        if taken is None:
            break
        thumbnail, frame = taken
        moved = rests.add(tick, thumbnail)
        if span is None:
            cuts.restart(thumbnail)
            if moved and is_visible(thumbnail):
                span = Span(tick, max_frames)
                span.add(tick, frame)
        elif cuts.add(tick, thumbnail):
            if following is None and tick - span.start >= longest:
                first, span = span.split(span.start + split)
                yield first
            following = None
            span.add(tick, frame)
        else:
            following = following or Span(tick, max_frames)
            if is_visible(thumbnail):
                following.add(tick, frame)
    if span is not None:
        yield span.ended(tick)
