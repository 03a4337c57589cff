"""`sightline similar`: groups of images and of videos that are the same or almost."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

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
from sightline.cli.options import HtmlOption, IndexOption, JsonOption, LibraryOption, index_folder, option
from sightline.cli.output import one_line, progress_bar, write_json
from sightline.format import counted

if TYPE_CHECKING:
    from sightline.search import Duplicate


def command(
    threshold: Annotated[
        float,
        option(
            "COSINE",
            "Take two images that look alike by their perceptual hashes for almost the same if their cosine is at "
            "least this, above 0 and at most 1; which cosines are high depends on the model. Default: 0.9.",
        ),
    ] = 0.9,
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
    library: LibraryOption = None,
) -> None:
    """Find images, and videos, that are the same or almost.

    The first file of each group is the best to keep: the most pixels, then one that says when it was
    taken, then the most bytes, then the first indexed. The others are exact copies of the first, byte for byte, or
    near to it: scaled, compressed or cropped a little.

    \b
    Examples:
      sightline similar
      sightline similar --threshold 0.98 --html doubles.html
      sightline similar --folder ~/Pictures/2024
    """
    from sightline.index import Table
    from sightline.search import near_duplicates
    from sightline.search.presence import notes

    filters = Filters(where, since, until, folder, kind, camera, near, rating)
    table = Table.open(index_folder(index, library))
    condition = filters.where(table)
    with progress_bar() as progress:
        groups = near_duplicates(table, threshold, condition, progress)
    missing = [item.missing for group in groups for item in group]
    if html is not None:
        from sightline.report.contact_sheet import CardGroup, cards, write_sheet

        sections = [
            CardGroup(f"Group {n}", cards(table, group, [item.missing for item in group]), _counts([group]))
            for n, group in enumerate(groups, 1)
        ]
        write_sheet(html, "Near-duplicates", sections or [CardGroup("No near-duplicates", [])])
        typer.echo(f"contact sheet: {one_line(str(html))}", err=True)
    if as_json:
        write_json(
            {"group": number, "rank": rank, **asdict(item)}
            for number, group in enumerate(groups, 1)
            for rank, item in enumerate(group, 1)
        )
    else:
        if groups:
            print(f"cosine  match  {'size':>13}  file")
        for group in groups:
            for item in group:
                size, mark = f"{item.width} x {item.height}", " (missing)" if item.missing else ""
                print(f"{item.score:.4f}  {item.match:<5}  {size:>13}  {one_line(item.uri)}{mark}")
            print()
        typer.echo(f"{counted(len(groups), 'group')}, {_counts(groups)}", err=True)
    for note in notes(missing):
        typer.echo(one_line(note), err=True)
    if condition is not None:
        said = filters.notes(table) if len(table.ids_where(condition)) else [filters.why_nothing(table)]
        for note in said:
            typer.echo(one_line(note), err=True)


def _counts(groups: "Sequence[Sequence[Duplicate]]") -> str:
    """What lies beside the first of each group and is not missing."""
    beside = [item.match for group in groups for item in group[1:] if not item.missing]
    exact = beside.count("exact")
    return f"{counted(len(beside), 'file')} beside the first of each: {exact} exact, {len(beside) - exact} near"
