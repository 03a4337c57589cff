"""Pictures brought to sRGB from the color space that their files name: a profile, H.273's codes, PNG's gamma, EXIF."""

import re
import struct
from contextlib import suppress
from typing import Any, BinaryIO, TypeAlias, cast

import numpy as np
from PIL import Image
from PIL.ExifTags import IFD

from sightline.processing.image.color import to_uint8
from sightline.processing.image.color_space import (
    ADOBE_RGB,
    HLG,
    PQ,
    SRGB_SPACE,
    ColorSpace,
    space_of_codes,
    space_of_gamma,
    to_srgb,
)
from sightline.processing.image.icc import lab_transform, transform_of

Codes: TypeAlias = tuple[int, int]
"""H.273's of primaries and of transfer."""

_PNG_CHUNKS_BEFORE_PIXELS = 64
_HEIF_HEAD = 1 << 16
_NCLX = re.compile(rb"colrnclx(.{4})", re.DOTALL)
"""The box of ISO/IEC 14496-12, 12.1.5, and the two codes with which it begins."""
_ADOBE_MARKS = b"R03\0", b"\x01\xa0\x03\0\x01\0\0\0\x02\0", b"\xa0\x01\0\x03\0\0\0\x01\0\x02"
"""One of these is in every EXIF that names Adobe RGB: the index of interoperability, or ColorSpace as 2."""
_INTEROP_INDEX, _COLOR_SPACE, _ADOBE = 1, 0xA001, 2


def read_codes(file: BinaryIO, format_name: str | None) -> Codes | None:
    """The codes in a PNG or AVIF, which Pillow passes over. The position in the file
    stays."""
    if format_name not in ("PNG", "AVIF"):
        return None
    position = file.tell()
    try:
        return _png_codes(file) if format_name == "PNG" else _nclx_codes(file)
    finally:
        file.seek(position)


def in_srgb(picture: Image.Image, codes: Codes | None = None, short_side: int | None = None) -> Image.Image:
    """The picture with 8 bits a channel, in sRGB; the same picture if it is so already.

    `codes` are what `read_codes` says of its file. A picture that is converted is "RGB" or "RGBA", and where its short
    side is more than 3 times `short_side` it is first reduced, by averages, to 1.5 times that or more. A profile that
    is broken or cannot belong to the picture changes nothing. Raises ValueError for a mode that PIL can't convert.
    """
    pixels, info = to_uint8(picture), picture.info
    if pixels.mode == "LAB":
        return lab_transform().apply(_reduced(pixels, short_side))
    nclx = info.get("nclx_profile")
    if codes is None and isinstance(nclx, dict):  # as pillow_heif gives it
        codes = nclx.get("color_primaries", 2), nclx.get("transfer_characteristics", 2)
    profile = info.get("icc_profile")
    if codes is not None and (not profile or picture.format == "PNG" or codes[1] in (PQ, HLG)):
        return _from_space(pixels, space_of_codes(*codes), short_side)
    if profile and isinstance(profile, bytes):
        return _from_profile(pixels, profile, short_side)
    return _from_space(pixels, _space_of_gamma(info) or _space_of_exif(picture), short_side)


def _from_space(picture: Image.Image, space: ColorSpace | None, short_side: int | None) -> Image.Image:
    if space is None or space == SRGB_SPACE:
        return picture
    colors = _reduced(picture.convert("RGBA" if _is_transparent(picture) else "RGB"), short_side)
    values = np.asarray(colors)
    shown = to_srgb(values[..., :3], space)
    return Image.fromarray(np.concatenate([shown, values[..., 3:]], axis=-1))


def _from_profile(picture: Image.Image, profile: bytes, short_side: int | None) -> Image.Image:
    mode = picture.mode
    if mode not in ("L", "CMYK"):
        is_gray = mode in ("1", "LA", "La")
        mode = "L" if is_gray else "RGBA" if _is_transparent(picture) else "RGB"
    transform = transform_of(profile, mode)
    if isinstance(transform, ColorSpace):
        return _from_space(picture, transform, short_side)
    if transform is None:
        return picture
    if mode == "L" and _is_transparent(picture):
        opacity = picture.convert("LA").getchannel("A")
        shown = transform.apply(picture.convert("LA").getchannel("L"))
        shown.putalpha(opacity)
        return shown
    return transform.apply(_reduced(picture.convert(mode), short_side))


def _is_transparent(picture: Image.Image) -> bool:
    return "A" in picture.getbands() or "a" in picture.getbands() or picture.info.get("transparency") is not None


def _reduced(picture: Image.Image, short_side: int | None) -> Image.Image:
    factor = 1 if short_side is None else int(min(picture.size) / max(short_side * 1.5, 1))
    return picture.reduce(factor) if factor > 1 else picture


def _png_codes(file: BinaryIO) -> Codes | None:
    """PNG, third edition, 11.3.2.6: the chunk "cICP", ahead of palette and pixels."""
    file.seek(8)
    for _ in range(_PNG_CHUNKS_BEFORE_PIXELS):
        head = file.read(8)
        if len(head) < 8 or head[4:] in (b"IDAT", b"PLTE"):
            return None
        if head[4:] == b"cICP":
            primaries, transfer = struct.unpack(">2B", file.read(2))
            return primaries, transfer
        file.seek(struct.unpack(">I", head[:4])[0] + 4, 1)
    return None


def _nclx_codes(file: BinaryIO) -> Codes | None:
    """The first box of colors, which is the picture's; others follow it, of its opacity or of a smaller picture."""
    file.seek(0)
    match = _NCLX.search(file.read(_HEIF_HEAD))
    if not match:
        return None
    primaries, transfer = struct.unpack(">2H", match[1])
    return primaries, transfer


def _space_of_gamma(info: dict[Any, Any]) -> ColorSpace | None:
    """PNG's chunks gAMA and cHRM, which count where it has neither sRGB nor a profile (third edition, 4.3)."""
    if "srgb" in info or not ("gamma" in info or "chromaticity" in info):
        return None
    with suppress(TypeError, ValueError, ZeroDivisionError):
        white_x, white_y, *rest = info.get("chromaticity") or (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
        return space_of_gamma(cast(Any, (*rest, white_x, white_y)), 1 / info.get("gamma", 1 / 2.2))
    return None


def _space_of_exif(picture: Image.Image) -> ColorSpace | None:
    """Adobe RGB, which cameras name by EXIF alone (DCF 2.0: optional color space)."""
    raw = picture.info.get("exif")
    if not isinstance(raw, bytes) or not any(mark in raw for mark in _ADOBE_MARKS):
        return None
    with suppress(Exception):  # Pillow's parsers raise anything on broken EXIF
        exif = picture.getexif()
        interop = str(exif.get_ifd(IFD.Interop).get(_INTEROP_INDEX, ""))
        if interop.startswith("R03") or exif.get_ifd(IFD.Exif).get(_COLOR_SPACE) == _ADOBE:
            return ADOBE_RGB
    return None
