"""`sightline eval segmentation`: each pixel's class by words, against masks."""

from pathlib import Path
from typing import Annotated

import typer

from sightline.cli.eval.common import check_files, finish, write_table
from sightline.cli.eval.options import HtmlOption, JsonOption, PrecisionOption
from sightline.cli.options import argument, option
from sightline.cli.output import hub_hint, progress_bar
from sightline.segment.defaults import Mode
from sightline.templates import IMAGE_TEMPLATE


def command(
    model: Annotated[str, argument("MODEL", "A GroupViT: a name on the Hub, a folder, or mini-groupvit.")],
    data: Annotated[
        Path, argument("DATA", 'Folder of masks (PNG, numbers of classes), or with a folder "masks" in it.')
    ],
    image_root: Annotated[
        Path | None,
        option("FOLDER", 'Folder of the images, named as their masks; "images" in DATA, or else DATA, if left out.'),
    ] = None,
    classes: Annotated[
        str | None,
        option(
            "FILE",
            'List of the classes: a line each, CSV with "id" and "name", JSON or YAML; classes.txt, classes.csv or '
            "config.yaml in DATA if left out.",
        ),
    ] = None,
    mode: Annotated[
        Mode,
        typer.Option(
            help="Method that gives pixels their class: by windows and groups as Xu et al. (2022) evaluate, or by the "
            "segmentation logits of transformers."
        ),
    ] = "paper",
    background: Annotated[
        float | None,
        option(
            "T",
            'Probability under which a pixel is of the class "background", if the data has it; 0 leaves the pixels of '
            "that class out; 0.95 if left out.",
        ),
    ] = None,
    prompt: Annotated[str, typer.Option(metavar="TEXT", help='Text with "{}" for the class.')] = IMAGE_TEMPLATE,
    precision: PrecisionOption = "float32",
    json: JsonOption = None,
    html: HtmlOption = None,
) -> None:
    """Mean IoU of segmentation by words, against masks.

    Intersection over union, over the pixels of all images, and that of each class.

    \b
    Examples:
      sightline eval segmentation nvidia/groupvit-gcc-yfcc voc/ --image-root voc/JPEGImages
      sightline eval segmentation mini-groupvit scenes/ --background 0 --mode transformers --json scenes.json
    """
    check_files(json, html)

    from sightline.data.masks import masked
    from sightline.evaluate import segmentation
    from sightline.segment import Segmenter

    dataset = masked(data, classes=classes, image_root=image_root)
    with hub_hint("a folder, or mini-groupvit"):
        segmenter = Segmenter(model, precision=precision)
    with progress_bar() as progress:
        result = segmentation(segmenter, dataset, progress, mode=mode, background=background, prompt=prompt)
    finish(result, dataset, json, html)
    classes_by_iou = sorted(result.details["classes"].items(), key=lambda line: -line[1])
    write_table(("class", "IoU"), [(name, f"{100 * iou:.1f}%") for name, iou in classes_by_iou])
