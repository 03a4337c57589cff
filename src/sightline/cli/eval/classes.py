"""What `eval zeroshot` and `eval video` share: their options, and how they run and show their classes."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sightline.cli.eval.common import check_files, finish, open_model, write_table
from sightline.cli.output import one_line, progress_bar

if TYPE_CHECKING:
    from sightline.evaluate import Result

ClassesOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help='All classes, if not just those of the data: a line each, CSV with "name" (and "id"), JSON.',
        show_default=False,
    ),
]
TemplateOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TEXT|FILE",
        help='What a class is put into, at "{}", or a file with one a line; may be repeated: their mean counts.',
        show_default=False,
    ),
]
SplitOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="Of a table that names splits.", show_default=False)
]
ImageRootOption = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Where a table's files are, if not beside it.", show_default=False),
]
_LISTED = 20


def evaluate(
    kind: str,
    model: str,
    data: Path,
    classes: str | None,
    template: list[str] | None,
    split: str | None,
    image_root: Path | None,
    precision: str,
    json: Path | None,
    html: Path | None,
) -> None:
    """Either evaluation, from reading the lists to the files."""
    check_files(json, html)

    from sightline import evaluate
    from sightline.data import labelled
    from sightline.data.classes import read_classes, read_templates
    from sightline.evaluate.encode import quiet

    known = None if classes is None else read_classes(classes)
    templates = read_templates(template or ())
    opened = labelled(data, split=split, image_root=image_root)
    encoder = open_model(model, precision)
    with progress_bar() as report:
        result: Result = getattr(evaluate, kind)(
            encoder, opened, known, templates, report or quiet, settings={"split": split}
        )
    finish(result, opened, json, html)
    _write_classes(result.details)


def _write_classes(details: dict[str, Any] | Any) -> None:
    """The classes that are known least; how many there are of those that have no picture."""
    lines = sorted(details["classes"].items(), key=lambda line: (line[1]["top-1"], line[0]))
    heads = (f"class ({len(lines)}, the worst first)", "samples", "top-1", "top-5")
    write_table(
        heads,
        [
            (one_line(name), f"{told['samples']:,}", f"{100 * told['top-1']:.1f}%", f"{100 * told['top-5']:.1f}%")
            for name, told in lines[:_LISTED]
        ],
    )
    if missing := details["without_samples"]:
        some = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        typer.echo(
            one_line(f"{len(missing):,} classes have no picture and count only as wrong answers: {some}"), err=True
        )
