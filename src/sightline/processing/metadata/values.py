"""Texts, numbers and places as files hold them, checked. What makes no sense is None."""

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

MAX_TEXT = 1 << 16
"""Characters of a caption; what follows is cut."""
MAX_NAME = 1 << 10
"""Characters of a title, a keyword or a name; what follows is cut."""
MAX_KEYWORDS = 1000
MAX_F_NUMBER = 1e3
MAX_EXPOSURE = 1e5
"""Seconds."""
MAX_FOCAL_LENGTH = 1e4
"""Millimetres."""
MAX_INTEGER = (1 << 31) - 1

_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069\ufeff]+")
"""Control characters, among them those that turn the direction of text, and blanks of no width."""
_INVISIBLE = ("Cf", "Zs", "Zl", "Zp")
"""Unicode's categories of characters without a shape."""
_NO_CAPTION = re.compile(
    r"dcim[\\/].*|<.*>|[-*_.\s]+"
    r"|(olympus|minolta|konica minolta|pentax|samsung|<?kodak|polaroid)?\s*(digital (still )?camera|camera pictures)"
    r"|sony dsc|samsung csc|file written by adobe photoshop.*|\{.shape.: .*"
    r"|default|untitled|applemark|exif_jpeg_\w*|jpeg|ascii|user comments?|binary comment|charset=.*"
    r"|created with (the )?gimp|(oznor|hdrpl|rhdr|cof|edf|dav|mde|nor|ptr|btf|sdr|nfv|hdr|rpt|qrf|fbt|mnf|mtd)+",
    re.IGNORECASE | re.DOTALL,
)
"""What cameras and programs write into every image's description by themselves."""


def decode(raw: bytes) -> str:
    """UTF-8; bytes that are not UTF-8 are Windows-1252, and where that lacks a character ISO 8859-1."""
    for encoding in ("utf-8", "cp1252"):
        with suppress(UnicodeDecodeError):
            return raw.decode(encoding)
    return raw.decode("latin-1")


def clean(text: object, limit: int = MAX_NAME) -> str | None:
    """The text up to its first NUL, without control characters and outer blanks; None if nothing visible is left."""
    if not isinstance(text, str):
        return None
    text = text.strip("\0 \t\r\n\ufeff").partition("\0")[0][: limit * 2]
    text = _CONTROLS.sub("", text).strip()[:limit].rstrip()
    if all(unicodedata.category(char) in _INVISIBLE for char in text):
        return None
    # JSON can hold halves of UTF-16 pairs, which cannot be stored as UTF-8.
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace") or None


def caption_text(text: object) -> str | None:
    """A person's description of the image; None for what cameras and programs write into every image."""
    caption = clean(text, MAX_TEXT)
    return None if caption is None or _NO_CAPTION.fullmatch(caption) else caption


def name_text(text: object) -> str | None:
    """A make, model or lens; None for the dashes and zeros that stand for an unknown name."""
    name = clean(text)
    return None if name is None or not name.strip("-.0 ") or name.lower() in ("unknown", "n/a", "none") else name


def unique(texts: Iterable[object]) -> tuple[str, ...]:
    """Keywords, cleaned, in order and each only once."""
    cleaned = (clean(text) for text in texts)
    return tuple(dict.fromkeys(text for text in cleaned if text is not None))[:MAX_KEYWORDS]


def positive(number: float | None, limit: float = 1e6) -> float | None:
    return number if number is not None and 0 < number <= limit else None


def whole(number: float | None, low: int, high: int) -> int | None:
    """`number` as an int if it lies within `low` to `high`."""
    return round(number) if number is not None and low <= number <= high else None


def fraction(text: object) -> float | None:
    """ "1/250", "5.6", 5.6"""
    if isinstance(text, bool) or not isinstance(text, str | int | float):
        return None
    try:
        upper, _, lower = str(text).partition("/")
        number = float(upper) / float(lower or 1)
    except (ValueError, ZeroDivisionError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def sexagesimal(parts: Sequence[float | str | None]) -> float | None:
    """Degrees from degrees, minutes and seconds, of which minutes and seconds may be missing or None; None if one of
    these is 60 or more."""
    degrees, minutes, seconds = (float(part or 0) for part in (*parts, 0, 0, 0)[:3])
    if not (0 <= minutes < 60 and 0 <= seconds < 60):
        return None
    return degrees + minutes / 60 + seconds / 3600


def place(latitude: float | None, longitude: float | None, altitude: float | None = None) -> dict[str, Any]:
    """The fields of `Metadata` for a place.

    Empty if a coordinate is missing or out of range, or both are exactly 0, which devices write for "unknown".
    """
    if latitude is None or longitude is None or latitude == longitude == 0:
        return {}
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):
        return {}
    altitude = altitude if altitude is not None and -12_000 <= altitude <= 100_000 else None
    return {"latitude": latitude, "longitude": longitude, "altitude": altitude}


def stars(number: float | None, percent: float | None = None) -> int | None:
    """A rating; where it is missing, that of Windows' percentage: 1, 25, 50, 75 and 99 stand for 1 to 5 stars."""
    if number is not None and -1 <= number <= 5:
        return round(number)
    if percent is None or not 0 <= percent <= 100:
        return None
    return round(percent / 25) + 1 if percent >= 1 else 0
