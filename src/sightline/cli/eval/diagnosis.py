"""`sightline eval diagnosis`: what a model gets wrong, and how sure it is of that."""

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
    """Accuracy, confidence and calibration of finding pictures by captions; with --html the worst confusions.

    \b
    Example:
      sightline eval diagnosis openai/clip-vit-base-patch32 captions.csv --html diagnosis.html
    """
    check_files(json, html)

    from sightline.data import captions
    from sightline.evaluate import diagnosis
    from sightline.evaluate.media import quiet

    opened = captions(data, split=split, pictures=pictures)
    encoder = open_model(model, precision)
    with bar() as report:
        result = diagnosis(encoder, opened, report or quiet, settings={"split": split})
    finish(result, opened, json, html)
