"""Tables as HTML."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sightline.format import in_order, label, shown
from sightline.report.page import render

if TYPE_CHECKING:
    from markupsafe import Markup

DIRECTIONS = {"text_to_image": "images by texts", "image_to_text": "texts by images"}


def table(head: Sequence[str], lines: Sequence[Sequence[str]], *, heading: str = "", wide: bool = False) -> "Markup":
    """A table of plain text; the first column names the rows. A `wide` table scrolls by itself."""
    return render("table.html.j2", head=head, lines=lines, heading=heading, wide=wide)


def figures_table(figures: Mapping[str, float]) -> "Markup":
    """Names and values; of names that differ in their direction alone, a column for each direction."""
    rows: dict[str, dict[str, float]] = {}
    for name in in_order(figures):
        direction = next((direction for direction in DIRECTIONS if direction in name), "")
        rows.setdefault(name.replace(f"{direction}_", "", 1) if direction else name, {})[direction] = figures[name]
    columns = [column for column in (*DIRECTIONS, "") if any(column in row for row in rows.values())]
    both = "both" if len(columns) > 1 else ""
    head = ["", *(DIRECTIONS.get(column, both) for column in columns)]
    lines = [
        [label(name), *(shown(name, row[column]) if column in row else "" for column in columns)]
        for name, row in rows.items()
    ]
    return table(head, lines)
