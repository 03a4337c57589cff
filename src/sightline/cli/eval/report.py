"""`sightline eval report`: results as one page with tables, plots and images."""

from pathlib import Path
from typing import Annotated

from sightline.cli.eval.files import Files
from sightline.cli.eval.options import ResultsArgument
from sightline.cli.options import option


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
    files = Files(None, html, None, None, None)

    from sightline.evaluate import open_results

    files.write([result for path in results for result in open_results(path)])
