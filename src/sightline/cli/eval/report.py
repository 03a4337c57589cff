"""`sightline eval report`: results as one page with tables, plots and images."""

from pathlib import Path
from typing import Annotated

import typer

from sightline.cli.eval.common import check_files
from sightline.cli.eval.options import ResultsArgument
from sightline.cli.options import option
from sightline.cli.output import one_line


def command(
    results: ResultsArgument,
    html: Annotated[Path, option("FILE", "Write the page to this file. Default: report.html.", "--html")] = Path(
        "report.html"
    ),
) -> None:
    """Results as one HTML page that needs no network.

    The page shows results of any evaluations and models, with tables, plots and images.

    \b
    Example:
      sightline eval report retrieval.json temperature.json diagnosis.json --html report.html
    """
    check_files(None, html)

    from sightline.evaluate import Result
    from sightline.report.results import write_report

    write_report(html, [Result.open(path) for path in results])
    typer.echo(f"report: {one_line(str(html))}", err=True)
