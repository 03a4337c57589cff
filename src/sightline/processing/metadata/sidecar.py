"""The files beside an image or a video that speak of it: .xmp files, and Google Takeout's .json files."""

import os
import re
import time
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path, PurePath
from typing import NamedTuple

from sightline.processing.metadata.record import NOTHING, Metadata, merge
from sightline.processing.metadata.takeout import read_takeout
from sightline.processing.metadata.values import unique
from sightline.processing.metadata.xmp import MAX_BYTES, Packet, read_xmp
from sightline.processing.suffixes import VIDEO_SUFFIXES

_SETTLED = 2_000_000_000
"""Nanoseconds. A folder that changed within them may change again without a new time of change (FAT counts in 2 s)."""
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


class Sidecars(NamedTuple):
    """The files that speak of an image or a video."""

    xmp: Path | None
    takeout: Path | None


def find_sidecars(path: Path) -> Sidecars:
    """Names are compared without regard to case and Unicode form. Looks at the folder once, until it changes.

    Raises OSError.
    """
    folder = path.parent
    listing = _listing(folder)
    if not listing:
        return Sidecars(None, None)

    def first(candidates: Iterator[str]) -> Path | None:
        names = next(filter(None, map(listing.get, candidates)), None)
        if not names:
            return None
        # Where case tells two images apart, it tells their sidecars apart.
        return folder / next((name for name in names if name.startswith(path.stem)), names[0])

    key = _key(path.name)
    return Sidecars(first(_xmp_names(key)), first(_takeout_names(key)))


def with_sidecars(path: Path, header: Metadata, clock: Metadata = NOTHING) -> Metadata:
    """The header's record, and what the files beside it add. `clock` counts where nothing else states a date."""
    xmp = takeout = NOTHING
    with suppress(Exception):
        sidecars = find_sidecars(path)
        with suppress(Exception):
            if sidecars.xmp:
                xmp = _read_xmp_file(sidecars.xmp)
        with suppress(Exception):
            if sidecars.takeout:
                takeout = read_takeout(sidecars.takeout)
    record = merge((header, xmp, takeout, clock), (xmp, takeout, header, clock))
    if not takeout.keywords:
        return record
    # The people that Google has recognised join the keywords that somebody has written.
    return replace(record, keywords=unique((*(xmp.keywords or header.keywords), *takeout.keywords)))


def _read_xmp_file(path: Path) -> Metadata:
    """The orientation is left out: raw developers write that of their result."""
    with path.open("rb") as file:
        return replace(read_xmp(Packet(file.read(MAX_BYTES + 1)), "sidecar"), orientation=None)


def _xmp_names(name: str) -> Iterator[str]:
    yield f"{name}.xmp"
    yield f"{_split(name)[0]}.xmp"


def _takeout_names(name: str) -> Iterator[str]:
    """The names that Takeout gives the .json file of `name`, which is in lower case; the surest first."""
    yield from _cut_names(name, "")
    if numbered := _NUMBERED.fullmatch(name):
        yield from _cut_names(numbered[1] + (numbered[3] or ""), numbered[2])
    if edited := _EDITED.fullmatch(name):
        yield from _takeout_names(edited[1] + (edited[2] or "") + (edited[3] or ""))
    stem, suffix = _split(name)
    yield f"{stem}.json"
    if suffix in VIDEO_SUFFIXES:
        for partner in _PARTNERS:
            yield from _cut_names(stem + partner, "")


def _cut_names(name: str, number: str) -> Iterator[str]:
    """ "photo.jpg.supplemental-metadata.json", cut anywhere after the image's name, or within it where it is long."""
    whole = name + _SUPPLEMENT
    for length in range(len(whole), len(name) - 1, -1):
        yield f"{whole[:length]}{number}.json"
    for length in range(min(_LONGEST, len(name) - 1), _SHORTEST - 1, -1):
        yield f"{name[:length]}{number}.json"


def _split(name: str) -> tuple[str, str]:
    path = PurePath(name)
    return path.stem, path.suffix


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _listing(folder: Path) -> dict[str, list[str]]:
    changed = folder.stat().st_mtime_ns
    if 0 <= time.time_ns() - changed < _SETTLED:
        return _list(folder)
    return _list_unchanged(folder, changed)


@lru_cache(maxsize=64)
def _list_unchanged(folder: Path, changed: int) -> dict[str, list[str]]:
    return _list(folder)


def _list(folder: Path) -> dict[str, list[str]]:
    """The names of the .xmp and .json files in `folder`, by their keys."""
    listing: dict[str, list[str]] = {}
    for name in sorted(os.listdir(folder)):  # noqa: PTH208  names alone, ten times as fast
        if name[-4:].lower() == ".xmp" or name[-5:].lower() == ".json":
            listing.setdefault(_key(name), []).append(name)
    return listing
