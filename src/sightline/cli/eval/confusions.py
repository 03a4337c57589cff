"""`sightline eval confusions`: which classes a model takes for others, and how sure it is of that."""

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
            help="A folder with a folder for each class, or a table of files and classes.",
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
    """Accuracy, confidence and calibration of zero-shot classes; with --html those confused most, in pictures.

    \b
    Example:
      sightline eval confusions mini photos-by-class/ --html confusions.html
    """
    evaluate("confusions", model, data, classes, template, split, image_root, precision, json, html)
