"""`sightline eval video`: videos classified by the names of their classes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sightline.cli.eval.common import Settings, on_classes
from sightline.progress import ProgressCallback

if TYPE_CHECKING:
    from sightline.data import Labelled
    from sightline.data.classes import Classes
    from sightline.encoder.encoder import Encoder
    from sightline.evaluate import Result


@on_classes
def command(
    encoder: "Encoder",
    dataset: "Labelled",
    classes: "Classes | None",
    templates: Sequence[str],
    progress: ProgressCallback,
    settings: Settings,
) -> "Result":
    """Accuracy of naming the class of videos, by words alone.

    Top-1 and top-5, over all videos and for each class. X-CLIP sees as many frames as its checkpoint says, an image
    model the mean of eight. `eval retrieval` evaluates captions of videos.

    \b
    Examples:
      sightline eval video microsoft/xclip-base-patch32 kinetics/val --classes kinetics_400_labels.csv
      sightline eval video mini-xclip films.csv --json films.json
    """
    from sightline.evaluate import video

    return video(encoder, dataset, classes, templates, progress, settings=settings)
