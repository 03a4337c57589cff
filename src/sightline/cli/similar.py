"""`sightline similar`: groups of images and of videos that are the same or almost."""

from dataclasses import asdict
from typing import Annotated

import typer

from sightline.cli.filters import (
    CameraOption,
    Filters,
    FolderOption,
    KindOption,
    NearOption,
    RatingOption,
    SinceOption,
    UntilOption,
    WhereOption,
)
from sightline.cli.options import HtmlOption, IndexOption, JsonOption, index_folder, option
from sightline.cli.output import one_line, progress_bar, write_json


def command(
    threshold: Annotated[
        float,
        option(
            "COSINE",
            "Put two images into a group if their cosine is at least this, above 0 and at most 1; which cosines are "
            "high depends on the model. Default: 0.95.",
        ),
    ] = 0.95,
    where: WhereOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    folder: FolderOption = None,
    kind: KindOption = None,
    camera: CameraOption = None,
    near: NearOption = None,
    rating: RatingOption = None,
    as_json: JsonOption = False,
    html: HtmlOption = None,
    index: IndexOption = None,
) -> None:
    """Find images, and videos, that are the same or almost.

    The first file of each group is the best to keep: the most pixels, then the most bytes, then the first indexed.

    \b
    Examples:
      sightline similar
      sightline similar --threshold 0.98 --html doubles.html
      sightline similar --folder ~/Pictures/2024
    """
    from sightline.index import Table
    from sightline.search import near_duplicates

    filters = Filters(where, since, until, folder, kind, camera, near, rating)
    table = Table.open(index_folder(index))
    condition = filters.where(table)
    with progress_bar() as progress:
        groups = near_duplicates(table, threshold, condition, progress)
    if html is not None:
        from sightline.report.contact_sheet import CardGroup, cards, write_sheet

        sections = [CardGroup(f"Group {n}", cards(table, group)) for n, group in enumerate(groups, 1)]
        write_sheet(html, "Near-duplicates", sections or [CardGroup("No near-duplicates", [])])
        typer.echo(f"contact sheet: {one_line(str(html))}", err=True)
    if as_json:
        write_json(
            {"group": number, "rank": rank, **asdict(item)}
            for number, group in enumerate(groups, 1)
            for rank, item in enumerate(group, 1)
        )
    else:
        for group in groups:
            for item in group:
                size = f"{item.width} x {item.height}"
                print(f"{item.score:.4f}  {size:>13}  {one_line(item.uri)}")
            print()
        spare = sum(len(group) - 1 for group in groups)
        typer.echo(f"{len(groups)} groups, {spare} files beside the first of each", err=True)
    if condition is not None:
        notes = filters.notes(table) if len(table.ids_where(condition)) else [filters.why_nothing(table)]
        for note in notes:
            typer.echo(one_line(note), err=True)
