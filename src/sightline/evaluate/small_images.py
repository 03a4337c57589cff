"""Images that a report shows: small JPEGs that a result holds as text."""

from base64 import b64encode
from collections.abc import Iterable

from sightline.data import Item
from sightline.errors import SightlineError
from sightline.processing.image.reading import open_image
from sightline.processing.image.thumbnail import thumbnail
from sightline.processing.video.sampling import sample_frames

SIDE = 160  # pixels of the longer side


def small_images(items: Iterable[Item]) -> dict[str, str]:
    """Small JPEGs by the samples' keys, as base64 text; of a video its middle frame. Unreadable ones are left out."""
    images: dict[str, str] = {}
    for item in items:
        try:
            content = item.content()
            (image,) = sample_frames(content, 1) if item.is_video else [open_image(content, short_side=SIDE)]
        except (SightlineError, OSError):
            continue
        images[item.key] = b64encode(thumbnail(image.convert("RGB"), SIDE, 82)).decode("ascii")
    return images
