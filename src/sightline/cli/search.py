"""`sightline search`: the images and moments of videos nearest to words, to images, to any mix of them."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

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
from sightline.cli.options import (
    BatchSizeOption,
    DeviceOption,
    HtmlOption,
    IndexOption,
    JsonOption,
    LibraryOption,
    PrecisionOption,
    argument,
    check_image,
    index_folder,
    option,
    typed,
)
from sightline.cli.output import one_line, terminal, write_json, write_results
from sightline.encoder.options import EncoderOptions
from sightline.errors import UsageError

if TYPE_CHECKING:
    from sightline.search import Result

DETAILS = (
    "width", "height", "size", "taken", "duration", "camera_make", "camera_model", "lens", "rating", "keywords",
    "title", "caption",
)  # fmt: skip
"""Columns of the table that --json prints. Places are not among them."""


def command(
    text: Annotated[
        str | None, argument("TEXT", "Look for what these words describe. Default: look by --image alone.")
    ] = None,
    image: Annotated[
        list[Path] | None,
        option(
            "FILE",
            "Look for what resembles this image or video. May be repeated. Default: look by TEXT alone.",
            "--image",
        ),
    ] = None,
    avoid: Annotated[
        list[str] | None,
        option("TEXT", "Avoid what these words describe. May be repeated. Default: avoid nothing.", "--not"),
    ] = None,
    k: Annotated[
        int,
        typer.Option("-k", metavar="N", min=1, show_default=False, help="Print this number of results. Default: 10."),
    ] = 10,
    min_score: Annotated[
        float | None,
        option(
            "SCORE",
            "Leave out results whose score is lower; which scores are high depends on the model and the query. "
            "Default: print all, also those below 0.",
        ),
    ] = None,
    where: WhereOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    folder: FolderOption = None,
    kind: KindOption = None,
    camera: CameraOption = None,
    near: NearOption = None,
    rating: RatingOption = None,
    rescore: Annotated[
        str | None,
        option(
            "N|all",
            "With X-CLIP, score this many of the nearest items again exactly, or all of them; 0 keeps to the cosines. "
            "Default: 100.",
        ),
    ] = None,
    regions: Annotated[
        bool,
        option(
            None,
            "Rank images by their best region and print where it is; needs an index made with `index --regions`. "
            "Default: rank by whole images.",
            "--regions",
        ),
    ] = False,
    as_json: JsonOption = False,
    with_place: Annotated[
        bool,
        option(
            None,
            "With --json, print latitude, longitude and altitude of each result as well. Default: print no places.",
            "--with-place",
        ),
    ] = False,
    html: HtmlOption = None,
    model: Annotated[
        str | None,
        option(
            "NAME_OR_FOLDER",
            "Open the model that built the index from here, and remember the place. Default: where it was last.",
        ),
    ] = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    batch_size: BatchSizeOption = None,
    index: IndexOption = None,
    library: LibraryOption = None,
) -> None:
    """Find images, and moments in videos, by words or images.

    Words and images may be combined. The nearest results come first.

    \b
    Examples:
      sightline search "grandma on a red bicycle"
      sightline search "in the snow" --image dog.jpg --not people -k 20
      sightline search "a goal" --kind moment
      sightline search "sunset" --since 2020 --near 36.39,25.46,30 --html sunsets.html
      sightline search "a cat" --where "taken between '2019-06' and '2019-08' and f_number < 2"
    """
    if min_score is not None and math.isnan(min_score):
        raise UsageError("--min-score nan: give a number")
    if with_place and not as_json:
        raise UsageError("--with-place adds latitude, longitude and altitude to --json: give both options")
    image = [check_image(file) for file in image or ()]

    from sightline.index import PLACE_COLUMNS
    from sightline.search import Query, open_index
    from sightline.search.presence import missing_files, notes

    if html is not None:
        from sightline.report.page import check_page

        check_page(html)
    texts = () if text is None else (typed(text),)
    query = Query(texts=texts, images=tuple(image), avoid=tuple(map(typed, avoid or ())))
    filters = Filters(where, since, until, folder, kind, camera, near, rating)
    opened = open_index(index_folder(index, library), model, EncoderOptions(device, precision, batch_size))
    condition = filters.where(opened.table)
    # Exactly: to open the lists of an approximate first pass takes longer than an exact search.
    found = opened.search(query, k, condition, exact=True, rescore=_rescore(rescore), regions=regions)
    results = [result for result in found if min_score is None or result.score >= min_score]
    missing = missing_files([result.uri for result in results])
    if as_json:
        columns = DETAILS + PLACE_COLUMNS if with_place else DETAILS
        rows = opened.table.rows([result.id for result in results], columns)
        write_json(map(_line, results, missing, rows))
    else:
        write_results(results, missing, terminal())
    said = filters.notes(opened.table) if found else [f"no results: {filters.why_nothing(opened.table)}"]
    if len(results) < len(found):
        left_out = len(found) - len(results)
        said.append(f"left out: {left_out:,} of {len(found):,} results with a score below {min_score}")
    for note in [*said, *notes(missing)]:
        typer.echo(one_line(note), err=True)
    if html is not None:
        from sightline.report.contact_sheet import CardGroup, cards, small_image, write_sheet

        note = ", ".join([f"{len(results)} of {len(opened):,} images and moments", *filters.conditions])
        examples = [small_image(file) for file in query.images]
        write_sheet(html, str(query), [CardGroup(str(query), cards(opened.table, results, missing), note, examples)])
        typer.echo(f"contact sheet: {one_line(str(html))}", err=True)


def _line(result: "Result", missing: bool | None, row: dict[str, Any]) -> dict[str, Any]:
    """A result as JSON shows it, with columns of its row in the table."""
    keys = ("rank", "score", "uri", "kind", "start", "end")
    box = {} if result.region is None else {"box": result.region.box}
    facts = {name: value.isoformat() if name == "taken" and value else value for name, value in row.items()}
    facts.pop("id")
    return {key: getattr(result, key) for key in keys} | box | {"missing": missing} | facts


def _rescore(count: str | None) -> int | Literal["all"] | None:
    if count is None:
        return None
    if count == "all":
        return "all"
    if not count.isdecimal():
        raise UsageError(f"--rescore {count}: say how many, or all")
    return int(count)
