"""The .json files that Google Takeout puts beside photos and videos."""

import json
from pathlib import Path
from typing import Any

from sightline.processing.metadata.dates import Moment, from_timestamp
from sightline.processing.metadata.record import NOTHING, Metadata
from sightline.processing.metadata.values import NOWHERE, Place, caption_text, fraction, place, unique

_MAX_BYTES = 1 << 20


def read_takeout(path: Path) -> Metadata:
    """NOTHING for other programs' JSON. The people that Google has recognised are keywords.

    Raises OSError or ValueError.
    """
    with path.open("rb") as file:
        content = json.loads(file.read(_MAX_BYTES))
    if not isinstance(content, dict) or "photoTakenTime" not in content:
        return NOTHING
    moment = _taken(_object(content, "photoTakenTime"))
    where = next(filter(_is_known, (_place(_object(content, name)) for name in ("geoData", "geoDataExif"))), NOWHERE)
    caption = caption_text(content.get("description"))
    people = content.get("people")
    return Metadata(
        taken=moment and moment.time,
        taken_offset=moment and moment.offset,
        taken_source="takeout" if moment else None,
        latitude=where.latitude,
        longitude=where.longitude,
        altitude=where.altitude,
        keywords=unique(p.get("name") for p in people if isinstance(p, dict)) if isinstance(people, list) else (),
        caption=caption,
        caption_source="takeout" if caption else None,
    )


def _object(content: dict[str, Any], name: str) -> dict[str, Any]:
    value = content.get(name)
    return value if isinstance(value, dict) else {}


def _taken(time: dict[str, Any]) -> Moment | None:
    seconds = fraction(time.get("timestamp"))
    try:
        return None if seconds is None else from_timestamp(seconds)
    except OverflowError:
        return None


def _place(geo: dict[str, Any]) -> Place:
    """An altitude of exactly 0 stands for an unknown one."""
    latitude, longitude, altitude = (fraction(geo.get(name)) for name in ("latitude", "longitude", "altitude"))
    return place(latitude, longitude, altitude or None)


def _is_known(where: Place) -> bool:
    return where.latitude is not None
