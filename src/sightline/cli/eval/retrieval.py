"""`sightline eval retrieval`: recall of images by their captions, and of captions by their images."""

from sightline.cli.eval.common import Evaluation, on_captions


@on_captions
def command() -> Evaluation:
    """Recall of images by captions, and of captions by images.

    Prints recall@1, 5 and 10, median and mean rank, in both directions. An image or video with several captions may be
    retrieved by any of them. All pairs are scored. X-CLIP scores them with the whole model, because its texts depend on
    the video.

    \b
    Examples:
      sightline eval retrieval openai/clip-vit-base-patch32 dataset_coco.json --split test --image-root coco/
      sightline eval retrieval mini shards/dev-{0000..0003}.tar --json dev.json
      sightline eval retrieval microsoft/xclip-base-patch32 msrvtt_test.csv --image-root videos/
    """
    from sightline.evaluate import retrieval

    return retrieval
