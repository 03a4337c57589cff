"""`sightline eval table`: several models on several data sets, side by side."""

from typing import TYPE_CHECKING

import typer

from sightline.cli.eval.common import check_files, write_files, write_table
from sightline.cli.eval.options import DrawsOption, HtmlOption, JsonOption, ResultsArgument, SeedOption
from sightline.cli.output import one_line
from sightline.format import between, label, shown

if TYPE_CHECKING:
    from sightline.evaluate.table import TableRow, TaskTable


def command(
    results: ResultsArgument,
    draws: DrawsOption = 2000,
    seed: SeedOption = 0,
    json: JsonOption = None,
    html: HtmlOption = None,
) -> None:
    """Several models on several data sets, side by side.

    Shows what each model gains and loses on each data set against the first model, whose results come first, with 95%
    intervals by a paired bootstrap, as `eval compare` does.

    \b
    Example:
      sightline eval table zero-scenes.json zero-coco.json tuned-scenes.json tuned-coco.json --html table.html
    """
    check_files(json, html)

    from sightline.evaluate import Result, table

    result = table([Result.open(path) for path in results], draws=draws, seed=seed)
    for task_table in result.details["tables"]:
        _write(task_table)
    write_files(result, json, html)


def _write(task_table: "TaskTable") -> None:
    base, *others = task_table["models"]
    heads = ["", "base", "95%"]
    for number in range(1, len(others) + 1):
        heads += [f"({number})", "difference", "95%", ""]
    typer.echo(one_line(f"{task_table['kind']} on {task_table['samples']:,} samples of {task_table['data']}"))
    typer.echo(one_line(f"  base: {base}"))
    for number, model in enumerate(others, 1):
        typer.echo(one_line(f"  ({number}): {model}"))
    write_table(heads, [_line(row) for row in task_table["rows"]])
    typer.echo("")


def _line(row: "TableRow") -> list[str]:
    name = row["figure"]
    line = [label(name), shown(name, row["base"]), between(name, row["base_interval"])]
    for other in row["others"]:
        line += [shown(name, other["value"]), shown(name, other["difference"], "+")]
        line += [between(name, other["interval"], "+"), other["verdict"]]
    return line
