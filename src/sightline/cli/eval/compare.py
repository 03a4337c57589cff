"""`sightline eval compare`: two results over the same data."""

from pathlib import Path
from typing import Annotated

import typer

from sightline.cli.eval.common import show
from sightline.cli.eval.files import Files
from sightline.cli.eval.options import (
    CsvOption,
    DrawsOption,
    HtmlOption,
    JsonOption,
    LatexOption,
    MarkdownOption,
    SeedOption,
)
from sightline.cli.options import argument
from sightline.cli.output import one_line


def command(
    a: Annotated[
        Path, argument("A.json", "Read the first result from this file, as --json of an evaluation writes it.")
    ],
    b: Annotated[Path, argument("B.json", "Read the second result from this file; it must be over the same data.")],
    draws: DrawsOption = 2000,
    seed: SeedOption = 0,
    json: JsonOption = None,
    html: HtmlOption = None,
    csv: CsvOption = None,
    markdown: MarkdownOption = None,
    latex: LatexOption = None,
) -> None:
    """Differences of two results, with their intervals.

    Prints each figure of both results, their difference, and its 95% interval by a paired bootstrap: images are drawn
    anew, the same for both. A difference whose interval holds 0 may be chance.

    \b
    Example:
      sightline eval compare zero-shot.json fine-tuned.json
    """
    files = Files(json, html, csv, markdown, latex)
    files.check_kept([a, b])

    from sightline.evaluate import Result, compare
    from sightline.evaluate.result import whole

    results = [Result.open(a), Result.open(b)]
    with whole(*results):
        compared = compare(*results, draws=draws, seed=seed)
    for name, result in zip(compared.details["models"], results, strict=True):
        typer.echo(one_line(f"{name}: {result.model}, {result.precision}, {result.date}"))
    typer.echo(one_line(f"on {compared.details['samples']:,} samples of {compared.data}"))
    show(compared)
    files.write([compared])
