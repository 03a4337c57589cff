"""`sightline eval video`: films told apart by the names of their classes."""

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
    """Top-1 and top-5 accuracy of films, by words alone, and the accuracy of each class.

    X-CLIP sees as many frames as its checkpoint says, a model for pictures the mean of eight. (For captions of films
    there is `eval retrieval`.)

    \b
    Examples:
      sightline eval video microsoft/xclip-base-patch32 kinetics/val --classes kinetics_400_labels.csv
      sightline eval video mini-xclip films.csv --json films.json
    """
    from sightline.evaluate import video

    return video(encoder, dataset, classes, templates, progress, settings=settings)
