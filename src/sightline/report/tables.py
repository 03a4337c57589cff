"""Tables as HTML."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sightline.format import between, in_order, label, shown
from sightline.report.page import render

if TYPE_CHECKING:
    from markupsafe import Markup

DIRECTIONS = {"text_to_image": "images by texts", "image_to_text": "texts by images"}


def table(head: Sequence[str], lines: Sequence[Sequence[str]], *, heading: str = "", wide: bool = False) -> "Markup":
    """A table of plain text; the first column names the rows. A `wide` table scrolls by itself."""
    return render("table.html.j2", head=head, lines=lines, heading=heading, wide=wide)


def figures_table(figures: Mapping[str, float], intervals: Mapping[str, Sequence[float]] | None = None) -> "Markup":
    """Names and values, with their intervals in brackets; of names that differ in their direction alone, a column for
    each direction."""
    ends = intervals or {}

    def cell(name: str, value: float) -> str:
        return f"{shown(name, value)} ({between(name, ends[name])})" if name in ends else shown(name, value)

    rows: dict[str, dict[str, str]] = {}
    for name in in_order(figures):
        direction = next((direction for direction in DIRECTIONS if direction in name), "")
        row = rows.setdefault(name.replace(f"{direction}_", "", 1) if direction else name, {})
        row[direction] = cell(name, figures[name])
    columns = [column for column in (*DIRECTIONS, "") if any(column in row for row in rows.values())]
    both = "both" if len(columns) > 1 else ""
    head = ["", *(DIRECTIONS.get(column, both) for column in columns)]
    return table(head, [[label(name), *(row.get(column, "") for column in columns)] for name, row in rows.items()])
