"""A picture read from wherever it is: a file, bytes, an array, an address. Failures are ImageErrors."""

import io
import math
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image, JpegImagePlugin

from sightline.errors import ImageError, WrongType
from sightline.processing.image.color import pixels_to_rgb8, to_rgb
from sightline.processing.image.color_management import Codes, in_srgb, read_codes
from sightline.processing.image.formats import MAX_PIXELS, failures_as_image_errors, recognize
from sightline.processing.image.orientation import QUARTER_TURNS, exif_of_turned, turned, upright_turn
from sightline.processing.image.raw import is_raw, open_raw
from sightline.processing.image.sources import (
    ImageSource,
    decode_base64,
    download,
    file_bytes,
    is_address,
    is_image_source,
    is_pixels,
    open_source,
    pixel_array,
    source_name,
)


class PixelBudget:
    """At most `pixels` pixels at a time, however many threads ask. A larger picture waits until it is alone."""

    def __init__(self, pixels: int) -> None:
        self._all = self._free = pixels
        self._changed = threading.Condition()

    @contextmanager
    def take(self, pixels: int) -> Iterator[None]:
        """Waits until `pixels` pixels are free, and takes them while the context lasts."""
        pixels = min(pixels, self._all)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= pixels)
            self._free -= pixels
        try:
            yield
        finally:
            with self._changed:
                self._free += pixels
                self._changed.notify_all()


_budget = PixelBudget(MAX_PIXELS)
"""For the pictures that are being decoded, in all threads together."""


def open_image(source: ImageSource, *, orient: bool = True, short_side: int | None = None) -> Image.Image:
    """The picture in `source`, decoded, as "RGB" in sRGB: a path, a file's bytes, an open file, a PIL picture, an array
    or a torch tensor.

    Colors come to sRGB from the space that the file names (see `in_srgb`), transparency is laid on white, more than
    8 bits are scaled to 8, an animation gives its first frame, a camera's RAW its preview. `orient` turns the picture
    as its EXIF orientation says. `short_side` is the side in pixels that a model will resize the picture's short side
    to: a JPEG is then decoded at 1/2, 1/4 or 1/8, as long as 1.5 times that is left; None decodes all. Arrays and
    tensors are (H, W), (H, W, C) or (C, H, W) with 1, 3 or 4 channels; their dtype says how they are meant: integers
    are 0 to 255 (16 bits are scaled), truth values black and white, floats 0.0 to 1.0 (whole floats of which some
    exceed 1 are 0 to 255).

    For a file, `info["full_size"]` of the result is its upright (width, height) before any reduction, and `getexif()`
    its EXIF less the orientation that was followed. Raises ImageError for whatever can't be read, more than MAX_PIXELS
    pixels among it.
    """
    if isinstance(source, Image.Image):
        _check_not_empty(source.size, source_name(source))
        with failures_as_image_errors(source_name(source), source.format):
            source.load()
            rgb = to_rgb(in_srgb(source))
            return turned(rgb, upright_turn(source) if orient else None)
    if is_pixels(source):
        with failures_as_image_errors(source_name(source), None):
            return Image.fromarray(pixels_to_rgb8(pixel_array(source)))
    if is_address(source):
        raise ImageError(source_name(source), "an address, not a file: download it first (sightline.load_image does)")
    with _decoded(source, source_name(source), short_side) as (picture, full_size, codes):
        turn = upright_turn(picture) if orient else None
        exif = exif_of_turned(picture, turn)
        rgb = turned(to_rgb(in_srgb(picture, codes, short_side)), turn)
        rgb.info = {"full_size": full_size[::-1] if turn in QUARTER_TURNS else full_size, "exif": exif}
        return rgb


def load_image(image: ImageSource, timeout: float | None = None) -> Image.Image:
    """A path, an http(s) address, a data URI, base64 or a PIL picture to "RGB", as the reference's `load_image` does.
    Also a file's bytes, an open file, an array or a torch tensor, as `open_image` takes them.

    The picture is turned as its EXIF orientation says and goes through PIL's `convert("RGB")`. Unlike `open_image`,
    that drops transparency instead of laying it on white, clips more than 8 bits instead of scaling them, and takes
    colors as they are stored. `timeout`
    is in seconds, for each answer of a server. Addresses are trusted: don't pass on strangers' addresses. Raises
    ImageError, and WrongType for what is no image.
    """
    if isinstance(image, Image.Image):
        _check_not_empty(image.size, source_name(image))
        with failures_as_image_errors(source_name(image), image.format):
            image.load()
            return turned(image.convert("RGB"), upright_turn(image))
    if is_pixels(image):
        return open_image(image)
    if not is_image_source(image):
        raise WrongType(f"load_image takes a path, an address, bytes, an open file or an image, not {image!r:.80}")
    source = image
    if isinstance(image, str) and re.match("https?://", image, re.IGNORECASE):
        source = download(image, timeout)
    elif isinstance(image, str) and (image.startswith("data:") or not os.path.lexists(image)):
        source = decode_base64(image) or image
    with _decoded(source, source_name(image), None) as (picture, _, _):
        return turned(picture.convert("RGB"), upright_turn(picture))


async def load_image_async(image: ImageSource, timeout: float | None = None) -> Image.Image:
    """As `load_image`, in a thread: an event loop goes on while a file is read or an address is downloaded."""
    import asyncio  # here: `import sightline` and a search do without it

    return await asyncio.to_thread(load_image, image, timeout)


@contextmanager
def _decoded(
    source: Any, name: str, short_side: int | None
) -> Iterator[tuple[Image.Image, tuple[int, int], Codes | None]]:
    """The picture with its pixels, in the file's mode; the full (width, height) that the file declares; and what
    `read_codes` says of its colors. `source` is a path, a file's bytes or an open file."""
    if hasattr(source, "read"):
        source = file_bytes(source)
    if source == "":
        raise ImageError(name, "no file has it")
    is_data = isinstance(source, bytes | bytearray | memoryview)
    with io.BytesIO(bytes(source)) if is_data else open_source(Path(source), name) as file:
        head = file.read(16)
        if not head:
            raise ImageError(name, "empty file")
        with failures_as_image_errors(name, None):
            if is_raw(file, head):
                picture, full_size = open_raw(file, name, MAX_PIXELS)
            else:
                picture = recognize(file, head, name)
                full_size = picture.size
        with failures_as_image_errors(name, picture.format):
            codes, stored = read_codes(file, picture.format), picture.size
            # At a reduced scale only what is decoded counts, but a hostile file can make the decoder keep coefficients
            # of the whole picture: twice the limit (200-megapixel phones) is enough.
            reduced = isinstance(picture, JpegImagePlugin.JpegImageFile) and short_side is not None
            _check_size(stored, MAX_PIXELS * 2 if reduced else MAX_PIXELS, name)
            if reduced and short_side is not None:
                side = max(math.ceil(short_side * 1.5), 1)
                picture.draft(None, (side, side))
                _check_size(picture.size, MAX_PIXELS, name)
            full = math.prod(stored)  # beyond the limit the decoder may keep more than what it gives
            with _budget.take(full if full > MAX_PIXELS else math.prod(picture.size)):
                picture.load()
                yield picture, full_size, codes


def _check_not_empty(size: tuple[int, int], name: str) -> None:
    """Raises ImageError for a (width, height) without a pixel."""
    if 0 in size:
        raise ImageError(name, f"{size[0]} x {size[1]} pixels: there is nothing in it")


def _check_size(size: tuple[int, int], limit: int, name: str) -> None:
    """Raises ImageError for a (width, height) of more than `limit` pixels."""
    if size[0] * size[1] > limit:
        raise ImageError(name, f"{size[0]} x {size[1]} pixels are too many (at most {limit / 1e6:.0f} million)")
