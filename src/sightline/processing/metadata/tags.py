"""The tags of a video's container: QuickTime's and MP4's, Matroska's, AVI's, by the names that FFmpeg gives them."""

import re
from collections.abc import Iterator, Mapping

from sightline.processing.metadata.dates import Moment, local_moment, parse_date
from sightline.processing.metadata.record import NOTHING, Metadata
from sightline.processing.metadata.values import (
    NOWHERE,
    Place,
    caption_text,
    clean,
    fraction,
    name_text,
    place,
    sexagesimal,
    star_rating,
    unique,
)

_APPLE = "com.apple.quicktime."
_POINT = re.compile(r"([+-])(\d+)((?:\.\d*)?)([+-])(\d+)((?:\.\d*)?)([+-]\d+(?:\.\d*)?)?")
"""ISO 6709, annex H: latitude, longitude and altitude, as ±DD.D, ±DDMM.M or ±DDMMSS.S."""
_NO_COMMENT = re.compile(r"https?://\S*|.*\b(handbrake|lavf\S*|vlc|ffmpeg)\b.*", re.IGNORECASE | re.DOTALL)


def read_tags(tags: Mapping[str, str], kind: str) -> Metadata:
    """`tags`: by their names in lower case. `kind`: "mp4", "matroska" or "avi", for the sources of the record."""

    def first(*names: str) -> str | None:
        return next((tags[name] for name in names if tags.get(name, "").strip()), None)

    moment, source = next((dated for dated in _local_dates(tags, kind) if dated[0]), (None, None))
    where = next(filter(_is_known, map(_place, _locations(tags))), NOWHERE)
    comment = first("comment", f"{_APPLE}comment")
    caption = caption_text(first(f"{_APPLE}description", "description", "synopsis", "summary")) or caption_text(
        None if comment is None or _NO_COMMENT.fullmatch(comment.strip()) else comment
    )
    return Metadata(
        taken=moment and moment.time,
        taken_offset=moment and moment.offset,
        taken_source=source,
        camera_make=name_text(first(f"{_APPLE}make", "com.android.manufacturer", "make")),
        camera_model=name_text(first(f"{_APPLE}model", "com.android.model", "model")),
        lens=name_text(first(f"{_APPLE}camera.lens_model", "lens_model")),
        latitude=where.latitude,
        longitude=where.longitude,
        altitude=where.altitude,
        rating=star_rating(fraction(first(f"{_APPLE}rating.user"))),
        keywords=unique(re.split("[,;]", first(f"{_APPLE}keywords", "keywords") or "")),
        title=clean(first(f"{_APPLE}displayname", f"{_APPLE}title", "title")),
        caption=caption,
        caption_source=kind if caption else None,
        pair_id=clean(first(f"{_APPLE}content.identifier")),
    )


def read_clock(tags: Mapping[str, str], kind: str) -> Metadata:
    """The date of the container's clock, in UTC, as the clocks of this machine's zone showed it."""
    text = tags.get("creation_time", "")
    instant = parse_date(text) if _is_utc(text) else None
    moment = instant and local_moment(instant.time)
    if moment is None:
        return NOTHING
    return Metadata(taken=moment.time, taken_offset=moment.offset, taken_source=kind)


def _local_dates(tags: Mapping[str, str], kind: str) -> Iterator[tuple[Moment | None, str]]:
    """The dates that are local time, each with its source."""
    yield parse_date(tags.get(f"{_APPLE}creationdate")), "quicktime"
    yield parse_date(tags.get("date_recorded")), kind
    if not _is_utc(tags.get("creation_time", "")):
        yield parse_date(tags.get("creation_time")), kind
    day = parse_date(tags.get("date"))
    if kind == "avi":
        yield day, kind
    elif day and day.offset is not None and not _is_utc(tags["date"]):
        # An older iPhone's. In other MP4s this is the day of a release, in Matroska that of the tags.
        yield day, "quicktime"


def _is_utc(text: str) -> bool:
    """AVI's dates have no zone; they are local time."""
    return text.strip().upper().endswith("Z")


def _locations(tags: Mapping[str, str]) -> Iterator[str]:
    yield tags.get(f"{_APPLE}location.iso6709", "")
    yield from (text for name, text in tags.items() if name.partition("-")[0] == "location")


def _place(text: str) -> Place:
    match = _POINT.match(text.strip())
    if not match:
        return NOWHERE
    latitude = _degrees(match[1], match[2], match[3], 2)
    return place(latitude, _degrees(match[4], match[5], match[6], 3), fraction(match[7]))


def _degrees(sign: str, digits: str, rest: str, width: int) -> float:
    """`width`: how many of the digits are degrees; pairs of minutes and seconds may follow."""
    parts = [digits[:width], *re.findall("..", digits[width:])]
    parts[-1] += rest
    degrees = sexagesimal(parts)
    return -degrees if sign == "-" else degrees


def _is_known(where: Place) -> bool:
    return where.latitude is not None
