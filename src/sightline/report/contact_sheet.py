"""A contact sheet: results as one HTML file that needs nothing else, neither network nor script.

A moment of a video is shown by its frame; its link opens the video there (Media Fragments URI 1.0, 4.2.1).
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sightline.errors import SightlineError
from sightline.format import clock
from sightline.report.page import write_page
from sightline.search.query import is_video_path

if TYPE_CHECKING:
    from sightline.index.table import Table

SIDE = 320  # pixels of the longer side of an image that is read for the sheet


class ScoredItem(Protocol):
    """What a card shows: a search result or a member of a group."""

    @property
    def id(self) -> int: ...
    @property
    def uri(self) -> str: ...
    @property
    def score(self) -> float: ...


@dataclass(frozen=True)
class Card:
    """An image: its file's absolute path, its score (None: it is no ranked result), itself as JPEG, PNG or WebP (empty:
    cannot be shown), a remark. `start` and `end`: of a video's moment, in seconds. `about`: when and with what it was
    taken. `missing`: whether the file is gone."""

    path: str
    score: float | None
    image: bytes
    remark: str = ""
    start: float | None = None
    end: float | None = None
    about: str = ""
    missing: bool | None = False

    @property
    def file(self) -> Path:
        """The file of `path`."""
        return Path(self.path)

    @property
    def link(self) -> str:
        """The address of the file, and of the moment in it."""
        moment = "" if self.start is None or self.end is None else f"#t={self.start:.3f},{self.end:.3f}"
        return self.file.as_uri() + moment

    @property
    def time(self) -> str:
        """The moment as people write it, "0:07–0:12"; empty for an image."""
        if self.start is None or self.end is None:
            return ""
        return f"{clock(self.start)}–{clock(math.ceil(self.end))}"

    @cached_property
    def size(self) -> tuple[int, int]:
        """(width, height) of the image, in pixels; 4 x 3 without an image."""
        from PIL import Image

        if not self.image:
            return 4, 3
        with Image.open(io.BytesIO(self.image)) as image:
            return image.size

    @property
    def shape(self) -> float:
        """Width over height of the tile: very long and very tall pictures keep within a tile of ordinary shape."""
        width, height = self.size
        return min(max(width / height, 0.6), 2.2)


@dataclass(frozen=True)
class CardGroup:
    """Cards under one heading; `examples` are images that belong to the heading (those of the query)."""

    heading: str
    cards: Sequence[Card]
    note: str = ""
    examples: Sequence[bytes] = ()


def cards(table: Table, items: Sequence[ScoredItem], missing: Sequence[bool | None] | None = None) -> list[Card]:
    """Cards of a table's items, with the table's thumbnails or, if it has none, images read from the files. `missing`:
    whether each file is gone, None where that is not known (see `search.presence`)."""
    columns = ["thumbnail", "width", "height", "size", "taken", "camera_make", "camera_model"]
    rows = table.rows([item.id for item in items], columns)
    times = [(getattr(item, "start", None), getattr(item, "end", None)) for item in items]  # a group has whole videos
    return [
        Card(
            path=item.uri,
            score=item.score,
            image=_marked(_image(item, row, start, end, is_missing), item, row),
            remark=f"{_match(item)}{row['width']} × {row['height']}, {row['size'] / 1024:,.0f} KB",
            start=start,
            end=end,
            about=_about(row),
            missing=is_missing,
        )
        for item, (start, end), row, is_missing in zip(items, times, rows, missing or repeat(False), strict=False)
    ]


def _match(item: Any) -> str:
    """ "exact, " before what is said of a file in a group of near-duplicates; "" for a result."""
    match = getattr(item, "match", "")
    return f"{match}, " if match else ""


def _about(row: dict[str, Any]) -> str:
    """ "2019-06-30 18:05, Canon EOS 5D": as much of it as is known."""
    taken = f"{row['taken']:%Y-%m-%d %H:%M}" if row["taken"] else ""
    make, model = row["camera_make"] or "", row["camera_model"] or ""
    camera = model if model.casefold().startswith(make.casefold()) else f"{make} {model}"
    return ", ".join(filter(None, (taken, camera.strip() or make)))


def _image(
    item: ScoredItem, row: dict[str, Any], start: float | None, end: float | None, is_missing: bool | None
) -> bytes:
    """The thumbnail, else a small image of the file; empty where the file is gone, or its disk gives no answer."""
    if row["thumbnail"]:
        return bytes(row["thumbnail"])
    return small_image(Path(item.uri), start or 0.0, end) if is_missing is False else b""


def _marked(data: bytes, item: Any, row: dict[str, Any]) -> bytes:
    """The image with the item's region marked, if it has one."""
    region = getattr(item, "region", None)
    if region is None or not data:
        return data
    from PIL import Image

    from sightline.report.overlay import mark

    with Image.open(io.BytesIO(data)) as image:
        marked = mark(image.convert("RGB"), region.mask_of((row["width"], row["height"]), image.size))
    buffer = io.BytesIO()
    marked.save(buffer, "JPEG", quality=85, subsampling=0)
    return buffer.getvalue()


def small_image(source: Any, start: float = 0.0, end: float | None = None) -> bytes:
    """A small JPEG of anything that `open_image` reads, or of the middle of a video; empty if it cannot be read."""
    from sightline.processing.image.reading import open_image
    from sightline.processing.image.thumbnail import thumbnail
    from sightline.processing.video.sampling import sample_frames

    try:
        if is_video_path(source):
            (image,) = sample_frames(source, 1, start, end, short_side=SIDE)
        else:
            image = open_image(source, short_side=SIDE)
    except (SightlineError, OSError):
        return b""
    return thumbnail(image, SIDE, 85)


def write_sheet(file: str | os.PathLike[str], title: str, sections: Sequence[CardGroup]) -> None:
    """Writes the sheet, whole or not at all; the title is shown above several sections.

    Raises `UsageError` if the file cannot be written, or would take the place of another kind of file.
    """
    footer = "Sightline contact sheet. An image opens its file, a video at its moment."
    write_page(file, "contact_sheet.html.j2", title=title, style="contact_sheet.css", sections=sections, footer=footer)
