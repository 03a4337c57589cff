"""Small JPEGs: what an index keeps of a picture, and what pages show."""

import io

from PIL import Image


def thumbnail(picture: Image.Image, side: int, quality: int) -> bytes:
    """A JPEG of the "RGB" picture whose longer side is at most `side` pixels; `quality` is libjpeg's, 1 to 95."""
    small = picture.copy()
    small.thumbnail((side, side))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
