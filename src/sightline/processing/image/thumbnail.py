"""Small JPEGs, which an index keeps of pictures and pages show, and a hash by which those that look alike are near."""

import io
import math

import numpy as np
from PIL import Image

_SIDE = 32
_KEPT = 8
_DCT = np.cos(np.outer(np.arange(_KEPT), np.arange(_SIDE) + 0.5) * math.pi / _SIDE)
"""(8, 32): the eight lowest frequencies of the DCT-II."""


def thumbnail(picture: Image.Image, side: int, quality: int) -> bytes:
    """A JPEG of the "RGB" picture whose longer side is at most `side` pixels; `quality` is libjpeg's, 1 to 95."""
    small = picture.copy()
    small.thumbnail((side, side))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def perceptual_hash(thumbnail: bytes) -> int:
    """The 64-bit pHash of a small JPEG, as a signed int64: near images differ in few bits (up to about 10).

    The image is made grey and 32 x 32; each bit says whether one of its 8 x 8 lowest frequencies is above their median
    (Zauner 2010, Implementation and Benchmarking of Perceptual Image Hash Functions, 3.2.1). Bits are in the order of
    rows, the highest first; that of the mean brightness is 0. Raises what Pillow raises for what is no image.
    """
    with Image.open(io.BytesIO(thumbnail)) as image:
        image.draft("L", (_SIDE * 2, _SIDE * 2))
        grey = np.asarray(image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.LANCZOS), np.float64)
    # Rounded: what is flat has zeros here, not the noise of the sums.
    frequencies = np.round(_DCT @ grey @ _DCT.T, 3).reshape(-1)
    bits = frequencies > np.median(frequencies[1:])
    bits[0] = False
    return int.from_bytes(np.packbits(bits).tobytes(), signed=True)
