"""`sightline eval table`: several models on several data sets, side by side."""

from itertools import zip_longest
from typing import Annotated

import typer

from sightline.cli.eval.common import write_notes, write_table
from sightline.cli.eval.files import Files
from sightline.cli.eval.options import (
    CsvOption,
    DrawsOption,
    HtmlOption,
    JsonOption,
    LatexOption,
    MarkdownOption,
    ResultsArgument,
    SeedOption,
)
from sightline.cli.options import option
from sightline.cli.output import one_line
from sightline.format import distinct_names


def command(
    results: ResultsArgument,
    draws: DrawsOption = 2000,
    seed: SeedOption = 0,
    published: Annotated[
        bool, option(None, "Show figures that others have published beside these. Default: these alone.", "--published")
    ] = False,
    json: JsonOption = None,
    html: HtmlOption = None,
    csv: CsvOption = None,
    markdown: MarkdownOption = None,
    latex: LatexOption = None,
) -> None:
    """Several models on several data sets, side by side.

    Shows what each model gains and loses on each data set against the first model, whose results come first, with 95%
    intervals by a paired bootstrap, as `eval compare` does. --published adds what others have published of these
    models on the usual data, with its source.

    \b
    Example:
      sightline eval table zero-scenes.json zero-coco.json tuned-scenes.json tuned-coco.json --html table.html
    """
    files = Files(json, html, csv, markdown, latex)
    files.check_kept(results)

    from sightline.evaluate import open_results, table
    from sightline.evaluate.result import whole
    from sightline.evaluate.text_tables import text_tables

    opened = [result for path in results for result in open_results(path)]
    with whole(*opened):
        tabled = table(opened, draws=draws, seed=seed, with_published=published)
    for of, task_table in zip_longest(text_tables(tabled), tabled.details["tables"]):
        typer.echo(one_line(of.title))
        models = task_table["models"] if task_table else []
        for name, model in zip(distinct_names(models), models, strict=True):
            typer.echo(one_line(f"  {name}: {model}"))
        write_table(of.head, of.lines)
        typer.echo("")
    write_notes(tabled)
    files.write([tabled])
