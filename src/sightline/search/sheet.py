"""A contact sheet: results as one HTML file that needs nothing else, neither network nor script.

A moment of a film is shown by its frame; its link opens the film there (Media Fragments URI 1.0, 4.2.1).
"""

from __future__ import annotations

import base64
import io
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sightline.errors import SightlineError, UsageError
from sightline.search.query import is_film

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

    from sightline.segment.picture import mark

    with Image.open(io.BytesIO(data)) as image:
        marked = mark(image.convert("RGB"), region.mask_of((row["width"], row["height"]), image.size))
    buffer = io.BytesIO()
    marked.save(buffer, "JPEG", quality=85, subsampling=0)
    return buffer.getvalue()


def picture(source: Any, start: float = 0.0, end: float | None = None) -> bytes:
    """A small JPEG of anything that `open_image` reads, or of the middle of a film; empty if it cannot be read."""
    from sightline.processing.images import open_image

    try:
        if is_film(source):
            from sightline.processing.film import sample

            (image,) = sample(source, 1, start, end, short_side=SIDE)
        else:
            image = open_image(source, short_side=SIDE)
    except (SightlineError, OSError):
        return b""
    image.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def check_place(file: str | os.PathLike[str]) -> None:
    """Raises UsageError if the file's folder does not exist, or if `file` is a folder or a file that is no page: a slip
    of the pen must not cost a photo."""
    try:
        there = Path(file).absolute().parent.is_dir()
        folder, start = Path(file).is_dir(), b""
        if not folder and Path(file).exists():
            with Path(file).open("rb") as old:
                start = old.read(14).lower()
    except OSError as error:  # a name that is too long, a file that is not ours to read
        raise UsageError(f"{file}: the contact sheet cannot be written there ({error.strerror})") from error
    if not there:
        raise UsageError(f"{file}: there is no folder to write this file into")
    if folder:
        raise UsageError(f"{file} is a folder: name a file for the contact sheet")
    if start not in (b"", b"<!doctype html"):
        raise UsageError(f"{file} is no contact sheet and would be lost: choose another name")


def write_sheet(file: str | os.PathLike[str], title: str, sections: Sequence[Section]) -> None:
    """Write the sheet, whole or not at all; the title is shown above several sections.

    Raises what `check_place` raises, and UsageError if the file cannot be written.
    """
    from sightline.files import replacing

    check_place(file)
    alone = len(sections) == 1
    body = "" if alone else f"<h1>{_text(title)}</h1>\n"
    body += "".join(_section(section, alone) for section in sections)
    try:
        with replacing(Path(file)) as temporary:
            temporary.write_text(PAGE.format(title=_text(title), style=STYLE, body=body), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{file}: the contact sheet cannot be written there ({error.strerror or error})") from error


def _section(section: Section, alone: bool) -> str:
    heading = "h1" if alone else "h2"
    examples = "".join(f'<img src="{_data(data)}" alt="picture of the query">' for data in section.examples if data)
    note = f"<p>{_text(section.note)}</p>" if section.note else ""
    items = "".join(_card(rank, card) for rank, card in enumerate(section.cards, 1))
    grid = f"<ol>{items}</ol>" if items else '<p class="nothing">Nothing found.</p>'
    return (
        f"<section><header>{examples}<div><{heading}>{_text(section.heading)}</{heading}>{note}</div></header>"
        f"{grid}</section>\n"
    )


def _card(rank: int, card: Card) -> str:
    path = Path(card.path)
    name, folder = _text(path.name), _text(str(path.parent))
    wide, high = _size(card.picture)
    shown = (
        f'<img src="{_data(card.picture)}" alt="{name}" width="{wide}" height="{high}" loading="lazy">'
        if card.picture
        else '<span class="missing">no picture</span>'
    )
    remark = f'<div class="soft">{_text(card.remark)}</div>' if card.remark else ""
    at, time = "", ""
    if card.start is not None and card.end is not None:
        at = f"#t={card.start:.3f},{card.end:.3f}"
        time = f"<time>{clock(card.start)}–{clock(math.ceil(card.end))}</time>"
    # Very long and very tall pictures keep within a tile of ordinary shape.
    shape = min(max(wide / high, 0.6), 2.2)
    return (
        f'<li style="--shape:{shape:.3f}"><a href="{escape(path.as_uri() + at)}">{shown}{time}</a>'
        f'<div class="line"><b>{rank}</b><bdi title="{_text(card.path)}">{name}</bdi>'
        f'<data value="{card.score:.6f}">{card.score:.3f}</data></div>'
        f'<div class="soft folder"><bdi>{folder}</bdi></div>{remark}</li>\n'
    )


def clock(seconds: float) -> str:
    """A time in a film: 0:07, 12:03, 1:00:00."""
    hours, rest = divmod(int(seconds), 3600)
    minutes, rest = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _text(text: str) -> str:
    """For HTML: escaped, and what HTML cannot hold (stray bytes of file names, control characters) replaced."""
    whole = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return escape("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in whole))


def _size(data: bytes) -> tuple[int, int]:
    from PIL import Image

    if not data:
        return 4, 3
    with Image.open(io.BytesIO(data)) as image:
        return image.size


def _data(data: bytes) -> str:
    kind = "png" if data.startswith(b"\x89PNG") else "webp" if data[8:12] == b"WEBP" else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}</main>
<footer>Sightline contact sheet. A picture opens its file, a film at its moment.</footer>
</body>
</html>
"""

# Rows of equal height without a script: every tile grows in proportion to its shape.
STYLE = """
:root { --paper: #f7f6f3; --ink: #1d1c1a; --soft: #6d6a64; --tile: #e7e4de; --mark: #b4521e; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #161615; --ink: #eceae6; --soft: #9b978f; --tile: #262523; --mark: #f0955c; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.4 system-ui, -apple-system, "Segoe UI", sans-serif; }
main { max-width: 110rem; margin: 0 auto; padding: clamp(1rem, 3vw, 2.5rem); }
section + section { margin-top: 3.5rem; }
h1 + section { margin-top: 2rem; }
header { display: flex; flex-wrap: wrap; align-items: center; gap: .75rem; margin-bottom: 1.25rem; }
header img { height: 4rem; border-radius: 6px; }
h1, h2 { margin: 0; font-weight: 600; letter-spacing: -.015em; line-height: 1.2; overflow-wrap: anywhere; }
h1 { font-size: clamp(1.5rem, 3.5vw, 2.25rem); }
h2 { font-size: 1.4rem; }
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
footer { padding: 1rem 1rem 2.5rem; text-align: center; font-size: .8rem; color: var(--soft); }
@media print { a { break-inside: avoid; } footer { display: none; } }
"""
