"""`sightline eval video`: videos classified by the names of their classes."""

from sightline.cli.eval.common import Evaluation, on_classes


@on_classes
def command() -> Evaluation:
    """Accuracy of naming the class of videos, by words alone.

    Prints top-1 and top-5, over all videos and for each class. X-CLIP sees as many frames as its checkpoint says, an
    image model the mean of eight. `eval retrieval` evaluates captions of videos.

    \b
    Examples:
      sightline eval video microsoft/xclip-base-patch32 kinetics/val --classes kinetics_400_labels.csv
      sightline eval video mini-xclip videos.csv --json videos.json
    """
    from sightline.evaluate import video

    return video
