"""What the evaluations share: their options, opening a model, and showing and keeping a result."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sightline.cli.output import one_line, progress_bar, terminal
from sightline.errors import HubError, UsageError
from sightline.format import label, shown

if TYPE_CHECKING:
    from sightline.data import Captions, Labelled
    from sightline.encoder.encoder import Encoder
    from sightline.evaluate import Result
    from sightline.evaluate.segmentation import Masks

ModelArgument = Annotated[
    str,
    typer.Argument(metavar="MODEL", help='On the Hub, in a folder, or "mini", the packaged one.', show_default=False),
]
PrecisionOption = Annotated[
    str, typer.Option(metavar="float32|bfloat16|float16|auto", help="What the model computes in.")
]
JsonFile = Annotated[
    Path | None,
    typer.Option("--json", metavar="FILE", help="Keep the result, as `eval compare` takes it.", show_default=False),
]
HtmlFile = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", help="Also write a report with plots, as one page.", show_default=False),
]
CaptionsArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="DATA...",
        help="Captions: shards (*.tar), a table (CSV, TSV, JSONL) or a folder with one, Karpathy's or COCO's JSON.",
        show_default=False,
    ),
]
SplitOption = Annotated[str | None, typer.Option(metavar="NAME", help="Of data that names splits.", show_default=False)]
ImageRootOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER", help="Where the pictures or films are, if not beside the captions.", show_default=False
    ),
]
_NAMED = 3


def check_file(file: Path | None, kind: str, start: bytes) -> None:
    """Raises UsageError, before hours of work, if `file` cannot be written, or is no `kind` of ours (what begins with
    `start`) and would be lost."""
    if file is None:
        return
    old = b""
    try:
        if not file.absolute().parent.is_dir():
            raise UsageError(f"{file}: there is no folder to write this file into")
        if file.is_dir():
            raise UsageError(f"{file} is a folder: name a file for the {kind}")
        if file.exists():
            with file.open("rb") as there:
                old = there.read(256).lower()
    except OSError as error:  # a name that is too long, a file that is not ours to read
        raise UsageError(f"{file}: the {kind} cannot be written there ({error.strerror})") from error
    if old and not old.startswith(start):
        raise UsageError(f"{file} is no {kind} of ours and would be lost: choose another name")


def check_files(json: Path | None, html: Path | None = None) -> None:
    """Of all that is to be written."""
    check_file(json, "result", b"{")
    if html is not None:
        from sightline.report.page import check_place
        from sightline.report.plots import check_installed

        check_place(html)
        check_installed()


def open_model(name: str, precision: str) -> "Encoder":
    """The model, with a hint where it would have to be fetched."""
    from sightline.encoder import load

    try:
        return load(name, dtype=precision)
    except HubError as error:
        raise HubError(f"{error} (here: a folder, or mini)", error.reason) from error


def on_captions(
    name: str,
    model: str,
    data: list[str],
    split: str | None,
    image_root: Path | None,
    precision: str,
    json: Path | None,
    html: Path | None,
) -> None:
    """The evaluation of this name, of a model on captions: measured, shown and kept."""
    check_files(json, html)

    from sightline import evaluate
    from sightline.data import captions
    from sightline.evaluate.encode import quiet

    opened = captions(data, split=split, image_root=image_root)
    encoder = open_model(model, precision)
    with progress_bar() as report:
        result = getattr(evaluate, name)(encoder, opened, report or quiet, settings={"split": split})
    finish(result, opened, json, html)


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


def finish(result: "Result", data: "Captions | Labelled | Masks", json: Path | None, html: Path | None = None) -> None:
    """Shows the figures, names what was left out, writes the files."""
    lines = [(label(name), shown(name, value)) for name, value in result.figures.items()]
    write_table((result.kind, result.precision), lines, f"{result.model} on {result.data}")
    if len(data.left_out):
        typer.echo(one_line(f"left out of the data: {data.left_out}"), err=True)
    if result.skipped:
        named = "; ".join(f"{one.source}: {one.reason}" for one in result.skipped[:_NAMED])
        more = f"; and {len(result.skipped) - _NAMED:,} more" if len(result.skipped) > _NAMED else ""
        typer.echo(one_line(f"{len(result.skipped):,} left out, which can't be read: {named}{more}"), err=True)
    write_files(result, json, html)


def write_files(result: "Result", json: Path | None, html: Path | None) -> None:
    """The result and its report, as far as they are wanted."""
    if json is not None:
        result.save(json)
        typer.echo(f"result: {one_line(str(json))}", err=True)
    if html is not None:
        from sightline.report.results import write_report

        write_report(html, [result])
        typer.echo(f"report: {one_line(str(html))}", err=True)
