"""Pictures and their layout, under the names by which scripts import them from the reference's `image_utils`."""

from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.Image import Resampling as PILImageResampling

from sightline.errors import UsageError, WrongType
from sightline.models.sizes import SizeDict
from sightline.processing.image.preprocessor_config import CLIP_MEAN, CLIP_STD
from sightline.processing.image.reading import load_image
from sightline.processing.image.sources import ImageSource, is_pixels, pixel_array

OPENAI_CLIP_MEAN, OPENAI_CLIP_STD = list(CLIP_MEAN), list(CLIP_STD)
IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
IMAGENET_STANDARD_MEAN, IMAGENET_STANDARD_STD = [0.5, 0.5, 0.5], [0.5, 0.5, 0.5]
ImageInput = Image.Image | NDArray[Any] | list[Image.Image] | list[NDArray[Any]]

__all__ = [
    "IMAGENET_DEFAULT_MEAN",
    "IMAGENET_DEFAULT_STD",
    "IMAGENET_STANDARD_MEAN",
    "IMAGENET_STANDARD_STD",
    "OPENAI_CLIP_MEAN",
    "OPENAI_CLIP_STD",
    "ChannelDimension",
    "ImageInput",
    "PILImageResampling",
    "SizeDict",
    "get_image_size",
    "infer_channel_dimension_format",
    "is_batched",
    "is_pil_image",
    "is_scaled_image",
    "is_valid_image",
    "load_image",
    "load_images",
    "make_flat_list_of_images",
    "make_list_of_images",
    "to_numpy_array",
    "valid_images",
]


class ChannelDimension(StrEnum):
    """Where an array has its channels."""

    FIRST = "channels_first"
    LAST = "channels_last"


def load_images(images: ImageSource | list[Any] | tuple[Any, ...], timeout: float | None = None) -> Any:
    """`load_image` of one, or of each in a list or a list of lists."""
    if isinstance(images, list | tuple):
        return [load_images(image, timeout) for image in images]
    return load_image(images, timeout)


def is_pil_image(img: object) -> bool:
    """Whether it is an open PIL picture."""
    return isinstance(img, Image.Image)


def is_valid_image(img: object) -> bool:
    """Whether it is an open picture, an array or a tensor."""
    return is_pil_image(img) or is_pixels(img)


def valid_images(imgs: object) -> bool:
    """Whether it is a picture, or lists of pictures alone."""
    return all(map(valid_images, imgs)) if isinstance(imgs, list | tuple) else is_valid_image(imgs)


def is_batched(img: Any) -> bool:
    """Whether it is a list that starts with a picture."""
    return isinstance(img, list | tuple) and is_valid_image(img[0])


def is_scaled_image(image: NDArray[Any]) -> bool:
    """Whether values lie between 0 and 1, and are no bytes."""
    return image.dtype != np.uint8 and bool(np.min(image) >= 0 and np.max(image) <= 1)


def make_list_of_images(images: Any, expected_ndims: int = 3) -> list[Any]:
    """A picture, a list of pictures or a batch in an array as a list. Raises UsageError."""
    if is_batched(images):
        return images  # type: ignore[no-any-return]
    if is_pil_image(images):
        return [images]
    if is_pixels(images) and images.ndim in (expected_ndims, expected_ndims + 1):
        return [images] if images.ndim == expected_ndims else list(images)
    raise WrongType(f"a picture, a list of pictures or an array of 3 or 4 dimensions, not {type(images).__name__}")


def make_flat_list_of_images(images: Any, expected_ndims: int = 3) -> list[Any]:
    """As `make_list_of_images`, of lists of lists and of lists of batches too. Raises UsageError."""
    if not isinstance(images, list | tuple):
        return make_list_of_images(images, expected_ndims)
    return [one for part in images for one in make_flat_list_of_images(part, expected_ndims)]


def to_numpy_array(img: Any) -> NDArray[Any]:
    """A picture's or a tensor's values as they are. Raises UsageError."""
    if not is_valid_image(img):
        raise WrongType(f"a picture, an array or a tensor, not {type(img).__name__}")
    return np.array(img) if is_pil_image(img) else pixel_array(img)


def infer_channel_dimension_format(image: Any, num_channels: int | tuple[int, ...] | None = None) -> ChannelDimension:
    """Where an array of 3 to 5 dimensions has its channels, of which there are `num_channels`, by default 1 or 3; first
    where both ends may be it. Raises UsageError."""
    counts = (1, 3) if num_channels is None else np.atleast_1d(num_channels).tolist()
    if image.ndim not in (3, 4, 5):
        raise UsageError(f"an array of shape {tuple(image.shape)} is no image: 3 to 5 dimensions are")
    for axis, place in ((-3, ChannelDimension.FIRST), (-1, ChannelDimension.LAST)):
        if image.shape[axis] in counts:
            return place
    raise UsageError(f"an array of shape {tuple(image.shape)} has no axis of {' or '.join(map(str, counts))} channels")


def get_image_size(image: Any, channel_dim: ChannelDimension | str | None = None) -> tuple[int, int]:
    """(height, width) of an array or a tensor; of an open PIL picture its `size`, (width, height), as the reference."""
    if isinstance(image, Image.Image):
        return image.size
    place = ChannelDimension(channel_dim or infer_channel_dimension_format(image))
    height, width = image.shape[-2:] if place is ChannelDimension.FIRST else image.shape[-3:-1]
    return height, width
