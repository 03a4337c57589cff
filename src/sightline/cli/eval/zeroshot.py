"""`sightline eval zeroshot`: pictures told apart by the names of their classes."""

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
    """Top-1 and top-5 accuracy of pictures, by words alone, and each class's own.

    A class is the mean of its templates' vectors, as for CLIP; without --template "a photo of a {}."

    \b
    Examples:
      sightline eval zeroshot mini photos-by-class/
      sightline eval zeroshot openai/clip-vit-base-patch32 imagenet/val --classes classes.json#imagenet1k
      sightline eval zeroshot mini pets.csv --template "a photo of a {}, a type of pet." --json pets.json
    """
    evaluate("zeroshot", model, data, classes, template, split, image_root, precision, json, html)
