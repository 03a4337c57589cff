"""`sightline eval temperature`: what the scale of the logits changes, and what it cannot."""

from sightline.cli.eval.common import Evaluation, on_captions


@on_captions
def command() -> Evaluation:
    """Loss, calibration and ranks over a range of scales.

    Prints the scale of the least loss as well. The loss is that of all pairs of the data at once, with one caption for
    each image, averaged over as many captions as every image has. Accuracy is the share of captions whose image is
    ranked first.

    \b
    Example:
      sightline eval temperature openai/clip-vit-base-patch32 dataset_coco.json --split test --html scales.html
    """
    from sightline.evaluate import temperature

    return temperature
