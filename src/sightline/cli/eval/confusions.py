"""`sightline eval confusions`: the classes that a model takes for one another, and how confident it is."""

from sightline.cli.eval.common import Evaluation, on_classes


@on_classes
def command() -> Evaluation:
    """Confidence, calibration and confusions of classes.

    The model names the class of each image by words alone. --html shows images of the classes that are confused most.

    \b
    Example:
      sightline eval confusions mini photos-by-class/ --html confusions.html
    """
    from sightline.evaluate import confusions

    return confusions
