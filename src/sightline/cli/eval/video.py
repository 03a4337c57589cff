"""`sightline eval video`: films told apart by the names of their classes."""

from pathlib import Path
from typing import Annotated

import typer

from sightline.cli.eval.classes import ClassesOption, ImageRootOption, SplitOption, TemplateOption, evaluate
from sightline.cli.eval.common import HtmlFile, JsonFile, ModelArgument, PrecisionOption


def command(
    model: ModelArgument,
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="A folder with a folder of films for each class, or a table of films and classes.",
            show_default=False,
        ),
    ],
    classes: ClassesOption = None,
    template: TemplateOption = None,
    split: SplitOption = None,
    image_root: ImageRootOption = None,
    precision: PrecisionOption = "float32",
    json: JsonFile = None,
    html: HtmlFile = None,
) -> None:
    """Top-1 and top-5 accuracy of films, by words alone, and each class's own.

    X-CLIP sees as many frames as its checkpoint says, a model for pictures the mean of eight. Without --template a
    class stands as it is, as in X-CLIP's paper. (For captions of films there is `eval retrieval`.)

    \b
    Examples:
      sightline eval video microsoft/xclip-base-patch32 kinetics/val --classes kinetics_400_labels.csv
      sightline eval video mini-xclip films.csv --json films.json
    """
    evaluate("video", model, data, classes, template, split, image_root, precision, json, html)
