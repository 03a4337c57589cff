"""The arguments and options that several evaluations have."""

from pathlib import Path
from typing import Annotated

import typer

from sightline.cli.options import argument, option
from sightline.encoder.precision import Precision

ModelArgument = Annotated[
    str, argument("MODEL", 'The model: a name on the Hub, a folder, or "mini", the packaged one.')
]
CaptionsArgument = Annotated[
    list[str],
    argument(
        "DATA...",
        "Captions: shards (*.tar), a table (CSV, TSV, JSONL) or a folder with one, Karpathy's or COCO's JSON.",
    ),
]
ClassesArgument = Annotated[
    Path,
    argument("DATA", "A folder with a folder of images or videos for each class, or a table of files and classes."),
]
ResultsArgument = Annotated[list[Path], argument("RESULT.json...", "Results, as --json of an evaluation writes them.")]
SplitOption = Annotated[
    str | None, option("NAME", "Evaluate only this split of data that names splits; all splits if left out.")
]
ImageRootOption = Annotated[
    Path | None,
    option("FOLDER", "Folder or shards of the images or videos that DATA names; the folder of DATA if left out."),
]
ClassesOption = Annotated[
    str | None,
    option(
        "FILE",
        'List of all classes: a line each, CSV with "name" (and "id"), JSON or YAML; the classes of the data if left '
        "out.",
    ),
]
TemplateOption = Annotated[
    list[str] | None,
    option(
        "TEXT|FILE",
        'Text with "{}" for the class, or a file with a text on each line; may be repeated, and their mean counts. '
        'Those of --classes if left out, else "a photo of a {}." for images and "{}" for videos.',
    ),
]
PrecisionOption = Annotated[
    Precision, typer.Option(help="Precision in which the model computes; auto takes the fastest of this machine.")
]
DrawsOption = Annotated[int, typer.Option(metavar="N", min=1, help="Number of data sets that the bootstrap draws.")]
SeedOption = Annotated[int, typer.Option(metavar="N", help="Seed of all random numbers.")]
JsonOption = Annotated[
    Path | None, option("FILE", "Write the result to this file, as `eval compare` reads it.", "--json")
]
HtmlOption = Annotated[Path | None, option("FILE", "Write a report with plots to this file, as one page.", "--html")]
