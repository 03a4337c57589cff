"""Results as one HTML page that needs nothing else, neither network nor script: tables, plots, pictures."""

import os
from collections.abc import Sequence

from sightline.errors import UsageError
from sightline.evaluate.result import Result
from sightline.format import label
from sightline.report import plots
from sightline.report.page import escaped, write_page
from sightline.report.sections import SHOWN
from sightline.report.tables import STYLE, figures_table

NAMED = 20  # of what was left out


def write_report(file: str | os.PathLike[str], results: Sequence[Result]) -> None:
    """Write the page, whole or not at all. Results of kinds that it has no plots for are shown as tables.

    Raises `UsageError` if it cannot be written, for a result that lacks what its kind has, and without matplotlib.
    """
    plots.check_installed()
    title = f"{results[0].kind}: {results[0].model}" if len(results) == 1 else f"{len(results)} results"
    heading = "" if len(results) == 1 else f"<h1>{escaped(title)}</h1>\n"
    sections = "".join(_section(number, result, len(results) == 1) for number, result in enumerate(results, 1))
    write_page(file, title, heading + sections, STYLE, "Sightline report.")


def _section(number: int, result: Result, alone: bool) -> str:
    tag = "h1" if alone else "h2"
    shown_as = SHOWN.get(result.kind)
    try:
        body = shown_as(result) if shown_as else figures_table(result.figures)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(
            f"the {result.kind} of {result.model} on {result.data} can't be shown, something in its file is missing or "
            f"strange ({type(error).__name__}: {error}): evaluate again"
        ) from error
    return (
        f'<section id="result-{number}"><header><{tag}>{escaped(label(result.kind)).capitalize()}</{tag}>'
        f"<p><b>{escaped(result.model)}</b> on {escaped(result.data)}</p></header>\n"
        f"{body}{_about(result)}</section>\n"
    )


def _about(result: Result) -> str:
    facts = {
        "model": f"{result.model} ({result.model_fingerprint})",
        "data": f"{result.data} ({result.data_fingerprint})",
        "precision": result.precision,
        "seed": "none" if result.seed is None else str(result.seed),
        "settings": ", ".join(f"{name} {value}" for name, value in sorted(result.settings.items())) or "none",
        "command": result.command,
        "date": result.date,
        "versions": ", ".join(f"{name} {value}" for name, value in sorted(result.versions.items())),
        "skipped": "; ".join(f"{one.source}: {one.reason}" for one in result.skipped[:NAMED]) or "none",
    }
    if len(result.skipped) > NAMED:
        facts["skipped"] += f"; and {len(result.skipped) - NAMED:,} more"
    lines = "".join(f"<dt>{escaped(name)}</dt><dd>{escaped(value)}</dd>" for name, value in facts.items())
    return f"<details><summary>How this was measured</summary><dl>{lines}</dl></details>\n"
