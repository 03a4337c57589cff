"""The arguments and options that several evaluations have."""

from pathlib import Path
from typing import Annotated

import typer

from sightline.cli.options import argument, option
from sightline.encoder.precision import Precision

ModelArgument = Annotated[
    str, argument("MODEL", "Evaluate this model: a name on the Hub, a folder, or mini, which is in the package.")
]
CaptionsArgument = Annotated[
    list[str],
    argument(
        "DATA...",
        "Evaluate on these captions: shards (*.tar), a table (CSV, TSV, JSONL) or a folder with a table, Karpathy's or "
        "COCO's JSON, or a folder of images with texts of the same names.",
    ),
]
ClassesArgument = Annotated[
    list[str],
    argument(
        "DATA...",
        "Evaluate on this: a folder with a folder of images or videos for each class, a table of files and classes, or "
        "shards (*.tar) with .cls files.",
    ),
]
TrainArgument = Annotated[
    Path, argument("TRAIN", "Learn the classes from this: a folder for each class, or a table of files and classes.")
]
TestArgument = Annotated[Path, argument("TEST", "Evaluate on this, in the same layouts; its classes are TRAIN's.")]
TrainSplitOption = Annotated[
    str | None, option("NAME", "Learn from this split of TRAIN only. Default: all of them.", "--train-split")
]
ResultsArgument = Annotated[
    list[Path], argument("RESULT.json...", "Read these results, as --json of an evaluation writes them.")
]
SplitOption = Annotated[str | None, option("NAME", "Evaluate on this split of the data only. Default: all of them.")]
ImageRootOption = Annotated[
    Path | None,
    option(
        "FOLDER",
        "Look in this folder, or these shards, for the images or videos that DATA names. Default: the folder of DATA.",
    ),
]
ClassesOption = Annotated[
    str | None,
    option(
        "FILE",
        'Read all classes from this file: a line each, CSV with "name" (and "id"), JSON or YAML. Default: '
        "classnames.txt beside shards, else the classes of the data.",
    ),
]
TemplateOption = Annotated[
    list[str] | None,
    option(
        "TEXT|FILE",
        'Name a class by this text with "{}" for the class, or by the texts of a file, a line each. May be repeated: '
        'the mean counts. Default: those of --classes, else "a photo of a {}." for images and "{}" for videos.',
    ),
]
PrecisionOption = Annotated[
    Precision | None,
    option(
        None,
        "Compute in this precision; auto takes the fastest of this machine. Default: float32; of an export its own.",
    ),
]
DrawsOption = Annotated[
    int,
    typer.Option(
        metavar="N", min=1, show_default=False, help="Draw this number of data sets in the bootstrap. Default: 2000."
    ),
]
SeedOption = Annotated[int, option("N", "Draw all random numbers from this seed. Default: 0.")]
FreshOption = Annotated[
    bool, option(None, "Encode anew. Default: take the vectors that an earlier evaluation has kept.", "--fresh")
]
JsonOption = Annotated[
    Path | None,
    option("FILE", "Write the result to this file, as `eval compare` reads it. Default: print only.", "--json"),
]
CsvOption = Annotated[
    Path | None,
    option("FILE", "Write each figure with its interval to this file, as CSV. Default: print only.", "--csv"),
]
MarkdownOption = Annotated[
    Path | None, option("FILE", "Write the tables to this file, as Markdown. Default: print only.", "--markdown")
]
LatexOption = Annotated[
    Path | None, option("FILE", "Write the tables to this file, as LaTeX. Default: print only.", "--latex")
]
EachOption = Annotated[
    bool, option(None, "Evaluate on each DATA by itself. Default: all of them are one data set.", "--each")
]
HtmlOption = Annotated[
    Path | None, option("FILE", "Write a report with plots to this file, as one page. Default: print only.", "--html")
]
