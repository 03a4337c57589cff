"""`sightline eval compare`: two results over the same data."""

from pathlib import Path
from typing import Annotated, Any

import typer

from sightline.cli.eval.common import HtmlFile, JsonFile, check_files, write_files, write_table
from sightline.cli.output import one_line
from sightline.format import label, shown
from sightline.report.tables import between


def command(
    a: Annotated[Path, typer.Argument(metavar="A.json", help="What `--json` of an evaluation wrote.")],
    b: Annotated[Path, typer.Argument(metavar="B.json", help="Another, over the same data.")],
    draws: Annotated[int, typer.Option(metavar="N", min=1, help="Data sets drawn from the data set.")] = 2000,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the draws.")] = 0,
    json: JsonFile = None,
    html: HtmlFile = None,
) -> None:
    """Each figure of both results, their difference, and where it lies with a confidence of 95%.

    A paired bootstrap: pictures are drawn anew, the same for both. A difference whose interval holds 0 may be chance.

    \b
    Example:
      sightline eval compare zero-shot.json fine-tuned.json
    """
    check_files(json, html)

    from sightline.evaluate import Result, compare

    of_a, of_b = Result.open(a), Result.open(b)
    result = compare(of_a, of_b, draws=draws, seed=seed)
    heads = ("", "A", "95%", "B", "95%", "B - A", "95%", "")
    lines = [_line(row) for row in result.details["rows"]]
    for letter, one in (("A", of_a), ("B", of_b)):
        typer.echo(one_line(f"{letter}: {one.model}, {one.precision}, {one.date}"))
    typer.echo(one_line(f"on {result.details['samples']:,} samples of {result.data}"))
    write_table(heads, lines)
    write_files(result, json, html)


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    name = row["figure"]

    low, high = row["interval"]
    return (
        label(name),
        shown(name, row["a"]),
        between(name, row["a_interval"]),
        shown(name, row["b"]),
        between(name, row["b_interval"]),
        shown(name, row["difference"], "+"),
        between(name, row["interval"], "+"),
        "clear" if low > 0 or high < 0 else "",
    )
