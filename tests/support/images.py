"""Small images of random colors, open, on disk and as bytes."""

import io

import numpy as np
from PIL import Image

COLORS = "red", "orange", "yellow", "lime", "blue", "purple", "white"


def image(seed, size=(48, 32)):
    """An image of 4 x 3 random colors, others for each seed; black for None."""
    if seed is None:
        return Image.new("RGB", size)
    colors = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    return Image.fromarray(colors).resize(size, Image.Resampling.NEAREST)


def draw(path, seed, size=(48, 32), **options):
    """Saves `image(seed)`; `options` are those of `Image.save`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image(seed, size).save(path, **options)
    return path


def as_bytes(picture, kind="PNG"):
    """The bytes of the image's file."""
    out = io.BytesIO()
    picture.save(out, kind)
    return out.getvalue()
