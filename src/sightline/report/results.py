"""Results as one HTML page that needs nothing else, neither network nor script: tables, plots, images."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sightline.evaluate.notes import notes
from sightline.evaluate.result import Result, whole
from sightline.format import label
from sightline.report import plots
from sightline.report.page import render, write_page
from sightline.report.sections import SECTIONS
from sightline.report.tables import figures_table

if TYPE_CHECKING:
    from markupsafe import Markup

NAMED = 20  # samples that were skipped
BRACKETS = "In brackets: 95% intervals."
DIFFERENCES = "A difference whose interval holds 0 may be chance; others are clear."


@dataclass(frozen=True)
class ResultSection:
    """A result on the page: `parts` are tables, plots and images, `facts` say how it was measured."""

    heading: str
    model: str
    data: str
    parts: Sequence["Markup"]
    facts: Mapping[str, str]


def write_report(file: str | os.PathLike[str], results: Sequence[Result]) -> None:
    """Writes the page, whole or not at all. Results of kinds without a section of their own are shown as tables.

    Raises `UsageError` if it cannot be written, for a result that lacks what its kind has, and without matplotlib.
    """
    plots.check_installed()
    title = f"{results[0].kind}: {results[0].model}" if len(results) == 1 else f"{len(results)} results"
    sections = [
        ResultSection(label(result.kind).capitalize(), result.model, result.data, _parts(result), _facts(result))
        for result in results
    ]
    write_page(file, "report.html.j2", title=title, style="report.css", sections=sections, footer="Sightline report.")


def _parts(result: Result) -> Sequence["Markup"]:
    section = SECTIONS.get(result.kind)
    with whole(result):
        parts = section(result) if section else [figures_table(result.figures, result.intervals)]
        compares = result.kind in ("compare", "table")
        said = notes(result) + ([f"{BRACKETS} {DIFFERENCES}"] if compares else [BRACKETS] if result.intervals else [])
        return [*parts, *(render("note.html.j2", text=note) for note in said)]


def _facts(result: Result) -> dict[str, str]:
    skipped = "; ".join(f"{skipped.source}: {skipped.reason}" for skipped in result.skipped[:NAMED]) or "none"
    more = f"; and {len(result.skipped) - NAMED:,} more" if len(result.skipped) > NAMED else ""
    return {
        "model": f"{result.model} ({result.model_fingerprint})",
        "data": f"{result.data} ({result.data_fingerprint})",
        "precision": result.precision,
        "seed": "none" if result.seed is None else str(result.seed),
        "settings": ", ".join(f"{name} {value}" for name, value in sorted(result.settings.items())) or "none",
        "command": result.command,
        "date": result.date,
        "versions": ", ".join(f"{name} {value}" for name, value in sorted(result.versions.items())),
        "skipped": skipped + more,
    }
