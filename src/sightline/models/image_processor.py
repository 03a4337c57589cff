"""Images to a model's inputs, called as `transformers` calls its image processors."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.Image import Resampling

from sightline.errors import ImageError, SightlineError
from sightline.models.features import BatchFeature
from sightline.models.image_options import ImageOptions
from sightline.models.image_settings import ImageSettings
from sightline.models.pictures import pixels_of, single_pictures
from sightline.processing.image.profile import PixelProfile
from sightline.processing.image.reading import load_image
from sightline.processing.image.sources import is_pixels


class ImageProcessor(ImageSettings):
    """A pixel profile as a function. The base of the classes in `image_processors`."""

    takes_videos: ClassVar[bool] = False
    """Whether an input is a video, a list of frames, or a single image."""
    model_input_names: ClassVar[list[str]] = ["pixel_values"]
    num_frames: int | None = 1
    """Frames of an input; None where the checkpoint's files don't say it."""

    def fetch_images(self, image_url_or_urls: Any) -> Any:
        """Paths and addresses, in lists too, as pictures; pictures and arrays as they are. Raises ImageError."""
        if isinstance(image_url_or_urls, list | tuple):
            return [self.fetch_images(image) for image in image_url_or_urls]
        is_open = isinstance(image_url_or_urls, Image.Image) or is_pixels(image_url_or_urls)
        return image_url_or_urls if is_open else load_image(image_url_or_urls)

    def __call__(self, images: Any, **changes: Any) -> BatchFeature:
        """Pictures to `pixel_values`: a list of float32 (3, height, width), or one (n, 3, height, width).

        `images`: a PIL picture, an array or a tensor (channels first or last, 0..255 or 0.0..1.0), a path, an
        address, a file's bytes, an open file, or a list of these. EXIF orientation is not looked at in pictures that
        are already open (`load_image` does that). `changes` replace settings for this call: `return_tensors="pt"`, or
        `do_rescale=False` for arrays in 0.0..1.0, say, which the reference divides by 255 all the same. Raises
        ImageError, UsageError.
        """
        profile, options = self._changed(changes)
        values = options.padded(self._values(images, profile, options))
        return options.feature([options.laid_out(value) for value in values], "images of different sizes")

    def preprocess(self, images: Any, **changes: Any) -> BatchFeature:
        """The call by the reference's name."""
        return self(images, **changes)

    def resize(self, image: Any, size: Any, resample: int = Resampling.BILINEAR) -> NDArray[Any]:
        """A picture or an array as an array of another size, (3, height, width), of the same values and dtype."""
        return self._step(image, do_resize=True, size=size, resample=resample)

    def center_crop(self, image: Any, size: Any) -> NDArray[Any]:
        """The middle of a picture or an array, (3, height, width); black where `size` reaches beyond it."""
        return self._step(image, do_center_crop=True, crop_size=size)

    def rescale(self, image: Any, scale: float) -> NDArray[Any]:
        """A picture's or an array's values times `scale`, float32 (3, height, width)."""
        return self._step(image, do_rescale=True, rescale_factor=scale)

    def normalize(self, image: Any, mean: Any, std: Any) -> NDArray[Any]:
        """A picture's or an array's values less `mean`, divided by `std`, float32 (3, height, width)."""
        return self._step(image, do_normalize=True, image_mean=mean, image_std=std)

    def _step(self, image: Any, **changes: Any) -> NDArray[Any]:
        """One step of a call, without the others."""
        switches = {name: False for name, value in self._settings.items() if isinstance(value, bool)}
        return self._values([image], *self._changed(switches | changes))[0]

    def _values(self, images: Any, profile: PixelProfile, options: ImageOptions) -> list[NDArray[Any]]:
        """Each picture's values, (3, height, width): float32, or as they are where nothing changes them. Raises
        ImageError, UsageError."""
        values: list[NDArray[Any]] = []
        changes = profile.do_rescale or profile.do_normalize or profile.include_top
        for number, picture in enumerate(single_pictures(images)):
            try:
                pixels = pixels_of(options.read(picture), profile)
                values.append(profile.normalize(pixels[None])[0] if changes else np.moveaxis(pixels, -1, 0).copy())
            except SightlineError:
                raise
            except (OSError, ValueError, SyntaxError) as error:
                raise ImageError(f"image {number}", str(error)) from error
        return values
