"""`sightline eval report`: results as one page with tables, plots and pictures."""

from pathlib import Path
from typing import Annotated

import typer

from sightline.cli.eval.common import check_files
from sightline.cli.eval.options import ResultsArgument
from sightline.cli.output import one_line


def command(
    results: ResultsArgument,
    html: Annotated[Path, typer.Option("--html", metavar="FILE", help="File of the page.")] = Path("report.html"),
) -> None:
    """Results as one HTML page that needs no network.

    Results of any evaluations and models, with tables, plots and images.

    \b
    Example:
      sightline eval report retrieval.json temperature.json diagnosis.json --html report.html
    """
    check_files(None, html)

    from sightline.evaluate import Result
    from sightline.report.results import write_report

    write_report(html, [Result.open(path) for path in results])
    typer.echo(f"report: {one_line(str(html))}", err=True)
