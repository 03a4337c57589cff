"""Animated images as videos: GIF, APNG, WebP and AVIF, cut into moments as a film is."""

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile

from sightline.files import open_file
from sightline.processing.image.color import to_rgb
from sightline.processing.image.color_management import Codes, in_srgb, read_codes
from sightline.processing.image.formats import recognize
from sightline.processing.image.orientation import turned, upright_turn
from sightline.processing.video.frames import Thumbnail
from sightline.processing.video.moments import KEPT, Moment, find_spans
from sightline.processing.video.reader import MAX_FRAME_PIXELS

SHORTEST = 1.0
"""Seconds: what is over sooner is a still image that moves a little."""
MAX_FRAMES = 10_000
MAX_PIXELS = 1 << 33
"""Of all frames together. Beyond these limits an animation is the image of its first frame."""

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
        if picture is None or not _is_within_limits(picture):
            return
        frames = _frames(picture, read_codes(file, picture.format), short_side)
        waiting: list[Moment] = []  # until it is known that the animation lasts
        for span in find_spans(frames, Fraction(1, 1000), KEPT * count):
            images = [span.frames[i][1] for i in span.nearest(count)]
            waiting.append(Moment(span.start / 1000, span.end / 1000, images))
            if span.end >= SHORTEST * 1000:
                yield from waiting
                waiting = []


def _is_within_limits(picture: ImageFile) -> bool:
    pixels = picture.width * picture.height
    if pixels > MAX_FRAME_PIXELS:
        return False
    try:
        count: int = getattr(picture, "n_frames", 1)
    except Exception:  # as above
        return False
    return 1 < count <= MAX_FRAMES and count * pixels <= MAX_PIXELS


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
        except Exception:  # Pillow raises anything on broken files
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
