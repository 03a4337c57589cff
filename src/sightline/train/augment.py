"""Pictures as they are, or varied: a random part, mirrored, in other colors. Of the size that the model takes."""

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
_CHANGES = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)


@dataclass(frozen=True)
class Augment:
    """How pictures are brought to the model's size, `profile`'s: exactly as there, unless something else is asked for.

    `crop`: the least and the largest share of the picture's area in a random part of it, with an aspect between 3:4 and
    4:3, resized to the model's size (Szegedy et al., arXiv 1409.4842, section 6). `flip`: every second one mirrored;
    not for captions that tell left from right. `color`: brightness, contrast and saturation change by up to this
    share. Raises `UsageError`.
    """

    profile: PixelProfile
    crop: tuple[float, float] | None = None
    flip: bool = False
    color: float = 0.0

    def __post_init__(self) -> None:
        if self.crop is not None and not 0 < self.crop[0] <= self.crop[1] <= 1:
            raise UsageError(f"crop={self.crop}: the least and the largest share of a picture's area, in 0..1")
        if not 0 <= self.color < 1:
            raise UsageError(f"color={self.color}: a share of brightness, contrast and saturation, from 0 to below 1")
        if not self.profile.do_resize or (not self.profile.do_center_crop and isinstance(self.profile.size, int)):
            raise UsageError("this model's preprocessing leaves pictures of different sizes, which make no batch")

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of what comes out."""
        size = self.profile.size
        return size if not self.profile.do_center_crop and not isinstance(size, int) else self.profile.crop_size

    @property
    def short_side(self) -> int | None:
        """What `open_image` is to decode for: all, or for parts so much that the least of them has the model's size."""
        return None if self.crop is None else math.ceil(max(self.size) / math.sqrt(self.crop[0]))

    def __call__(self, frames: list[Image.Image], rng: np.random.Generator) -> NDArray[np.uint8]:
        """The frames of one film, or one picture, all varied alike -> uint8 (frames, height, width, 3)."""
        part = None if self.crop is None else _part(frames[0].width, frames[0].height, self.crop, rng)
        mirrored = self.flip and rng.random() < 0.5
        factors = rng.uniform(1 - self.color, 1 + self.color, 3) if self.color else ()
        pixels = np.stack([self._one(frame, part, factors) for frame in frames])
        return pixels[:, :, ::-1] if mirrored else pixels

    def _one(
        self, frame: Image.Image, part: tuple[int, int, int, int] | None, factors: NDArray[np.float64] | tuple[()]
    ) -> NDArray[np.uint8]:
        if part is not None:
            height, width = self.size
            frame = to_rgb(frame).resize((width, height), Resampling(self.profile.resample), box=part)
        pixels = self.profile.resize_and_crop(frame) if part is None else np.asarray(frame)
        if len(factors):
            frame = Image.fromarray(pixels)
            for change, factor in zip(_CHANGES, factors, strict=True):
                frame = change(frame).enhance(float(factor))
            pixels = np.asarray(frame)
        return pixels


def _part(width: int, height: int, crop: tuple[float, float], rng: np.random.Generator) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of a random part; if none of a few fits, the largest in the middle."""
    low, high = map(math.log, _ASPECTS)
    for _ in range(_TRIES):
        area, aspect = rng.uniform(*crop) * width * height, math.exp(rng.uniform(low, high))
        wide, high_ = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < wide <= width and 0 < high_ <= height:
            left, top = int(rng.integers(width - wide + 1)), int(rng.integers(height - high_ + 1))
            return left, top, left + wide, top + high_
    wide, high_ = min(width, max(1, round(height * _ASPECTS[1]))), min(height, max(1, round(width / _ASPECTS[0])))
    left, top = (width - wide) // 2, (height - high_) // 2
    return left, top, left + wide, top + high_
