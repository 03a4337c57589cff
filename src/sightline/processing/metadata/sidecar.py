"""The files beside an image or a video that speak of it: .xmp files, and Google Takeout's .json files."""

import json
import os
import re
import time
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Any

from sightline.files import open_file
from sightline.processing.metadata.dates import dated, from_timestamp
from sightline.processing.metadata.record import NOTHING, Metadata, merge
from sightline.processing.metadata.values import caption_text, fraction, place, unique
from sightline.processing.metadata.xmp import MAX_BYTES, Packet, read_xmp
from sightline.processing.suffixes import is_video

_SETTLED = 2_000_000_000
"""Nanoseconds. A folder that changed within them may change again without a new time of change (FAT counts in 2 s)."""
_MAX_JSON = 1 << 20
"""Bytes of a .json file that are read."""
_SUPPLEMENT = ".supplemental-metadata"
_LONGEST, _SHORTEST = 51, 43
"""Characters that Takeout cuts the name before ".json" at: 46, or 51 with it, less a number in brackets."""
_NUMBERED = re.compile(r"(.+)(\(\d+\))(\.[^.]*)?")
_EDITED = re.compile(
    r"(.+?)-(?:edited|bearbeitet|modifié|modifie|editado|edytowane|bewerkt|modificato|ha editado|redigerad|redigeret"
    r"|muokattu|upraveno|szerkesztett|editat|изменено|編集済み|已修改|수정됨)(\(\d+\))?(\.[^.]*)?",
    re.IGNORECASE,
)
_PARTNERS = (".heic", ".jpg", ".jpeg", ".png")
"""The video of a Live Photo has no .json file; its image has."""


def with_sidecars(path: Path, header: Metadata, clock: Metadata = NOTHING) -> Metadata:
    """The header's record, and what the files beside it add. `clock` counts where nothing else states a date."""
    xmp = takeout = NOTHING
    with suppress(Exception):
        if xmp_path := find_xmp(path):
            xmp = _read_xmp_file(xmp_path)
    with suppress(Exception):
        if takeout_path := find_takeout(path):
            takeout = read_takeout(takeout_path)
    record = merge((header, xmp, takeout, clock), (xmp, takeout, header, clock))
    # The people that Google has recognised join the keywords that somebody has written.
    return replace(record, keywords=unique((*(xmp.keywords or header.keywords), *takeout.keywords)))


def find_xmp(path: Path) -> Path | None:
    """The .xmp file beside `path`: "photo.jpg.xmp", else "photo.xmp". Raises OSError."""
    key = _key(path.name)
    return _find(path, (f"{key}.xmp", f"{PurePath(key).stem}.xmp"))


def find_takeout(path: Path) -> Path | None:
    """Google Takeout's .json file beside `path`. Raises OSError."""
    return _find(path, _takeout_names(_key(path.name)))


def _find(path: Path, keys: Iterable[str]) -> Path | None:
    listing = _listing(path.parent)
    names = next(filter(None, map(listing.get, keys)), None)
    if not names:
        return None
    # Where only case tells two images apart, it tells their sidecars apart.
    return path.parent / next((name for name in names if name.startswith(path.stem)), names[0])


def _read_xmp_file(path: Path) -> Metadata:
    """The orientation is left out: raw developers write that of their result."""
    with open_file(path) as file:
        return replace(read_xmp(Packet(file.read(MAX_BYTES + 1)), "sidecar"), orientation=None)


def read_takeout(path: Path) -> Metadata:
    """NOTHING for other programs' JSON. Google's recognised people are keywords. Raises OSError, ValueError, and
    ImageError for what is not a file."""
    with open_file(path) as file:
        content = json.loads(file.read(_MAX_JSON))
    if not isinstance(content, dict) or "photoTakenTime" not in content:
        return NOTHING
    people = content.get("people")
    people = people if isinstance(people, list) else []
    return Metadata(
        **dated(from_timestamp(fraction(_object(content, "photoTakenTime").get("timestamp"))), "takeout"),
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


def _takeout_names(name: str) -> Iterator[str]:
    """The names that Takeout gives the .json file of `name`, which is in lower case; the surest first."""
    yield from _cut_names(name, "")
    if numbered := _NUMBERED.fullmatch(name):
        yield from _cut_names(numbered[1] + (numbered[3] or ""), numbered[2])
    if edited := _EDITED.fullmatch(name):
        yield from _takeout_names(edited[1] + (edited[2] or "") + (edited[3] or ""))
    stem = PurePath(name).stem
    yield f"{stem}.json"
    if is_video(name):
        for partner in _PARTNERS:
            yield from _cut_names(stem + partner, "")


def _cut_names(name: str, number: str) -> Iterator[str]:
    """ "photo.jpg.supplemental-metadata.json", cut anywhere after the image's name, or within it where it is long."""
    whole = name + _SUPPLEMENT
    for length in range(len(whole), len(name) - 1, -1):
        yield f"{whole[:length]}{number}.json"
    for length in range(min(_LONGEST, len(name) - 1), _SHORTEST - 1, -1):
        yield f"{name[:length]}{number}.json"


def _key(name: str) -> str:
    """Names are compared without regard to case and Unicode form."""
    return unicodedata.normalize("NFC", name).casefold()


def _listing(folder: Path) -> dict[str, list[str]]:
    """The names of the .xmp and .json files in `folder`, by their keys; read again only when it has changed."""
    changed = folder.stat().st_mtime_ns
    is_settled = not 0 <= time.time_ns() - changed < _SETTLED
    return (_list if is_settled else _list.__wrapped__)(folder, changed)


@lru_cache(maxsize=64)
def _list(folder: Path, changed: int) -> dict[str, list[str]]:
    listing: dict[str, list[str]] = {}
    for name in sorted(os.listdir(folder)):  # noqa: PTH208  names alone, ten times as fast
        if name[-4:].lower() == ".xmp" or name[-5:].lower() == ".json":
            listing.setdefault(_key(name), []).append(name)
    return listing
