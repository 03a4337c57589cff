"""What the evaluations share: how they run on captions and on classes, and how a result is shown and kept."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import typer

from sightline.cli.eval.files import Files
from sightline.cli.eval.options import (
    CaptionsArgument,
    ClassesArgument,
    ClassesOption,
    CsvOption,
    EachOption,
    FreshOption,
    HtmlOption,
    ImageRootOption,
    JsonOption,
    LatexOption,
    MarkdownOption,
    ModelArgument,
    PrecisionOption,
    SplitOption,
    TemplateOption,
)
from sightline.cli.options import BatchSizeOption, DeviceOption, typed
from sightline.cli.output import hub_hint, one_line, padded, progress_bar, terminal
from sightline.errors import UsageError
from sightline.progress import ProgressCallback

if TYPE_CHECKING:
    from sightline.data import Captions, Labelled
    from sightline.data.masks import Masks
    from sightline.encoder.encoder import Encoder
    from sightline.encoder.precision import Precision
    from sightline.evaluate import Result
    from sightline.evaluate.kept import KeptVectors

Evaluation = Callable[..., "Result"]
D = TypeVar("D", "Captions", "Labelled", "Masks")

_SKIPPED = 3
"""How many names are listed of samples that could not be read."""


def on_captions(evaluation: Callable[[], Evaluation]) -> Callable[..., None]:
    """The command of an evaluation on captions: `evaluation` imports it, and its docstring is the help."""

    def command(
        model: ModelArgument,
        source: CaptionsArgument,
        each: EachOption = False,
        split: SplitOption = None,
        image_root: ImageRootOption = None,
        device: DeviceOption = "auto",
        precision: PrecisionOption = None,
        batch_size: BatchSizeOption = None,
        fresh: FreshOption = False,
        json: JsonOption = None,
        html: HtmlOption = None,
        csv: CsvOption = None,
        markdown: MarkdownOption = None,
        latex: LatexOption = None,
    ) -> None:
        files = Files(json, html, csv, markdown, latex)

        from sightline.data import captions

        sources = [[one] for one in source] if each else [source]
        datasets = [captions(one, split=split, image_root=image_root) for one in sources]
        encoder, evaluate = open_model(model, device, precision, batch_size), evaluation()
        evaluate_all(
            datasets,
            files,
            fresh,
            lambda dataset, progress, kept: evaluate(encoder, dataset, progress, settings={"split": split}, kept=kept),
        )

    command.__doc__ = evaluation.__doc__
    return command


def on_classes(evaluation: Callable[[], Evaluation]) -> Callable[..., None]:
    """The command of an evaluation on classes: `evaluation` imports it, and its docstring is the help."""

    def command(
        model: ModelArgument,
        source: ClassesArgument,
        each: EachOption = False,
        classes: ClassesOption = None,
        template: TemplateOption = None,
        split: SplitOption = None,
        image_root: ImageRootOption = None,
        device: DeviceOption = "auto",
        precision: PrecisionOption = None,
        batch_size: BatchSizeOption = None,
        fresh: FreshOption = False,
        json: JsonOption = None,
        html: HtmlOption = None,
        csv: CsvOption = None,
        markdown: MarkdownOption = None,
        latex: LatexOption = None,
    ) -> None:
        files = Files(json, html, csv, markdown, latex)

        from sightline.data import labelled
        from sightline.data.classes import read_classes, read_templates

        known = None if classes is None else read_classes(classes)
        templates = read_templates([typed(text) if "{" in text else text for text in template or ()])
        if not each and len(source) > 1 and not all(one.endswith(".tar") for one in source):
            raise UsageError(f"{len(source)} data sets of classes: --each evaluates on each by itself")
        sources = [[one] for one in source] if each else [source]
        datasets = [labelled(one, split=split, image_root=image_root) for one in sources]
        encoder, evaluate, settings = (
            open_model(model, device, precision, batch_size),
            evaluation(),
            {"split": split},
        )
        evaluate_all(
            datasets,
            files,
            fresh,
            lambda dataset, progress, kept: evaluate(
                encoder, dataset, known, templates, progress, settings=settings, kept=kept
            ),
        )

    command.__doc__ = evaluation.__doc__
    return command


def evaluate_all(
    datasets: Sequence[D],
    files: Files,
    fresh: bool,
    evaluate: Callable[[D, ProgressCallback, "KeptVectors | None"], "Result"],
) -> None:
    """Evaluates on each data set, with the vectors that are kept unless `fresh`, and shows the result; writes the
    files, whatever ends the work after the first."""
    from sightline.evaluate.kept import KeptVectors

    results: list[Result] = []
    try:
        for dataset in datasets:
            kept = None if fresh else KeptVectors.of_user()
            with progress_bar() as progress:
                result = evaluate(dataset, progress, kept)
            results.append(result)
            if len(datasets) > 1:
                typer.echo(one_line(f"{result.model} on {result.data}"))
            show(result)
            if kept is not None and kept.taken:
                typer.echo(f"{kept.taken:,} vectors are from an earlier evaluation (--fresh encodes anew)", err=True)
            name_left_out(result, dataset)
    finally:
        if results:
            files.write(results)


def open_model(name: str, device: str, precision: "Precision | None", batch_size: int | None) -> "Encoder":
    """The model, with a hint if it would have to be fetched. Without a precision float32, of an export its own."""
    from sightline.checkpoint.exported import most_exact
    from sightline.encoder import load

    with hub_hint("a folder, or mini"):
        return load(name, device=device, precision=precision or most_exact(name), batch_size=batch_size)


def show(result: "Result") -> None:
    """Prints the tables of a result, and what must be said beside them."""
    from sightline.evaluate.text_tables import text_tables

    for table in text_tables(result):
        write_table(table.head, table.lines, table.title)
    write_notes(result)


def write_notes(result: "Result") -> None:
    """Says on standard error what must be said beside the figures."""
    from sightline.evaluate.notes import notes

    for note in notes(result):
        typer.echo(one_line(note), err=True)


def name_left_out(result: "Result", dataset: "Captions | Labelled | Masks") -> None:
    """Says what was left out of the data, and which files could not be read."""
    if dataset.left_out:
        typer.echo(one_line(f"left out of the data: {dataset.left_out}"), err=True)
    if result.skipped:
        names = "; ".join(f"{skipped.source}: {skipped.reason}" for skipped in result.skipped[:_SKIPPED])
        more = f"; and {len(result.skipped) - _SKIPPED:,} more" if len(result.skipped) > _SKIPPED else ""
        typer.echo(one_line(f"{len(result.skipped):,} left out, which can't be read: {names}{more}"), err=True)


def write_table(heads: Sequence[str], lines: Sequence[Sequence[str]], title: str | None = None) -> None:
    """A table: drawn on a terminal, else columns of plain text. Numbers, in all columns but the first, on the right."""
    lines = [[one_line(part) for part in line] for line in lines]
    console = terminal()
    if console is None:
        columns = [padded(column, right=i > 0) for i, column in enumerate(zip(heads, *lines, strict=True))]
        for row in zip(*columns, strict=True):
            typer.echo("  ".join(row).rstrip())
        return
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=title and escape(one_line(title)), title_justify="left")
    for i, head in enumerate(heads):
        table.add_column(head, justify="right" if i else "left")
    for line in lines:
        table.add_row(*map(escape, line))
    console.print(table)
