"""`sightline search`: the images and moments of videos nearest to words, to images, to any mix of them."""

from itertools import zip_longest
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
    PrecisionOption,
    argument,
    check_image,
    index_folder,
    option,
)
from sightline.cli.output import one_line, terminal, write_json, write_results
from sightline.encoder.options import EncoderOptions
from sightline.errors import UsageError

if TYPE_CHECKING:
    from sightline.search import Result


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
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    batch_size: BatchSizeOption = None,
    index: IndexOption = None,
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
    if with_place and not as_json:
        raise UsageError("--with-place adds latitude, longitude and altitude to --json: give both options")
    image = [check_image(file) for file in image or ()]

    from sightline.index import PLACE_COLUMNS
    from sightline.search import Query, open_index

    if html is not None:
        from sightline.report.page import check_page

        check_page(html)
    query = Query(texts=() if text is None else (text,), images=tuple(image), avoid=tuple(avoid or ()))
    filters = Filters(where, since, until, folder, kind, camera, near, rating)
    opened = open_index(index_folder(index), options=EncoderOptions(device, precision, batch_size))
    condition = filters.where(opened.table)
    # Exactly: to open the lists of an approximate first pass takes longer than an exact search.
    results = opened.search(query, k, condition, exact=True, rescore=_rescore(rescore), regions=regions)
    if as_json:
        places = opened.table.rows([result.id for result in results], PLACE_COLUMNS) if with_place else []
        write_json(_line(result, place) for result, place in zip_longest(results, places))
    else:
        write_results(results, terminal())
    for note in filters.notes(opened.table) if results else [f"no results: {filters.why_nothing(opened.table)}"]:
        typer.echo(one_line(note), err=True)
    if html is not None:
        from sightline.report.contact_sheet import CardGroup, cards, small_image, write_sheet

        note = ", ".join([f"{len(results)} of {len(opened):,} images and moments", *filters.conditions])
        examples = [small_image(file) for file in query.images]
        write_sheet(html, str(query), [CardGroup(str(query), cards(opened.table, results), note, examples)])
        typer.echo(f"contact sheet: {one_line(str(html))}", err=True)


def _line(result: "Result", place: dict[str, Any] | None) -> dict[str, Any]:
    """A result as JSON shows it; `place`: its latitude, longitude and altitude, if they are to be shown."""
    keys = ("rank", "score", "uri", "kind", "start", "end")
    box = {} if result.region is None else {"box": result.region.box}
    return {key: getattr(result, key) for key in keys} | box | {k: v for k, v in (place or {}).items() if k != "id"}


def _rescore(count: str | None) -> int | Literal["all"] | None:
    if count is None:
        return None
    if count == "all":
        return "all"
    if not count.isdecimal():
        raise UsageError(f"--rescore {count}: say how many, or all")
    return int(count)
