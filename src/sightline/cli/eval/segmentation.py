"""`sightline eval segmentation`: each pixel's class by words, against masks."""

from pathlib import Path
from typing import Annotated

from sightline.cli.eval.common import evaluate_all
from sightline.cli.eval.files import Files
from sightline.cli.eval.options import CsvOption, HtmlOption, JsonOption, LatexOption, MarkdownOption, PrecisionOption
from sightline.cli.options import BatchSizeOption, DeviceOption, argument, option
from sightline.cli.output import hub_hint
from sightline.segment.defaults import Mode
from sightline.templates import IMAGE_TEMPLATE


def command(
    model: Annotated[str, argument("MODEL", "Evaluate this GroupViT: a name on the Hub, a folder, or mini-groupvit.")],
    data: Annotated[
        Path,
        argument("DATA", 'Evaluate on this folder of masks (PNG, numbers of classes), or on the folder "masks" in it.'),
    ],
    image_root: Annotated[
        Path | None,
        option(
            "FOLDER",
            'Look in this folder for the images, named as their masks. Default: "images" in DATA, or else DATA.',
        ),
    ] = None,
    classes: Annotated[
        str | None,
        option(
            "FILE",
            'Read the classes from this file: a line each, CSV with "id" and "name", JSON or YAML. Default: '
            "classes.txt, classes.csv or config.yaml in DATA.",
        ),
    ] = None,
    mode: Annotated[
        Mode,
        option(
            None,
            "Give pixels their class by this method: `paper` by windows and groups as Xu et al. (2022) evaluate, "
            "`transformers` by the segmentation logits of that library. Default: paper.",
        ),
    ] = "paper",
    background: Annotated[
        float | None,
        option(
            "T",
            'Give a pixel to the class "background", if the data has it, when no class has at least probability T; 0 '
            "leaves the pixels of that class out. Default: 0.95.",
        ),
    ] = None,
    prompt: Annotated[
        str, option("TEXT", 'Name a class by this text with "{}" for the class. Default: ' + IMAGE_TEMPLATE)
    ] = IMAGE_TEMPLATE,
    device: DeviceOption = "auto",
    precision: PrecisionOption = None,
    batch_size: BatchSizeOption = None,
    json: JsonOption = None,
    html: HtmlOption = None,
    csv: CsvOption = None,
    markdown: MarkdownOption = None,
    latex: LatexOption = None,
) -> None:
    """Mean IoU of segmentation by words, against masks.

    Prints the intersection over union of each class, over the pixels of all images, and the mean of all classes.

    \b
    Examples:
      sightline eval segmentation nvidia/groupvit-gcc-yfcc voc/ --image-root voc/JPEGImages
      sightline eval segmentation mini-groupvit scenes/ --background 0 --mode transformers --json scenes.json
    """
    files = Files(json, html, csv, markdown, latex)

    from sightline.data.masks import masked
    from sightline.evaluate import segmentation
    from sightline.segment import Segmenter

    dataset = masked(data, classes=classes, image_root=image_root)
    with hub_hint("a folder, or mini-groupvit"):
        segmenter = Segmenter(model, precision=precision or "float32")
    evaluate_all(
        [dataset],
        files,
        True,
        lambda dataset, progress, _: segmentation(
            segmenter, dataset, progress, mode=mode, background=background, prompt=prompt
        ),
    )
