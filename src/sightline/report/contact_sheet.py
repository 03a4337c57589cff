"""A contact sheet: results as one HTML file that needs nothing else, neither network nor script.

A moment of a film is shown by its frame; its link opens the film there (Media Fragments URI 1.0, 4.2.1).
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sightline.errors import SightlineError
from sightline.report.page import data_uri, escaped, write_page
from sightline.search.query import is_video

if TYPE_CHECKING:
    from sightline.index.table import Table

SIDE = 320  # pixels of the longer side of a picture that is drawn for the sheet


class Found(Protocol):
    """What a card shows: a search result or a member of a group."""

    @property
    def id(self) -> int: ...
    @property
    def uri(self) -> str: ...
    @property
    def score(self) -> float: ...


@dataclass(frozen=True)
class Card:
    """One picture: its file's absolute path, score, itself as JPEG, PNG or WebP (empty: cannot be shown), a remark.
    `start` and `end`: of a film's moment, in seconds."""

    path: str
    score: float
    picture: bytes
    remark: str = ""
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True)
class Section:
    """Cards under one heading; `examples` are pictures that belong to the heading (those of the query)."""

    heading: str
    cards: Sequence[Card]
    note: str = ""
    examples: Sequence[bytes] = ()


def cards(table: Table, found: Iterable[Found]) -> list[Card]:
    """Cards of a table's items, with the table's thumbnails or, where it has none, pictures drawn from the files."""
    found = list(found)
    rows = table.rows([item.id for item in found], ["thumbnail", "width", "height", "size"])
    times = [(getattr(item, "start", None), getattr(item, "end", None)) for item in found]  # a group's are whole films
    return [
        Card(
            path=item.uri,
            score=item.score,
            picture=_marked(row["thumbnail"] or picture(Path(item.uri), start or 0.0, end), item, row),
            remark=f"{row['width']} × {row['height']}, {row['size'] / 1024:,.0f} KB",
            start=start,
            end=end,
        )
        for item, (start, end), row in zip(found, times, rows, strict=True)
    ]


def _marked(data: bytes, item: Any, row: dict[str, Any]) -> bytes:
    """The picture with the region that was found in it, if one was."""
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


def picture(source: Any, start: float = 0.0, end: float | None = None) -> bytes:
    """A small JPEG of anything that `open_image` reads, or of the middle of a film; empty if it cannot be read."""
    from sightline.processing.image.reading import open_image

    try:
        if is_video(source):
            from sightline.processing.video.sampling import sample_frames

            (image,) = sample_frames(source, 1, start, end, short_side=SIDE)
        else:
            image = open_image(source, short_side=SIDE)
    except (SightlineError, OSError):
        return b""
    image.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def write_sheet(file: str | os.PathLike[str], title: str, sections: Sequence[Section]) -> None:
    """Write the sheet, whole or not at all; the title is shown above several sections.

    Raises what `check_place` raises, and UsageError if the file cannot be written.
    """
    alone = len(sections) == 1
    body = "" if alone else f"<h1>{escaped(title)}</h1>\n"
    body += "".join(_section(section, alone) for section in sections)
    footer = "Sightline contact sheet. A picture opens its file, a film at its moment."
    write_page(file, title, body, STYLE, footer)


def _section(section: Section, alone: bool) -> str:
    heading = "h1" if alone else "h2"
    examples = "".join(f'<img src="{data_uri(data)}" alt="picture of the query">' for data in section.examples if data)
    note = f"<p>{escaped(section.note)}</p>" if section.note else ""
    items = "".join(_card(rank, card) for rank, card in enumerate(section.cards, 1))
    grid = f"<ol>{items}</ol>" if items else '<p class="nothing">Nothing found.</p>'
    return (
        f"<section><header>{examples}<div><{heading}>{escaped(section.heading)}</{heading}>{note}</div></header>"
        f"{grid}</section>\n"
    )


def _card(rank: int, card: Card) -> str:
    path = Path(card.path)
    name, folder = escaped(path.name), escaped(str(path.parent))
    wide, high = _size(card.picture)
    shown = (
        f'<img src="{data_uri(card.picture)}" alt="{name}" width="{wide}" height="{high}" loading="lazy">'
        if card.picture
        else '<span class="missing">no picture</span>'
    )
    remark = f'<div class="soft">{escaped(card.remark)}</div>' if card.remark else ""
    at, time = "", ""
    if card.start is not None and card.end is not None:
        at = f"#t={card.start:.3f},{card.end:.3f}"
        time = f"<time>{clock(card.start)}–{clock(math.ceil(card.end))}</time>"
    # Very long and very tall pictures keep within a tile of ordinary shape.
    shape = min(max(wide / high, 0.6), 2.2)
    return (
        f'<li style="--shape:{shape:.3f}"><a href="{escape(path.as_uri() + at)}">{shown}{time}</a>'
        f'<div class="line"><b>{rank}</b><bdi title="{escaped(card.path)}">{name}</bdi>'
        f'<data value="{card.score:.6f}">{card.score:.3f}</data></div>'
        f'<div class="soft folder"><bdi>{folder}</bdi></div>{remark}</li>\n'
    )


def clock(seconds: float) -> str:
    """A time in a film: 0:07, 12:03, 1:00:00."""
    hours, rest = divmod(int(seconds), 3600)
    minutes, rest = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _size(data: bytes) -> tuple[int, int]:
    from PIL import Image

    if not data:
        return 4, 3
    with Image.open(io.BytesIO(data)) as image:
        return image.size


# Rows of equal height without a script: every tile grows in proportion to its shape.
STYLE = """
section + section { margin-top: 3.5rem; }
h1 + section { margin-top: 2rem; }
header { display: flex; flex-wrap: wrap; align-items: center; gap: .75rem; margin-bottom: 1.25rem; }
header img { height: 4rem; border-radius: 6px; }
header p { margin: .25rem 0 0; color: var(--soft); overflow-wrap: anywhere; }
ol { list-style: none; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: 1.1rem .9rem; }
li { flex: calc(var(--shape) * 100) 1 calc(var(--shape) * 9.5rem); min-width: 0;
  max-width: calc(var(--shape) * 13rem); }
a { display: block; aspect-ratio: var(--shape); border-radius: 8px; overflow: hidden; background: var(--tile);
  position: relative; }
a:focus-visible { outline: 3px solid var(--mark); outline-offset: 2px; }
a img { display: block; width: 100%; height: 100%; object-fit: contain; }
a time { position: absolute; right: .4rem; bottom: .4rem; padding: .05rem .35rem; border-radius: 4px;
  background: #000b; color: #fff; font-size: .8rem; font-variant-numeric: tabular-nums; }
.missing { position: absolute; inset: 0; display: grid; place-items: center; color: var(--soft); }
.line { display: flex; gap: .5rem; margin-top: .45rem; align-items: baseline; }
.line b { color: var(--soft); font-weight: 600; }
.line bdi { flex: 1; min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.line data { font-variant-numeric: tabular-nums; color: var(--mark); font-weight: 600; }
.soft { font-size: .8rem; color: var(--soft); }
.folder { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; direction: rtl; text-align: left; }
.nothing { color: var(--soft); }
@media print { a { break-inside: avoid; } footer { display: none; } }
"""
