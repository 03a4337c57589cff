"""Animated images as videos: GIF, APNG, WebP and AVIF, cut into moments as a film is."""

import io
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile

from sightline.errors import VideoError
from sightline.files import open_file
from sightline.logger import LOGGER
from sightline.processing.image.color import to_rgb
from sightline.processing.image.color_management import Codes, in_srgb, read_codes
from sightline.processing.image.formats import recognize
from sightline.processing.image.orientation import turned, upright_turn
from sightline.processing.image.sources import open_source
from sightline.processing.video.frames import Thumbnail
from sightline.processing.video.moments import KEPT, Moment, find_spans
from sightline.processing.video.reader import MAX_FRAME_PIXELS, VideoSource, video_name

SHORTEST = 1.0
"""Seconds: what is over sooner is a still image that moves a little."""
MAX_FRAMES = 10_000
MAX_PIXELS = 1 << 33
"""Of all frames together. Beyond these limits an animation is the image of its first frame, and the logger is told."""

_DEFAULT, _FASTEST = 100, 10
"""Milliseconds. Browsers show a frame for the default where the file says the fastest or less."""


def animation_moments(path: Path, count: int, short_side: int | None = None) -> Iterator[Moment]:
    """The moments of an animated image, cut as `moments` cuts a video, each with `count` frames.

    Frames are shown for as long as the file says, those of 10 ms and less for 100, as browsers do; they are complete
    pictures, upright, in sRGB and on white, reduced to 1.5 times `short_side`. A broken frame ends the animation. None
    come of an image that does not move, of one that is over before SHORTEST, beyond MAX_FRAMES or MAX_PIXELS, and of
    what cannot be read.
    """
    with open_file(path) as file:
        picture = None
        with suppress(Exception):  # reading the image will say what is wrong
            picture = recognize(file, file.read(16), str(path))
        if picture is None or (length := _frame_count(picture)) < 2:
            return
        if excess := _excess(picture, length):
            LOGGER.warning(f"{path}: {excess}: it is taken as an image, the first of them")
            return
        frames = _frames(picture, read_codes(file, picture.format), short_side)
        waiting: list[Moment] = []  # until it is known that the animation lasts
        for span in find_spans(frames, Fraction(1, 1000), KEPT * count):
            images = [span.frames[i][1] for i in span.nearest(count)]
            waiting.append(Moment(span.start / 1000, span.end / 1000, images))
            if span.end >= SHORTEST * 1000:
                yield from waiting
                waiting = []


def sample_animation(
    source: VideoSource, count: int, start: float = 0.0, end: float | None = None, short_side: int | None = None
) -> list[Image.Image]:
    """`count` frames of an animated image, the middle one of each equal part of the seconds from `start` to `end`, or
    to its end, as `sample_frames` takes them of a video. They are as in `animation_moments`. Raises ImageError, as
    VideoError for an image that does not move and beyond the limits."""
    name = video_name(source)
    with io.BytesIO(source) if isinstance(source, bytes) else open_source(Path(source), name) as file:
        picture = recognize(file, file.read(16), name)
        length = _frame_count(picture)
        if length < 2:
            raise VideoError(name, f"an image ({picture.format}) that does not move: it is for encode_images")
        if excess := _excess(picture, length):
            raise VideoError(name, excess)
        codes = read_codes(file, picture.format)
        *ticks, last = (tick for tick, _ in _frames(picture, codes, 1))
        if not ticks:
            raise VideoError(name, "no frame of it can be decoded")
        if start * 1000 >= last:
            raise VideoError(name, f"it ends at {last / 1000:.2f} seconds, before {start:g}")
        span = min(last if end is None else end * 1000, last) - start * 1000
        wanted = [start * 1000 + span * (i + 0.5) / count for i in range(count)]
        places = [max(bisect_right(ticks, tick) - 1, 0) for tick in wanted]
        frames = {}
        for place, (_, shown) in enumerate(_frames(picture, codes, short_side)):
            if shown is not None and place in places:
                frames[place] = shown[1]
        return [frames[place].copy() for place in places]


def _frame_count(picture: ImageFile) -> int:
    """1 where it can't be told."""
    try:
        return int(getattr(picture, "n_frames", 1))
    except Exception:  # Pillow raises anything on broken files
        return 1


def _excess(picture: ImageFile, length: int) -> str | None:
    """What is too much about an animation; None if nothing is."""
    width, height = picture.size
    if length > MAX_FRAMES:
        return f"{length:,} frames are too many (at most {MAX_FRAMES:,})"
    if width * height > MAX_FRAME_PIXELS or length * width * height > MAX_PIXELS:
        return f"{length:,} frames of {width} x {height} pixels are too many"
    return None


def _frames(
    picture: ImageFile, codes: Codes | None, short_side: int | None
) -> Iterator[tuple[int, tuple[Thumbnail, Image.Image] | None]]:
    """(milliseconds, (thumbnail, frame)) of each frame, last (the animation's end, None)."""
    tick, full_size, turn = 0, picture.size, None
    for number in range(getattr(picture, "n_frames", 1)):
        try:
            picture.seek(number)
            picture.load()
        except MemoryError:
            raise
        except Exception:  # as above
            break
        if number == 0:
            turn = upright_turn(picture)
            if picture.info.get("default_image"):  # an APNG's image for those that show no animations
                continue
        frame = turned(to_rgb(in_srgb(picture, codes)), turn)
        if frame is picture:
            frame = picture.copy()
        full_size = frame.size
        if short_side is not None and min(full_size) > short_side * 1.5:
            scale = short_side * 1.5 / min(full_size)
            width, height = (max(round(side * scale), 1) for side in full_size)
            frame = frame.resize((width, height), Image.Resampling.BOX)
        frame.info = {"full_size": full_size}
        small = np.asarray(frame.resize((64, 36), Image.Resampling.BOX))
        yield tick, (small, frame)
        duration = picture.info.get("duration") or 0
        tick += round(duration) if duration > _FASTEST else _DEFAULT
    yield tick, None
