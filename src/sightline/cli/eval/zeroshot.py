"""`sightline eval zeroshot`: images classified by the names of their classes."""

from sightline.cli.eval.common import Evaluation, on_classes


@on_classes
def command() -> Evaluation:
    """Accuracy of naming the class of images, by words alone.

    Prints top-1 and top-5, over all images and for each class. A class is the mean of its templates' vectors, as for
    CLIP.

    \b
    Examples:
      sightline eval zeroshot mini photos-by-class/
      sightline eval zeroshot openai/clip-vit-base-patch32 imagenet/val --classes classes.json#imagenet1k
      sightline eval zeroshot mini pets.csv --template "a photo of a {}, a type of pet." --json pets.json
    """
    from sightline.evaluate import zeroshot

    return zeroshot
