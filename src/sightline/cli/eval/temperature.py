"""`sightline eval temperature`: what the scale of the logits changes, and what it cannot."""

from sightline.cli.eval.common import (
    CaptionsArgument,
    HtmlFile,
    JsonFile,
    ModelArgument,
    PicturesOption,
    PrecisionOption,
    SplitOption,
    check_files,
    finish,
    open_model,
)
from sightline.cli.output import bar


def command(
    model: ModelArgument,
    data: CaptionsArgument,
    split: SplitOption = None,
    pictures: PicturesOption = None,
    precision: PrecisionOption = "float32",
    json: JsonFile = None,
    html: HtmlFile = None,
) -> None:
    """Loss, confidence, calibration and ranks over a range of scales; the scale whose loss is least.

    The loss is that of all pairs of the data at once, a caption to each picture, averaged over as many captions as
    every picture has; accuracy is how often the right one is first among these.

    \b
    Example:
      sightline eval temperature openai/clip-vit-base-patch32 dataset_coco.json --split test --html scales.html
    """
    check_files(json, html)

    from sightline.data import captions
    from sightline.evaluate import temperature
    from sightline.evaluate.media import quiet

    opened = captions(data, split=split, pictures=pictures)
    encoder = open_model(model, precision)
    with bar() as report:
        result = temperature(encoder, opened, report or quiet, settings={"split": split})
    finish(result, opened, json, html)
