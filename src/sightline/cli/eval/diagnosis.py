"""`sightline eval diagnosis`: the pictures that a model finds wrongly, and how confident it is of them."""

from sightline.cli.eval.common import Evaluation, on_captions


@on_captions
def command() -> Evaluation:
    """Confidence, calibration and worst mistakes on captions.

    Prints how often a caption retrieves its image, and how confident the model is of it. --html shows the worst
    mistakes.

    \b
    Example:
      sightline eval diagnosis openai/clip-vit-base-patch32 captions.csv --html diagnosis.html
    """
    from sightline.evaluate import diagnosis

    return diagnosis
