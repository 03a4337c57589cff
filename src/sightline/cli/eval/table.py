"""`sightline eval table`: several models on several data sets, side by side."""

from pathlib import Path
from typing import Annotated

import typer

from sightline.cli.eval.common import HtmlFile, JsonFile, check_files, write_files, write_table
from sightline.cli.output import one_line
from sightline.format import label, shown
from sightline.report.tables import between


def command(
    results: Annotated[
        list[Path],
        typer.Argument(metavar="RESULT.json...", help="What `--json` of an evaluation wrote, the first model's first."),
    ],
    draws: Annotated[int, typer.Option(metavar="N", min=1, help="Data sets drawn from each data set.")] = 2000,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the draws.")] = 0,
    json: JsonFile = None,
    html: HtmlFile = None,
) -> None:
    """What a fine-tuned model has gained over the first, and what it has forgotten, on each data set.

    Differences to the first model with their 95% intervals, by a paired bootstrap, as `eval compare` finds them.

    \b
    Example:
      sightline eval table zero-scenes.json zero-coco.json tuned-scenes.json tuned-coco.json --html table.html
    """
    check_files(json, html)

    from sightline.evaluate import Result, side_by_side

    result = side_by_side([Result.open(path) for path in results], draws=draws, seed=seed)
    for table in result.details["tables"]:
        typer.echo(one_line(f"{table['kind']} on {table['samples']:,} samples of {table['data']}"))
        heads, columns = ["", "base", "95%"], ["base: " + table["models"][0]]
        for number, model in enumerate(table["models"][1:], 1):
            heads += [f"({number})", "difference", "95%", ""]
            columns.append(f"({number}): {model}")
        lines = []
        for row in table["rows"]:
            name = row["figure"]
            line = [label(name), shown(name, row["base"]), between(name, row["base_interval"])]
            for other in row["others"]:
                line += [shown(name, other["value"]), shown(name, other["difference"], "+")]
                line += [between(name, other["interval"], "+"), other["verdict"]]
            lines.append(line)
        for column in columns:
            typer.echo(one_line(f"  {column}"))
        write_table(heads, lines)
        typer.echo("")
    write_files(result, json, html)
