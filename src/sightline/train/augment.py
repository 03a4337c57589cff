"""Augmentation of images: random crops, mirroring, color jitter. The output has the size that the model takes."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from PIL.Image import Resampling

from sightline.errors import UsageError
from sightline.processing.image.color import to_rgb
from sightline.processing.image.profile import PixelProfile

_ASPECTS = (3 / 4, 4 / 3)
_TRIES = 10
_COLOR_CHANGES = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)


@dataclass(frozen=True)
class Augment:
    """Images at the model's size: exactly as `profile` prepares them, or varied at random.

    `crop`: smallest and largest fraction of the image's area in a random crop, whose aspect is between 3:4 and 4:3 and
    which is resized to the model's size (Szegedy et al., arXiv 1409.4842, section 6). `flip`: half of the images are
    mirrored; not for captions that tell left from right. `color_jitter`: brightness, contrast and saturation change
    each by a factor from 1 - color_jitter to 1 + color_jitter. Raises `UsageError`.
    """

    profile: PixelProfile
    crop: tuple[float, float] | None = None
    flip: bool = False
    color_jitter: float = 0.0

    def __post_init__(self) -> None:
        if self.crop is not None and not 0 < self.crop[0] <= self.crop[1] <= 1:
            raise UsageError(f"crop={self.crop}: the smallest and the largest fraction of an image's area, in 0..1")
        if not 0 <= self.color_jitter < 1:
            raise UsageError(f"color_jitter={self.color_jitter}: a fraction from 0 to below 1")
        if not self.profile.do_resize or (not self.profile.do_center_crop and isinstance(self.profile.size, int)):
            raise UsageError("this model's preprocessing leaves images of different sizes, which cannot be batched")

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the output."""
        size = self.profile.size
        return size if not self.profile.do_center_crop and not isinstance(size, int) else self.profile.crop_size

    @property
    def short_side(self) -> int | None:
        """The `short_side` for `open_image`, at which the smallest crop has the model's size; None: all pixels."""
        return None if self.crop is None else math.ceil(max(self.size) / math.sqrt(self.crop[0]))

    def __call__(self, frames: list[Image.Image], rng: np.random.Generator) -> NDArray[np.uint8]:
        """An image, or the frames of a video, all varied alike -> uint8 (frames, height, width, 3)."""
        box = None if self.crop is None else _random_box(frames[0].width, frames[0].height, self.crop, rng)
        mirrored = self.flip and rng.random() < 0.5
        factors = rng.uniform(1 - self.color_jitter, 1 + self.color_jitter, 3) if self.color_jitter else ()
        pixels = np.stack([self._frame(frame, box, factors) for frame in frames])
        return pixels[:, :, ::-1] if mirrored else pixels

    def _frame(
        self, frame: Image.Image, box: tuple[int, int, int, int] | None, factors: NDArray[np.float64] | tuple[()]
    ) -> NDArray[np.uint8]:
        if box is not None:
            height, width = self.size
            frame = to_rgb(frame).resize((width, height), Resampling(self.profile.resample), box=box)
        pixels = self.profile.resize_and_crop(frame) if box is None else np.asarray(frame)
        if len(factors):
            frame = Image.fromarray(pixels)
            for change, factor in zip(_COLOR_CHANGES, factors, strict=True):
                frame = change(frame).enhance(float(factor))
            pixels = np.asarray(frame)
        return pixels


def _random_box(
    width: int, height: int, crop: tuple[float, float], rng: np.random.Generator
) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of a random crop; if none of a few tries fits, the largest in the middle."""
    low, high = map(math.log, _ASPECTS)
    for _ in range(_TRIES):
        area, aspect = rng.uniform(*crop) * width * height, math.exp(rng.uniform(low, high))
        box_width, box_height = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < box_width <= width and 0 < box_height <= height:
            left, top = int(rng.integers(width - box_width + 1)), int(rng.integers(height - box_height + 1))
            return left, top, left + box_width, top + box_height
    box_width = min(width, max(1, round(height * _ASPECTS[1])))
    box_height = min(height, max(1, round(width / _ASPECTS[0])))
    left, top = (width - box_width) // 2, (height - box_height) // 2
    return left, top, left + box_width, top + box_height
