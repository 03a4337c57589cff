"""`sightline eval confusions`: the classes that a model takes for one another, and how confident it is."""

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
    """Confidence, calibration and confusions of classes.

    Of images whose class is named by words alone. --html shows images of the classes that are confused most.

    \b
    Example:
      sightline eval confusions mini photos-by-class/ --html confusions.html
    """
    from sightline.evaluate import confusions

    return confusions(encoder, dataset, classes, templates, progress, settings=settings)
