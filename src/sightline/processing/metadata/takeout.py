"""The .json files that Google Takeout puts beside photos and videos."""

import json
from pathlib import Path
from typing import Any

from sightline.processing.metadata.dates import from_timestamp
from sightline.processing.metadata.record import NOTHING, Metadata
from sightline.processing.metadata.values import caption_text, fraction, place, unique

_MAX_BYTES = 1 << 20


def read_takeout(path: Path) -> Metadata:
    """NOTHING for other programs' JSON. The people that Google has recognised are keywords.

    Raises OSError or ValueError.
    """
    with path.open("rb") as file:
        content = json.loads(file.read(_MAX_BYTES))
    if not isinstance(content, dict) or "photoTakenTime" not in content:
        return NOTHING
    moment = from_timestamp(fraction(_object(content, "photoTakenTime").get("timestamp")))
    people = content.get("people")
    people = people if isinstance(people, list) else []
    return Metadata(
        taken=moment and moment.time,
        taken_offset=moment and moment.offset,
        taken_source="takeout",
        **(_place(_object(content, "geoData")) or _place(_object(content, "geoDataExif"))),
        keywords=unique(person.get("name") for person in people if isinstance(person, dict)),
        caption=caption_text(content.get("description")),
        caption_source="takeout",
    )


def _object(content: dict[str, Any], name: str) -> dict[str, Any]:
    value = content.get(name)
    return value if isinstance(value, dict) else {}


def _place(geo: dict[str, Any]) -> dict[str, Any]:
    """An altitude of exactly 0 stands for an unknown one."""
    latitude, longitude, altitude = (fraction(geo.get(name)) for name in ("latitude", "longitude", "altitude"))
    return place(latitude, longitude, altitude or None)
