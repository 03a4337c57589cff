"""`sightline eval temperature`: what the scale of the logits changes, and what it cannot."""

from sightline.cli.eval.common import (
    CaptionsArgument,
    HtmlFile,
    ImageRootOption,
    JsonFile,
    ModelArgument,
    PrecisionOption,
    SplitOption,
    on_captions,
)


def command(
    model: ModelArgument,
    data: CaptionsArgument,
    split: SplitOption = None,
    image_root: ImageRootOption = None,
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
    on_captions("temperature", model, data, split, image_root, precision, json, html)
