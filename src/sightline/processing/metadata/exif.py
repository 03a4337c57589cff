"""EXIF (CIPA DC-008, Exif 3.0) as Pillow reads it, with the tags that Windows adds, and Apple's maker note."""

import io
import math
from collections import ChainMap
from collections.abc import Mapping
from typing import Any

from PIL.ExifTags import GPS, IFD, Base
from PIL.Image import Exif
from PIL.TiffImagePlugin import IFDRational, ImageFileDirectory_v2

from sightline.processing.metadata import values
from sightline.processing.metadata.dates import LocalTime, dated, parse_date
from sightline.processing.metadata.record import Metadata

_DATES = (
    (Base.DateTimeOriginal, Base.OffsetTimeOriginal, Base.SubsecTimeOriginal),
    (Base.DateTimeDigitized, Base.OffsetTimeDigitized, Base.SubsecTimeDigitized),
    (Base.DateTime, Base.OffsetTime, Base.SubsecTime),
)
"""Dates with their offsets and fractions of a second; the first that is valid counts."""
_SENSITIVITIES = (Base.ISOSpeedRatings, Base.ISOSpeed, Base.RecommendedExposureIndex, Base.StandardOutputSensitivity)
_MAX_ISO_RATINGS = 65_535
"""In ISOSpeedRatings this stands for more than its 16 bits can hold."""
_BELOW = {1, 3}
"""Altitude references: below sea level, below the ellipsoid."""
_APPLE = b"Apple iOS\0"
_APPLE_BURST, _APPLE_PAIR = 0x000B, 0x0011

_Fields = Mapping[int, Any]
"""The fields of an EXIF directory by their tags, as Pillow gives them: bytes, texts, numbers, tuples of numbers."""


def read_exif(exif: Exif) -> Metadata:
    gps = _directory(exif, IFD.GPSInfo)
    # Cameras of the first years put everything into the main directory.
    fields = ChainMap(exif, _directory(exif, IFD.Exif))
    pair_id, burst_id = _apple(_raw(fields, Base.MakerNote))
    return Metadata(
        **dated(_taken(fields), "exif"),
        camera_make=values.name_text(_text(fields, Base.Make)),
        camera_model=values.name_text(_text(fields, Base.Model)),
        lens=values.name_text(_text(fields, Base.LensModel)),
        iso=_iso(fields),
        f_number=values.positive(_number(fields, Base.FNumber), values.MAX_F_NUMBER)
        or _apex(_number(fields, Base.ApertureValue), 0.5, values.MAX_F_NUMBER),
        exposure=values.positive(_number(fields, Base.ExposureTime), values.MAX_EXPOSURE)
        or _apex(_number(fields, Base.ShutterSpeedValue), -1, values.MAX_EXPOSURE),
        focal_length=values.positive(_number(fields, Base.FocalLength), values.MAX_FOCAL_LENGTH),
        **values.place(
            _degrees(gps, GPS.GPSLatitude, GPS.GPSLatitudeRef, "NS"),
            _degrees(gps, GPS.GPSLongitude, GPS.GPSLongitudeRef, "EW"),
            _altitude(gps),
        ),
        orientation=values.whole(_number(fields, Base.Orientation), 1, 8),
        rating=values.stars(_number(fields, Base.Rating), _number(fields, Base.RatingPercent)),
        keywords=values.unique(_wide(fields, Base.XPKeywords).split(";")),
        title=values.clean(_wide(fields, Base.XPTitle)),
        caption=values.caption_text(_text(fields, Base.ImageDescription))
        or values.caption_text(_wide(fields, Base.XPComment))
        or values.caption_text(_wide(fields, Base.XPSubject))
        or values.caption_text(_comment(_raw(fields, Base.UserComment), exif.endian)),
        caption_source="exif",
        pair_id=pair_id,
        burst_id=burst_id,
    )


def _directory(exif: Exif, tag: int) -> dict[int, Any]:
    try:
        return exif.get_ifd(tag)
    except Exception:  # Pillow raises anything on broken EXIF
        return {}


def _raw(fields: _Fields, tag: int) -> bytes:
    """The bytes of a text, which Pillow decodes as Latin-1, whatever it is."""
    value = fields.get(tag)
    return value.encode("latin-1", "replace") if isinstance(value, str) else value if isinstance(value, bytes) else b""


def _text(fields: _Fields, tag: int) -> str:
    return values.decode(_raw(fields, tag)).strip("\0 ")


def _wide(fields: _Fields, tag: int) -> str:
    """Windows' texts, in UTF-16."""
    raw = _raw(fields, tag)
    return raw[: len(raw) // 2 * 2].decode("utf-16-le", "replace")


def _numbers(fields: _Fields, tag: int) -> list[float]:
    """A fraction whose denominator is 0 is nan."""
    value = fields.get(tag)
    numbers = value if isinstance(value, tuple | bytes) else (value,)
    return [float(number) for number in numbers[:3] if isinstance(number, int | float | IFDRational)]


def _number(fields: _Fields, tag: int) -> float | None:
    """The first number of the field, if it is finite."""
    return next(filter(math.isfinite, _numbers(fields, tag)[:1]), None)


def _taken(fields: _Fields) -> LocalTime | None:
    changed, changed_offset = _text(fields, Base.DateTime), _text(fields, Base.OffsetTime)
    for date_tag, offset_tag, fraction_tag in _DATES:
        date, offset = _text(fields, date_tag), _text(fields, offset_tag)
        if not offset and date == changed:  # the same moment, of which some cameras give the offset only here
            offset = changed_offset
        local = parse_date(date, offset, _text(fields, fraction_tag))
        if local:
            return local
    return None


def _degrees(gps: _Fields, tag: int, ref_tag: int, refs: str) -> float | None:
    parts, ref = _numbers(gps, tag), _text(gps, ref_tag)[:1].upper()
    if not parts or not ref or ref not in refs:
        return None
    degrees = values.sexagesimal(parts)
    return None if degrees is None or math.isnan(degrees) else -degrees if ref == refs[1] else degrees


def _altitude(gps: _Fields) -> float | None:
    altitude = _number(gps, GPS.GPSAltitude)
    is_below = _number(gps, GPS.GPSAltitudeRef) in _BELOW
    return -altitude if altitude is not None and is_below else altitude


def _iso(fields: _Fields) -> int | None:
    numbers = [values.whole(_number(fields, tag), 1, values.MAX_INTEGER) for tag in _SENSITIVITIES]
    return next((value for value in numbers if value not in (None, _MAX_ISO_RATINGS)), numbers[0])


def _apex(value: float | None, power: float, limit: float) -> float | None:
    """An f-number (2 ** (value / 2)) or an exposure in seconds (2 ** -value) from its value in the APEX system."""
    return values.positive(2 ** (value * power), limit) if value is not None and abs(value) < 64 else None


def _comment(raw: bytes, endian: str | None) -> str:
    """The user comment (4.6.5 D): 8 bytes name its encoding. Without one, many cameras keep binary notes here."""
    code, raw = raw[:8].rstrip(b"\0 ").upper(), raw[8:]
    if code == b"UNICODE":
        return raw.decode(_utf16(raw, endian), "replace")
    text = values.decode(raw).strip("\0 ")
    return text if code == b"ASCII" or (not code and all(char.isprintable() or char.isspace() for char in text)) else ""


def _utf16(raw: bytes, endian: str | None) -> str:
    """The standard leaves the order of bytes open: that of a mark, else of the zeros that Latin text is full of."""
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    first, second = raw[::2].count(0), raw[1::2].count(0)
    is_little = endian == "<" if first == second else second > first
    return "utf-16-le" if is_little else "utf-16-be"


def _apple(note: bytes) -> tuple[str | None, str | None]:
    """The identifiers of a Live Photo and of a burst, in a directory at byte 14 of the note."""
    if not note.startswith(_APPLE):
        return None, None
    directory = ImageFileDirectory_v2((b"II*\0" if note[12:14] == b"II" else b"MM\0*") + bytes(4))
    file = io.BytesIO(note)
    file.seek(14)
    try:
        directory.load(file)
        return values.clean(_text(directory, _APPLE_PAIR)), values.clean(_text(directory, _APPLE_BURST))
    except Exception:  # as above
        return None, None
