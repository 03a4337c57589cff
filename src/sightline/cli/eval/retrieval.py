"""`sightline eval retrieval`: recall of images by their captions, and of captions by their images."""

from typing import TYPE_CHECKING

from sightline.cli.eval.common import Settings, on_captions
from sightline.progress import ProgressCallback

if TYPE_CHECKING:
    from sightline.data import Captions
    from sightline.encoder.encoder import Encoder
    from sightline.evaluate import Result


@on_captions
def command(encoder: "Encoder", dataset: "Captions", progress: ProgressCallback, settings: Settings) -> "Result":
    """Recall@1, 5, 10, median and mean rank, pictures by captions and captions by pictures.

    A picture or film with several captions is found by any of them. All pairs are scored, a tile at a time; by X-CLIP
    as the whole model scores them, since its texts read differently for each film.

    \b
    Examples:
      sightline eval retrieval openai/clip-vit-base-patch32 dataset_coco.json --split test --image-root coco/
      sightline eval retrieval mini shards/dev-{0000..0003}.tar --json dev.json
      sightline eval retrieval microsoft/xclip-base-patch32 msrvtt_test.csv --image-root videos/
    """
    from sightline.evaluate import retrieval

    return retrieval(encoder, dataset, progress, settings=settings)
