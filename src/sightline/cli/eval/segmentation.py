"""`sightline eval segmentation`: each pixel's class by words, against masks."""

from pathlib import Path
from typing import Annotated

import typer

from sightline.cli.eval.common import HtmlFile, JsonFile, PrecisionOption, check_files, finish, write_table
from sightline.cli.output import progress_bar
from sightline.errors import HubError


def command(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A GroupViT: on the Hub, in a folder, or mini-groupvit.")
    ],
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA", help='A folder of masks (PNG, numbers of classes), or with a folder "masks" in it.'
        ),
    ],
    image_root: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help='Where the pictures are, named as their masks; else "images" in DATA.',
            show_default=False,
        ),
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help='The classes: a line each, or CSV with "id" and "name"; else DATA/classes.txt.',
            show_default=False,
        ),
    ] = None,
    mode: Annotated[str, typer.Option(metavar="paper|transformers", help="As `sightline segment` has them.")] = "paper",
    background: Annotated[
        float | None,
        typer.Option(
            metavar="T",
            help='Probability under which a pixel is "background", if there is that class (0.95); 0 leaves it out.',
            show_default=False,
        ),
    ] = None,
    prompt: Annotated[str, typer.Option(metavar="TEXT", help="The text that a class is put into, at {}.")] = (
        "a photo of a {}."
    ),
    precision: PrecisionOption = "float32",
    json: JsonFile = None,
    html: HtmlFile = None,
) -> None:
    """Mean intersection over union of what words find in pictures, over all pixels, and each class's own.

    \b
    Examples:
      sightline eval segmentation nvidia/groupvit-gcc-yfcc voc/ --image-root voc/JPEGImages
      sightline eval segmentation mini-groupvit scenes/ --background 0 --mode transformers --json scenes.json
    """
    check_files(json, html)

    from sightline.evaluate import segmentation
    from sightline.evaluate.encode import quiet
    from sightline.evaluate.segmentation import masked
    from sightline.segment import Segmenter

    opened = masked(data, classes=classes, image_root=image_root)
    try:
        segmenter = Segmenter(model, dtype=precision)
    except HubError as error:
        raise HubError(f"{error} (here: a folder, or mini-groupvit)", error.reason) from error
    with progress_bar() as report:
        result = segmentation(segmenter, opened, report or quiet, mode=mode, background=background, prompt=prompt)
    finish(result, opened, json, html)
    lines = sorted(result.details["classes"].items(), key=lambda line: -line[1])
    write_table(("class", "IoU"), [(name, f"{100 * iou:.1f}%") for name, iou in lines])
