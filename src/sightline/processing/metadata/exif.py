"""EXIF (CIPA DC-008, Exif 3.0), with the tags that Windows adds, and Apple's maker note."""

import io
import math
from typing import BinaryIO

from sightline.processing.metadata.dates import Moment, parse_date
from sightline.processing.metadata.record import Metadata
from sightline.processing.metadata.tiff import Directory, first_directory
from sightline.processing.metadata.values import (
    NOWHERE,
    Place,
    caption_text,
    clean,
    decode,
    name_text,
    percent_rating,
    place,
    positive,
    sexagesimal,
    star_rating,
    unique,
    whole,
)

_DESCRIPTION, _MAKE, _MODEL, _ORIENTATION, _CHANGED = 0x010E, 0x010F, 0x0110, 0x0112, 0x0132
_RATING, _RATING_PERCENT = 0x4746, 0x4749
_XP_TITLE, _XP_COMMENT, _XP_KEYWORDS, _XP_SUBJECT = 0x9C9B, 0x9C9C, 0x9C9E, 0x9C9F
_DETAILS, _GPS = 0x8769, 0x8825

_EXPOSURE, _F_NUMBER, _SHUTTER, _APERTURE, _FOCAL_LENGTH = 0x829A, 0x829D, 0x9201, 0x9202, 0x920A
_SENSITIVITIES = (0x8827, 0x8833, 0x8832, 0x8831)
"""PhotographicSensitivity, which has no room for more than 65,535, ISOSpeed, RecommendedExposureIndex,
StandardOutputSensitivity."""
_LENS, _MAKER_NOTE, _USER_COMMENT = 0xA434, 0x927C, 0x9286
_ORIGINAL, _DIGITIZED = 0x9003, 0x9004
_OFFSETS = {_CHANGED: 0x9010, _ORIGINAL: 0x9011, _DIGITIZED: 0x9012}
_FRACTIONS = {_CHANGED: 0x9290, _ORIGINAL: 0x9291, _DIGITIZED: 0x9292}

_LATITUDE_REF, _LATITUDE, _LONGITUDE_REF, _LONGITUDE, _ALTITUDE_REF, _ALTITUDE = range(1, 7)
_BELOW = {1, 3}
"""Altitude references: below sea level, below the ellipsoid."""

_APPLE = b"Apple iOS\0"
_APPLE_BURST, _APPLE_PAIR = 0x000B, 0x0011


def read_exif(file: BinaryIO) -> Metadata:
    """`file`: the TIFF that EXIF is. Raises whatever `first_directory` raises."""
    main = first_directory(file)
    details = main.directory(_DETAILS) or main  # cameras of the first years put everything into the main directory
    moment = _taken(main, details)
    where = _place(main.directory(_GPS))
    caption = _caption(main, details)
    pair_id, burst_id = _apple(details)
    rating = star_rating(main.number(_RATING))
    return Metadata(
        taken=moment and moment.time,
        taken_offset=moment and moment.offset,
        taken_source="exif" if moment else None,
        camera_make=name_text(decode(main.raw(_MAKE))),
        camera_model=name_text(decode(main.raw(_MODEL))),
        lens=name_text(decode(details.raw(_LENS))),
        iso=_iso(details),
        f_number=positive(details.number(_F_NUMBER)) or _apex(details.number(_APERTURE), 0.5),
        exposure=positive(details.number(_EXPOSURE)) or _apex(details.number(_SHUTTER), -1),
        focal_length=positive(details.number(_FOCAL_LENGTH)),
        latitude=where.latitude,
        longitude=where.longitude,
        altitude=where.altitude,
        orientation=whole(main.number(_ORIENTATION), 1, 8),
        rating=percent_rating(main.number(_RATING_PERCENT)) if rating is None else rating,
        keywords=unique(_wide(main.raw(_XP_KEYWORDS)).split(";")),
        title=clean(_wide(main.raw(_XP_TITLE))),
        caption=caption,
        caption_source="exif" if caption else None,
        pair_id=pair_id,
        burst_id=burst_id,
    )


def _taken(main: Directory, details: Directory) -> Moment | None:
    texts = {
        _ORIGINAL: _ascii(details, _ORIGINAL),
        _DIGITIZED: _ascii(details, _DIGITIZED),
        _CHANGED: _ascii(main, _CHANGED),
    }
    for tag, text in texts.items():
        offset = _ascii(details, _OFFSETS[tag])
        if not offset and text == texts[_CHANGED]:  # the same moment, of which some cameras give the offset only here
            offset = _ascii(details, _OFFSETS[_CHANGED])
        moment = parse_date(text, offset, _ascii(details, _FRACTIONS[tag]))
        if moment:
            return moment
    return None


def _place(gps: Directory | None) -> Place:
    if gps is None:
        return NOWHERE
    altitude = gps.number(_ALTITUDE)
    if altitude is not None and gps.raw(_ALTITUDE_REF)[:1] in {bytes([ref]) for ref in _BELOW}:
        altitude = -altitude
    latitude = _degrees(gps, _LATITUDE, _LATITUDE_REF, b"NS")
    return place(latitude, _degrees(gps, _LONGITUDE, _LONGITUDE_REF, b"EW"), altitude)


def _degrees(gps: Directory, tag: int, ref_tag: int, refs: bytes) -> float | None:
    parts, ref = gps.numbers(tag)[:3], gps.raw(ref_tag).strip()[:1].upper()
    if not parts or not ref or ref not in refs:
        return None
    degrees = sexagesimal(parts)
    return None if math.isnan(degrees) else -degrees if ref == refs[1:] else degrees


def _iso(details: Directory) -> int | None:
    values = (whole(details.number(tag), 1, 1 << 31) for tag in _SENSITIVITIES)
    stated = [value for value in values if value is not None]
    return next((value for value in stated if value != 65535), stated[0] if stated else None)


def _apex(value: float | None, power: float) -> float | None:
    """An f-number (2 ** (value / 2)) or an exposure in seconds (2 ** -value) from its value in the APEX system."""
    return positive(2 ** (value * power)) if value is not None and abs(value) < 64 else None


def _caption(main: Directory, details: Directory) -> str | None:
    return (
        caption_text(decode(main.raw(_DESCRIPTION)))
        or caption_text(_wide(main.raw(_XP_COMMENT)))
        or caption_text(_wide(main.raw(_XP_SUBJECT)))
        or caption_text(_comment(details.raw(_USER_COMMENT), details.order))
    )


def _comment(raw: bytes, order: str) -> str:
    """The user comment (4.6.5 D): 8 bytes name its encoding."""
    code, raw = raw[:8].rstrip(b"\0 ").upper(), raw[8:]
    if code == b"UNICODE":
        return raw.decode(_utf16(raw, order), "replace")
    if code == b"JIS":
        try:
            return raw.decode("iso2022_jp" if b"\x1b" in raw else "shift_jis")
        except UnicodeDecodeError:
            return ""
    text = decode(raw).strip("\0 ")
    # Without an encoding many cameras keep binary notes here.
    return text if code == b"ASCII" or (not code and all(char.isprintable() or char.isspace() for char in text)) else ""


def _utf16(raw: bytes, order: str) -> str:
    """The standard leaves the order of bytes open: that of a mark, else of the zeros that Latin text is full of."""
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    first, second = raw[::2].count(0), raw[1::2].count(0)
    little = order == "<" if first == second else second > first
    return "utf-16-le" if little else "utf-16-be"


def _wide(raw: bytes) -> str:
    """Windows' texts, in UTF-16."""
    return raw[: len(raw) // 2 * 2].decode("utf-16-le", "replace")


def _ascii(directory: Directory, tag: int) -> str:
    return directory.raw(tag).decode("utf-8", "replace").strip("\0 ")


def _apple(details: Directory) -> tuple[str | None, str | None]:
    """The identifiers of a Live Photo and a burst, in a directory at byte 14. Offsets count from the note."""
    note = details.raw(_MAKER_NOTE)
    if not note.startswith(_APPLE):
        return None, None
    try:
        directory = Directory(io.BytesIO(note), "<" if note[12:14] == b"II" else ">", 14)
    except Exception:
        return None, None
    return clean(decode(directory.raw(_APPLE_PAIR))), clean(decode(directory.raw(_APPLE_BURST)))
