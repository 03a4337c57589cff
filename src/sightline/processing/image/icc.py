"""ICC profiles: which of them say more than sRGB, and a picture's colors brought from a profile to sRGB."""

import io
import struct
from functools import cache, lru_cache
from typing import Literal

import numpy as np
from PIL import Image, ImageCms

from sightline.logger import LOGGER
from sightline.processing.image.color_space import HLG, PQ, ColorSpace, space_of_codes

_MAX_PROFILE = 1 << 22
"""Bytes: a longer profile is not read. Those of presses have up to 2.5 million."""
_MODES = {
    "RGB ": {"RGB": "RGB", "RGBA": "RGBA"},
    "GRAY": {"L": "RGB"},
    "CMYK": {"CMYK": "RGB"},
    "Lab ": {"LAB": "RGB"},
}
"""By a profile's color space: the modes of pictures that it can belong to, each with the mode that comes of it."""
_MEAN, _MAX = 1.0, 4.0
"""Levels of 255 that a profile may move colors by and still be sRGB's: curves are stored as tables of all lengths."""


class Transform:
    """From a profile to sRGB, usable by many threads at a time."""

    def __init__(self, profile: ImageCms.ImageCmsProfile, mode: str, result: str) -> None:
        """Raises what Pillow raises for broken profiles."""
        # Black is mapped to black, as viewers do; without NOCACHE a transform remembers its last color.
        flags = ImageCms.Flags.BLACKPOINTCOMPENSATION | ImageCms.Flags.NOCACHE
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
        self._transform = ImageCms.ImageCmsTransform(profile, _builtin("sRGB"), mode, result, intent, flags=flags)

    def apply(self, picture: Image.Image) -> Image.Image:
        """The picture in sRGB: "RGB", or "RGBA" for "RGBA"."""
        converted = self._transform.apply(picture)
        converted.info = {}
        return converted


@lru_cache(maxsize=32)
def transform_of(profile: bytes, mode: str) -> Transform | ColorSpace | None:
    """How pictures of this mode come from the profile to sRGB.

    None where the pixels are to be taken as they are stored: the profile is sRGB's, or broken, or of another kind of
    pictures (a gray profile in an RGB file). The logger is told of a profile that is broken or too long, once for each
    profile. A profile of HDR names H.273's codes (ICC.1:2022, tag "cicp").
    """
    try:
        codes = _codes(profile)
        if codes and codes[1] in (PQ, HLG):
            return space_of_codes(*codes)
        if len(profile) > _MAX_PROFILE:
            _tell(profile, f"is longer than {_MAX_PROFILE:,} bytes")
            return None
        read = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        result = _MODES.get(read.profile.xcolor_space, {}).get(mode)
        if result is None:
            return None
        transform = Transform(read, mode, result)
        return None if mode in ("RGB", "RGBA") and _is_srgb(transform, mode) else transform
    except Exception:  # Pillow's and LittleCMS' errors of broken profiles are of all kinds
        _tell(profile, "is broken")
        return None


def _tell(profile: bytes, why: str) -> None:
    LOGGER.warning(f"a color profile of {len(profile):,} bytes {why}: colors of images with it are taken as stored")


@cache
def lab_transform() -> Transform:
    """Of CIELab, which needs no profile."""
    return Transform(_builtin("LAB"), "LAB", "RGB")


@cache
def _builtin(name: Literal["sRGB", "LAB"]) -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(name))


def _is_srgb(transform: Transform, mode: str) -> bool:
    steps = np.linspace(0, 255, 9).round().astype(np.uint8)
    colors = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(27, 27, 3)
    shown = np.asarray(transform.apply(Image.fromarray(colors).convert(mode)).convert("RGB"))
    moved = np.abs(shown.astype(np.int16) - colors)
    return bool(moved.mean() <= _MEAN and moved.max() <= _MAX)


def _codes(profile: bytes) -> tuple[int, int] | None:
    """The primaries and the transfer that the tag "cicp" names."""
    (count,) = struct.unpack_from(">I", profile, 128)
    for at in range(132, 132 + 12 * min(count, 100), 12):
        name, start, _ = struct.unpack_from(">4sII", profile, at)
        if name == b"cicp":
            primaries, transfer = struct.unpack_from(">2B", profile, start + 8)
            return primaries, transfer
    return None
