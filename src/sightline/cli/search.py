"""`sightline search`: the pictures and moments of films nearest to words, to pictures, to any mix of them."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from sightline.cli.output import (
    HtmlOption,
    IndexOption,
    JsonOption,
    check_image,
    index_folder,
    one_line,
    terminal,
    write_json,
    write_results,
)
from sightline.errors import UsageError


def command(
    text: Annotated[str | None, typer.Argument(metavar="TEXT", help="What to look for.", show_default=False)] = None,
    image: Annotated[
        list[Path] | None,
        typer.Option("--image", metavar="FILE", help="A picture or film to come near to; may be repeated."),
    ] = None,
    avoid: Annotated[
        list[str] | None, typer.Option("--not", metavar="TEXT", help="What to keep away from; may be repeated.")
    ] = None,
    k: Annotated[int, typer.Option("-k", metavar="N", min=1, help="How many to find.")] = 10,
    where: Annotated[
        str | None,
        typer.Option(metavar="SQL", help="A condition on the table's columns (`sightline info` lists them)."),
    ] = None,
    rescore: Annotated[
        str | None,
        typer.Option(
            metavar="N|all",
            help="With X-CLIP: how many of the nearest are scored exactly, 0 for none; else 100.",
            show_default=False,
        ),
    ] = None,
    regions: Annotated[
        bool,
        typer.Option(
            "--regions", help="Rank pictures by their best region, and tell where it is; see index --regions."
        ),
    ] = False,
    as_json: JsonOption = False,
    html: HtmlOption = None,
    index: IndexOption = None,
) -> None:
    """Find the pictures, and the moments in films, nearest to words, to pictures, or to both.

    \b
    Examples:
      sightline search "grandma on a red bicycle"
      sightline search "in the snow" --image dog.jpg --not people -k 20
      sightline search "a goal" --where "kind = 'moment'"
      sightline search "sunset" --where "taken >= timestamp '2020-01-01 00:00:00'" --html sunsets.html
    """
    for file in image or ():
        check_image(file)

    from sightline.search import Query, open_index

    if html is not None:
        from sightline.report.page import check_page

        check_page(html)
    query = Query(texts=() if text is None else (text,), images=tuple(image or ()), avoid=tuple(avoid or ()))
    opened = open_index(index_folder(index))
    # To open a first pass takes longer than one exact search.
    found = opened.search(query, k, where, exact=True, rescore=_rescore(rescore), regions=regions)
    if as_json:
        keys = ("rank", "score", "uri", "kind", "start", "end")
        write_json({key: getattr(r, key) for key in keys} | ({"box": r.region.box} if r.region else {}) for r in found)
    else:
        write_results(found, terminal())
        if not found:
            typer.echo(
                "nothing found: " + ("nothing fulfils the condition" if where else "the index is empty"), err=True
            )
    if html is not None:
        from sightline.report.contact_sheet import Section, cards, small_image, write_sheet

        note = f"{len(found)} of {len(opened):,} pictures and moments" + (f" where {where}" if where else "")
        examples = [small_image(file) for file in query.images]
        write_sheet(html, str(query), [Section(str(query), cards(opened.table, found), note, examples)])
        typer.echo(f"contact sheet: {one_line(str(html))}", err=True)


def _rescore(given: str | None) -> int | Literal["all"] | None:
    if given == "all":
        return "all"
    if given is None:
        return None
    if not given.isdecimal():
        raise UsageError(f"--rescore {given}: say how many, or all")
    return int(given)
