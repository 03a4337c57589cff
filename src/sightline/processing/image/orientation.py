"""Pictures set upright as their EXIF says."""

from typing import Any, cast

from PIL import Image

_ORIENTATION = 0x0112  # EXIF 2.32, 4.6.4 A
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""How to set a picture upright, by its EXIF orientation; 1 is upright."""

QUARTER_TURNS = {_TURNS[orientation] for orientation in (5, 6, 7, 8)}
"""The turns that exchange width and height."""


def upright_turn(picture: Image.Image) -> Image.Transpose | None:
    """How to set the picture upright; None for not at all, for EXIF that can't be read, and for a JPEG XL, which is
    decoded upright (its EXIF does not count), but not for one that is a JPEG made smaller.

    Only after `picture.load()`: TIFF and PNG may have their EXIF behind the pixels.
    """
    if picture.format == "JXL" and not getattr(picture, "jpeg", False):
        return None
    try:
        return _TURNS.get(cast(Any, picture.getexif().get(_ORIENTATION)))
    except Exception:  # Pillow's parsers raise anything on broken EXIF
        return None


def turned(picture: Image.Image, turn: Image.Transpose | None) -> Image.Image:
    """The picture turned, without its `info`, which still has the old orientation (in EXIF or XMP)."""
    if turn is None:
        return picture
    picture = picture.transpose(turn)
    picture.info = {}
    return picture


def exif_of_turned(picture: Image.Image, turn: Image.Transpose | None) -> bytes:
    """The picture's EXIF, without the orientation if `turn` has followed it; empty if there is none to be read."""
    if turn is None and isinstance(picture.info.get("exif"), bytes):
        return cast(bytes, picture.info["exif"])
    try:
        exif = picture.getexif()
        exif.pop(_ORIENTATION, None)
        return exif.tobytes() if len(exif) else b""
    except Exception:  # Pillow's parsers raise anything on broken EXIF
        return b""
