"""Images to a model's inputs, called as `transformers` calls its image processors."""

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightline.errors import ImageError, UsageError
from sightline.models.features import BatchFeature, tensors
from sightline.processing.image.color import array_to_rgb, array_to_uint8
from sightline.processing.image.profile import PixelProfile
from sightline.processing.image.reading import load_image
from sightline.processing.image.sources import is_image_source, is_pixels, pixel_array


class ImageProcessor:
    """A pixel profile as a function. The profile's settings are its attributes, named as in the checkpoint's file."""

    takes_videos: ClassVar[bool] = False
    """Whether an input is a video, a list of frames, or a single image."""
    num_frames: int | None = 1
    """Frames of an input; None where the checkpoint's files don't say it."""

    def __init__(self, profile: PixelProfile) -> None:
        self.profile = profile

    def __getattr__(self, name: str) -> Any:
        settings = self.to_dict() if name != "profile" else {}  # "profile" is missing while being unpickled
        if name not in settings:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        return settings[name]

    def to_dict(self) -> dict[str, Any]:
        """The settings as a checkpoint's file holds them."""
        return self.profile.to_dict()

    def __call__(self, images: Any, *, return_tensors: str | None = None, **changes: Any) -> BatchFeature:
        """Pictures to `pixel_values`: a list of float32 (3, height, width), or one (n, 3, height, width).

        `images`: a PIL picture, an array or a tensor (channels first or last, 0..255 or 0.0..1.0), a path, an
        address, a file's bytes, an open file, or a list of these. EXIF orientation is not looked at in pictures that
        are already open (`load_image` does that). `changes` replace settings for this call: `do_rescale=False` for
        arrays in 0.0..1.0, say, which the reference divides by 255 all the same. Raises ImageError, UsageError.
        """
        settings = self.profile.to_dict()
        if unknown := changes.keys() - settings:
            raise UsageError(f"{', '.join(sorted(unknown))}: no such setting; there is {', '.join(settings)}")
        profile = PixelProfile.from_dict(settings | changes) if changes else self.profile
        values = []
        for number, picture in enumerate(_flat(images)):
            try:
                values.append(profile.normalize(_pixels(picture, profile)[None])[0])
            except (OSError, ValueError, SyntaxError) as error:
                raise ImageError(f"image {number}", str(error)) from error
        if not return_tensors:
            return BatchFeature(pixel_values=values)
        if len({value.shape for value in values}) != 1:
            raise UsageError("images of different sizes (or none) make no tensor; leave do_center_crop on")
        return tensors({"pixel_values": np.stack(values)}, return_tensors)

    preprocess = __call__


def _flat(images: Any) -> Iterator[Any]:
    """One picture, a list of them or a batch in an array, as single pictures: PIL or arrays."""
    if is_pixels(images):
        images = pixel_array(images)
    if isinstance(images, (list, tuple)) or (isinstance(images, np.ndarray) and images.ndim == 4):
        for image in images:
            yield from _flat(image)
    elif isinstance(images, (Image.Image, np.ndarray)):
        yield images
    elif is_image_source(images):
        yield load_image(images)
    else:
        raise UsageError(f"images are PIL images, arrays, tensors, paths or open files, not {type(images).__name__}")


def _pixels(picture: Image.Image | NDArray[Any], profile: PixelProfile) -> NDArray[Any]:
    """Resized and cropped, (height, width, 3). Fractions come back as fractions, of whole 255ths once resized."""
    if isinstance(picture, Image.Image):
        return profile.resize_and_crop(picture)
    rgb = array_to_rgb(picture)
    if not profile.do_resize:
        return profile.center_crop(rgb)
    levels, fractions = array_to_uint8(rgb)
    pixels = profile.resize_and_crop(Image.fromarray(levels))
    return (pixels * (1 / 255)).astype(np.float32) if fractions else pixels
