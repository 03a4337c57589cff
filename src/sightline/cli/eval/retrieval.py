"""`sightline eval retrieval`: recall of pictures by their captions, and of captions by their pictures."""

from sightline.cli.eval.common import (
    CaptionsArgument,
    HtmlFile,
    ImageRootOption,
    JsonFile,
    ModelArgument,
    PrecisionOption,
    SplitOption,
    on_captions,
)


def command(
    model: ModelArgument,
    data: CaptionsArgument,
    split: SplitOption = None,
    image_root: ImageRootOption = None,
    precision: PrecisionOption = "float32",
    json: JsonFile = None,
    html: HtmlFile = None,
) -> None:
    """Recall@1, 5, 10, median and mean rank, pictures by captions and captions by pictures.

    A picture or film with several captions is found by any of them. All pairs are scored, a tile at a time; by X-CLIP
    as the whole model scores them, since its texts read differently for each film.

    \b
    Examples:
      sightline eval retrieval openai/clip-vit-base-patch32 dataset_coco.json --split test --image-root coco/
      sightline eval retrieval mini shards/dev-{0000..0003}.tar --json dev.json
      sightline eval retrieval microsoft/xclip-base-patch32 msrvtt_test.csv --image-root videos/
    """
    on_captions("retrieval", model, data, split, image_root, precision, json, html)
