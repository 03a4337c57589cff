"""`sightline eval diagnosis`: the pictures that a model finds wrongly, and how confident it is of them."""

from typing import TYPE_CHECKING

from sightline.cli.eval.common import Settings, on_captions
from sightline.progress import ProgressCallback

if TYPE_CHECKING:
    from sightline.data import Captions
    from sightline.encoder.encoder import Encoder
    from sightline.evaluate import Result


@on_captions
def command(encoder: "Encoder", dataset: "Captions", progress: ProgressCallback, settings: Settings) -> "Result":
    """Confidence, calibration and worst mistakes on captions.

    How often a caption retrieves its image, and how confident the model is of it. --html shows the worst mistakes.

    \b
    Example:
      sightline eval diagnosis openai/clip-vit-base-patch32 captions.csv --html diagnosis.html
    """
    from sightline.evaluate import diagnosis

    return diagnosis(encoder, dataset, progress, settings=settings)
