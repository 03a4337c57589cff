"""A film cut into moments: from one shot change to the next, none longer than ten seconds."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from av import VideoFrame
from numpy.typing import NDArray
from PIL import Image

from sightline.processing.reel import Reel, Source

LONGEST = 10.0
"""Seconds."""


@dataclass(frozen=True)
class Moment:
    """What a film shows from `start` to `end`, in seconds, and frames from equal parts of it."""

    start: float
    end: float
    frames: list[Image.Image] = field(repr=False)


def moments(source: Source, count: int, short_side: int | None = None) -> Iterator[Moment]:
    """The film's moments in order, each with `count` frames; in one pass, with bounded memory.

    A moment ends where the shot changes or after LONGEST seconds. `short_side`: see `open_image`. A moment of fewer
    frames than `count` repeats them. Raises FilmError.
    """
    with Reel(source) as film:
        longest = round(LONGEST / film.base)
        kept: list[tuple[int, VideoFrame]] = []
        stride = seen = begin = end = 0
        before: NDArray[np.float32] | None = None
        for tick, frame in film.frames():
            look = _look(frame)
            if kept and (tick - begin >= longest or (before is not None and np.abs(look - before).mean() > 30)):
                yield _moment(film, kept, begin, tick, count, short_side)
                kept = []
            if not kept:
                begin, stride, seen = tick, 1, 0
            if seen % stride == 0:
                kept.append((tick, frame))
            seen += 1
            if len(kept) == 4 * count:
                kept, stride = kept[::2], stride * 2
            before, end = look, tick + (frame.duration or film.step)
        if kept:
            yield _moment(film, kept, begin, end, count, short_side)


def _moment(
    film: Reel, kept: list[tuple[int, VideoFrame]], begin: int, end: int, count: int, short_side: int | None
) -> Moment:
    ticks = np.array([tick for tick, _ in kept])
    middles = begin + (end - begin) * (np.arange(count) + 0.5) / count
    chosen = np.maximum(np.searchsorted(ticks, middles, "right") - 1, 0)
    pictures = {i: film.picture(kept[i][1], short_side) for i in set(chosen.tolist())}
    return Moment(film.seconds(begin), film.seconds(end), [pictures[i] for i in chosen.tolist()])


def _look(frame: VideoFrame) -> NDArray[np.float32]:
    look: NDArray[np.float32] = frame.reformat(32, 18, "rgb24").to_ndarray().astype(np.float32)
    return look
