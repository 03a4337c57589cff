"""What the evaluations share: how they run on captions and on classes, and how a result is shown and kept."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from sightline.cli.eval.options import (
    CaptionsArgument,
    ClassesArgument,
    ClassesOption,
    HtmlOption,
    ImageRootOption,
    JsonOption,
    ModelArgument,
    PrecisionOption,
    SplitOption,
    TemplateOption,
)
from sightline.cli.output import hub_hint, one_line, progress_bar, terminal
from sightline.encoder.precision import Precision
from sightline.files import check_writable
from sightline.format import label, shown

if TYPE_CHECKING:
    from sightline.data import Captions, Labelled
    from sightline.data.masks import Masks
    from sightline.encoder.encoder import Encoder
    from sightline.evaluate import Result

Evaluation = Callable[..., "Result"]

_SKIPPED, _CLASSES, _MISSING = 3, 20, 3
"""How many names are listed of samples that could not be read, of classes, and of classes without samples."""


def on_captions(evaluation: Callable[[], Evaluation]) -> Callable[..., None]:
    """The command of an evaluation on captions: `evaluation` imports it, and its docstring is the help."""

    def command(
        model: ModelArgument,
        source: CaptionsArgument,
        split: SplitOption = None,
        image_root: ImageRootOption = None,
        precision: PrecisionOption = "float32",
        json: JsonOption = None,
        html: HtmlOption = None,
    ) -> None:
        check_files(json, html)

        from sightline.data import captions

        dataset = captions(source, split=split, image_root=image_root)
        encoder = open_model(model, precision)
        with progress_bar() as progress:
            result = evaluation()(encoder, dataset, progress, settings={"split": split})
        finish(result, dataset, json, html)

    command.__doc__ = evaluation.__doc__
    return command


def on_classes(evaluation: Callable[[], Evaluation]) -> Callable[..., None]:
    """The command of an evaluation on classes: `evaluation` imports it, and its docstring is the help."""

    def command(
        model: ModelArgument,
        source: ClassesArgument,
        classes: ClassesOption = None,
        template: TemplateOption = None,
        split: SplitOption = None,
        image_root: ImageRootOption = None,
        precision: PrecisionOption = "float32",
        json: JsonOption = None,
        html: HtmlOption = None,
    ) -> None:
        check_files(json, html)

        from sightline.data import labelled
        from sightline.data.classes import read_classes, read_templates

        known = None if classes is None else read_classes(classes)
        templates = read_templates(template or ())
        dataset = labelled(source, split=split, image_root=image_root)
        encoder = open_model(model, precision)
        with progress_bar() as progress:
            result = evaluation()(encoder, dataset, known, templates, progress, settings={"split": split})
        finish(result, dataset, json, html)
        _write_classes(result.details)

    command.__doc__ = evaluation.__doc__
    return command


def check_files(json: Path | None, html: Path | None) -> None:
    """Raises `UsageError`, before hours of work, if the result or its report could not be written."""
    if json is not None:
        check_writable(json, "result", b"{")
    if html is not None:
        from sightline.report.page import check_page
        from sightline.report.plots import check_installed

        check_page(html)
        check_installed()


def open_model(name: str, precision: Precision) -> "Encoder":
    """The model, with a hint if it would have to be fetched."""
    from sightline.encoder import load

    with hub_hint("a folder, or mini"):
        return load(name, precision=precision)


def finish(result: "Result", dataset: "Captions | Labelled | Masks", json: Path | None, html: Path | None) -> None:
    """Shows the figures, names what was left out, writes the files."""
    lines = [(label(name), shown(name, value)) for name, value in result.figures.items()]
    write_table((result.kind, result.precision), lines, f"{result.model} on {result.data}")
    if dataset.left_out:
        typer.echo(one_line(f"left out of the data: {dataset.left_out}"), err=True)
    if result.skipped:
        names = "; ".join(f"{skipped.source}: {skipped.reason}" for skipped in result.skipped[:_SKIPPED])
        more = f"; and {len(result.skipped) - _SKIPPED:,} more" if len(result.skipped) > _SKIPPED else ""
        typer.echo(one_line(f"{len(result.skipped):,} left out, which can't be read: {names}{more}"), err=True)
    write_files(result, json, html)


def write_files(result: "Result", json: Path | None, html: Path | None) -> None:
    """Writes the result and its report, if they are wanted."""
    if json is not None:
        result.save(json)
        typer.echo(f"result: {one_line(str(json))}", err=True)
    if html is not None:
        from sightline.report.results import write_report

        write_report(html, [result])
        typer.echo(f"report: {one_line(str(html))}", err=True)


def write_table(heads: Sequence[str], lines: Sequence[Sequence[str]], title: str | None = None) -> None:
    """A table: drawn on a terminal, else columns of plain text. Numbers, in all columns but the first, on the right."""
    lines = [[one_line(part) for part in line] for line in lines]
    console = terminal()
    if console is None:
        widths = [max(map(len, column)) for column in zip(heads, *lines, strict=True)]
        for line in (heads, *lines):
            first, *others = (f"{part:{'>' if i else '<'}{widths[i]}}" for i, part in enumerate(line))
            typer.echo("  ".join([first, *others]).rstrip())
        return
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=title and escape(one_line(title)), title_justify="left")
    for i, head in enumerate(heads):
        table.add_column(head, justify="right" if i else "left")
    for line in lines:
        table.add_row(*map(escape, line))
    console.print(table)


def _write_classes(details: Mapping[str, Any]) -> None:
    """The classes with the lowest accuracy, and those without samples."""
    classes = sorted(details["classes"].items(), key=lambda line: (line[1]["top-1"], line[0]))
    lines = [
        (name, f"{of['samples']:,}", f"{100 * of['top-1']:.1f}%", f"{100 * of['top-5']:.1f}%")
        for name, of in classes[:_CLASSES]
    ]
    write_table((f"class ({len(classes)}, the worst first)", "samples", "top-1", "top-5"), lines)
    if missing := details["without_samples"]:
        names = ", ".join(missing[:_MISSING]) + (", ..." if len(missing) > _MISSING else "")
        message = f"{len(missing):,} classes have no image and count only as wrong answers: {names}"
        typer.echo(one_line(message), err=True)
