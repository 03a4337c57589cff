"""`sightline eval compare`: two results over the same data."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sightline.cli.eval.common import check_files, write_files, write_table
from sightline.cli.eval.options import DrawsOption, HtmlOption, JsonOption, SeedOption
from sightline.cli.options import argument
from sightline.cli.output import one_line
from sightline.format import between, label, shown

if TYPE_CHECKING:
    from sightline.evaluate.compare import CompareRow


def command(
    a: Annotated[
        Path, argument("A.json", "Read the first result from this file, as --json of an evaluation writes it.")
    ],
    b: Annotated[Path, argument("B.json", "Read the second result from this file; it must be over the same data.")],
    draws: DrawsOption = 2000,
    seed: SeedOption = 0,
    json: JsonOption = None,
    html: HtmlOption = None,
) -> None:
    """Differences of two results, with their intervals.

    Prints each figure of both results, their difference, and its 95% interval by a paired bootstrap: images are drawn
    anew, the same for both. A difference whose interval holds 0 may be chance.

    \b
    Example:
      sightline eval compare zero-shot.json fine-tuned.json
    """
    check_files(json, html)

    from sightline.evaluate import Result, compare

    results = {"A": Result.open(a), "B": Result.open(b)}
    compared = compare(results["A"], results["B"], draws=draws, seed=seed)
    for letter, result in results.items():
        typer.echo(one_line(f"{letter}: {result.model}, {result.precision}, {result.date}"))
    typer.echo(one_line(f"on {compared.details['samples']:,} samples of {compared.data}"))
    write_table(("", "A", "95%", "B", "95%", "B - A", "95%", ""), [_line(row) for row in compared.details["rows"]])
    write_files(compared, json, html)


def _line(row: "CompareRow") -> tuple[str, ...]:
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
