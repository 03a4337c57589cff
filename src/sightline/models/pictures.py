"""Whatever an image processor is given as single pictures, and their pixels."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightline.errors import WrongType
from sightline.processing.image.color import array_to_rgb, array_to_uint8
from sightline.processing.image.profile import PixelProfile
from sightline.processing.image.reading import load_image
from sightline.processing.image.sources import is_image_source, is_pixels, pixel_array


def single_pictures(images: Any) -> Iterator[Any]:
    """One picture, a list of them or a batch in an array, as single pictures: PIL or arrays. Raises WrongType."""
    if is_pixels(images):
        images = pixel_array(images)
    if isinstance(images, (list, tuple)) or (isinstance(images, np.ndarray) and images.ndim == 4):
        for image in images:
            yield from single_pictures(image)
    elif isinstance(images, (Image.Image, np.ndarray)):
        yield images
    elif is_image_source(images):
        yield load_image(images)
    else:
        raise WrongType(f"images are PIL images, arrays, tensors, paths or open files, not {type(images).__name__}")


def pixels_of(picture: Image.Image | NDArray[Any], profile: PixelProfile) -> NDArray[Any]:
    """Resized and cropped, (height, width, 3). Fractions come back as fractions, of whole 255ths once resized."""
    if isinstance(picture, Image.Image):
        return profile.resize_and_crop(picture)
    rgb = array_to_rgb(picture)
    if not profile.do_resize:
        return profile.center_crop(rgb)
    levels, fractions = array_to_uint8(rgb)
    pixels = profile.resize_and_crop(Image.fromarray(levels))
    return (pixels * (1 / 255)).astype(np.float32) if fractions else pixels
