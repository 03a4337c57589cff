"""The arguments and options that several evaluations have."""

from pathlib import Path
from typing import Annotated

import typer

from sightline.encoder.precision import Precision

ModelArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", help='The model: a name on the Hub, a folder, or "mini", the packaged one.', show_default=False
    ),
]
CaptionsArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="DATA...",
        help="Captions: shards (*.tar), a table (CSV, TSV, JSONL) or a folder with one, Karpathy's or COCO's JSON.",
        show_default=False,
    ),
]
ClassesArgument = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="A folder with a folder of images or videos for each class, or a table of files and classes.",
        show_default=False,
    ),
]
ResultsArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="RESULT.json...", help="Results, as --json of an evaluation writes them.", show_default=False
    ),
]
SplitOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Evaluate only this split of data that names splits; all splits if left out.",
        show_default=False,
    ),
]  # fmt: skip
ImageRootOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Folder or shards of the images or videos that DATA names; the folder of DATA if left out.",
        show_default=False,
    ),
]
ClassesOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help='List of all classes: a line each, CSV with "name" (and "id"), JSON or YAML; '
        "the classes of the data if left out.",
        show_default=False,
    ),
]
TemplateOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TEXT|FILE",
        help='Text with "{}" for the class, or a file with a text on each line; may be repeated, and their mean '
        'counts. Those of --classes if left out, else "a photo of a {}." for images and "{}" for videos.',
        show_default=False,
    ),
]
PrecisionOption = Annotated[
    Precision, typer.Option(help="Precision in which the model computes; auto takes the fastest of this machine.")
]
DrawsOption = Annotated[int, typer.Option(metavar="N", min=1, help="Number of data sets that the bootstrap draws.")]
SeedOption = Annotated[int, typer.Option(metavar="N", help="Seed of all random numbers.")]
JsonOption = Annotated[
    Path | None,
    typer.Option(
        "--json", metavar="FILE", help="Write the result to this file, as `eval compare` reads it.", show_default=False
    ),
]
HtmlOption = Annotated[
    Path | None,
    typer.Option(
        "--html", metavar="FILE", help="Write a report with plots to this file, as one page.", show_default=False
    ),
]
