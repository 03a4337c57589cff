"""`sightline eval diagnosis`: what a model gets wrong, and how sure it is of that."""

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
    """Accuracy, confidence and calibration of finding pictures by captions; with --html the worst confusions.

    \b
    Example:
      sightline eval diagnosis openai/clip-vit-base-patch32 captions.csv --html diagnosis.html
    """
    on_captions("diagnosis", model, data, split, image_root, precision, json, html)
