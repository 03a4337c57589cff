"""The files that an evaluation writes beside what it prints."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from sightline.cli.output import one_line
from sightline.errors import UsageError
from sightline.files import check_writable

if TYPE_CHECKING:
    from sightline.evaluate import Result


@dataclass(frozen=True)
class Files:
    """The files of the options of these names, None where one is not wanted.

    Raises `UsageError`, before hours of work, if one of them could not be written.
    """

    json: Path | None
    html: Path | None
    csv: Path | None
    markdown: Path | None
    latex: Path | None

    def __post_init__(self) -> None:
        files = [file for file in (self.json, self.html, self.csv, self.markdown, self.latex) if file is not None]
        if twice := {str(file) for file in files if files.count(file) > 1}:
            raise UsageError(f"{twice.pop()} would be written twice: name a file for each option")
        if self.json is not None:
            check_writable(self.json, "result", b'{"command"')
        if self.html is not None:
            from sightline.report.page import check_page
            from sightline.report.plots import check_installed

            check_page(self.html)
            check_installed()
        if exports := self._exports():
            from sightline.evaluate.exports import check_export

            for format, file in exports.items():
                check_export(file, format)

    def check_kept(self, results: Sequence[Path]) -> None:
        """Raises `UsageError` if the file of one of the results, which are to be read, would be written over."""
        for file in results:
            if self.json is not None and self.json.exists() and file.exists() and self.json.samefile(file):
                raise UsageError(f"{file} is read here and would be lost: choose another name for --json")

    def _exports(self) -> dict[str, Path]:
        files = {"csv": self.csv, "markdown": self.markdown, "latex": self.latex}
        return {format: file for format, file in files.items() if file is not None}

    def write(self, results: "Sequence[Result]") -> None:
        """Writes the results to those that are wanted."""
        if self.json is not None:
            from sightline.evaluate import save_results

            save_results(self.json, results)
            typer.echo(f"result: {one_line(str(self.json))}", err=True)
        if self.html is not None:
            from sightline.report.results import write_report

            write_report(self.html, results)
            typer.echo(f"report: {one_line(str(self.html))}", err=True)
        for format, file in self._exports().items():
            from sightline.evaluate.exports import write_export

            write_export(file, format, results)
            typer.echo(f"table: {one_line(str(file))}", err=True)
