"""From an RGB picture to a model's pixel values, as the checkpoint's files say."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.Image import Resampling

from sightline.errors import ImageError
from sightline.processing.image import preprocessor_config
from sightline.processing.image.color import to_rgb
from sightline.processing.image.formats import MAX_PIXELS
from sightline.processing.image.resample import KERNELS, resize_window

_WINDOW_ABOVE = 1 << 24
"""Pixels of an enlarged picture above which only what the center crop keeps is computed."""


@dataclass(frozen=True, kw_only=True)
class PixelProfile:
    """What happens to a picture's pixels: resize, center crop, rescale, normalize. Names as in the checkpoint's file.

    `kind` is the reference's image processor class, without "ImageProcessor". `size` is the short side or (height,
    width); `crop_size` is (height, width), larger than the picture means black borders. Values are
    x * rescale_factor (- 1 with `rescale_offset`), then (x - mean) / std, then, with `include_top`, / std once more
    (EfficientNet's classifier only).
    """

    kind: str
    size: int | tuple[int, int]
    crop_size: tuple[int, int]
    resample: int
    image_mean: tuple[float, ...]
    image_std: tuple[float, ...]
    do_resize: bool = True
    do_center_crop: bool = True
    do_rescale: bool = True
    rescale_factor: float = 1 / 255
    rescale_offset: bool = False
    do_normalize: bool = True
    include_top: bool = False

    @classmethod
    def from_folder(cls, folder: Path) -> Self:
        """Reads `processor_config.json`, `preprocessor_config.json` or open_clip's file. Raises CheckpointError."""
        return cls(**preprocessor_config.read_folder(folder))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Reads the contents of `preprocessor_config.json`, of any age. Raises CheckpointError."""
        return cls(**preprocessor_config.read_settings(data))

    def to_dict(self) -> dict[str, Any]:
        """The contents of `preprocessor_config.json`: `from_dict` and `transformers` read it."""
        height, width = self.crop_size
        data = asdict(self) | {"crop_size": {"height": height, "width": width}, "do_convert_rgb": True}
        data["size"] = (
            {"shortest_edge": self.size}
            if isinstance(self.size, int)
            else {"height": self.size[0], "width": self.size[1]}
        )
        data["image_mean"], data["image_std"] = list(self.image_mean), list(self.image_std)
        data["image_processor_type"] = f"{data.pop('kind')}ImageProcessor"
        if self.kind != "EfficientNet":
            del data["rescale_offset"], data["include_top"]
        return data

    @property
    def size_hint(self) -> int:
        """The side in pixels that a picture's short side is resized to, or a bound on it; huge without a resize."""
        if not self.do_resize:
            return 1 << 30
        return self.size if isinstance(self.size, int) else max(self.size)

    def resized_size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) after a resize. The long side is cut, not rounded, to whole pixels."""
        if not isinstance(self.size, int):
            return self.size
        # By the quotient in floating point, as the reference has it: 3 * 224 / 3 must not become 223.
        long = int(self.size * max(height, width) / min(height, width))
        return (long, self.size) if width <= height else (self.size, long)

    @property
    def output_size(self) -> tuple[int, int] | None:
        """(height, width) of what `resize_and_crop` gives; None where it depends on the picture's shape."""
        if self.do_center_crop:
            return self.crop_size
        return self.size if self.do_resize and isinstance(self.size, tuple) else None

    @property
    def value_range(self) -> tuple[float, float]:
        """The least and the greatest value that a picture can get."""
        return float(self.byte_values.min()), float(self.byte_values.max())

    def visible_box(self, height: int, width: int) -> tuple[float, float, float, float]:
        """The part of a picture that `resize_and_crop` keeps: (left, top, right, bottom) in the picture's pixels.

        With black borders the box reaches beyond the picture.
        """
        rows, columns = self.resized_size(height, width) if self.do_resize else (height, width)
        crop_height, crop_width = self.crop_size if self.do_center_crop else (rows, columns)
        top, left = (rows - crop_height) // 2, (columns - crop_width) // 2
        x, y = width / columns, height / rows
        return left * x, top * y, (left + crop_width) * x, (top + crop_height) * y

    def resize_and_crop(self, image: Image.Image) -> NDArray[np.uint8]:
        """A picture of any size -> uint8 (height, width, 3). Raises ImageError where the resized picture would be too
        large for memory."""
        picture = to_rgb(image)
        if not self.do_resize:
            return self.center_crop(np.asarray(picture))
        height, width = size = self.resized_size(picture.height, picture.width)
        enlarged = isinstance(self.size, int) and self.size > min(picture.size)
        if enlarged and height * width > _WINDOW_ABOVE and self.do_center_crop and self.resample in KERNELS:
            crop_height, crop_width = min(self.crop_size[0], height), min(self.crop_size[1], width)
            window = ((height - crop_height) // 2, (width - crop_width) // 2, crop_height, crop_width)
            return self.center_crop(resize_window(picture, size, window, self.resample))
        if height * width > MAX_PIXELS:
            raise ImageError(f"an image of {image.width} x {image.height}", f"too narrow: would be {width} x {height}")
        return self.center_crop(np.asarray(picture.resize((width, height), Resampling(self.resample))))

    def center_crop(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """(height, width, 3) -> the middle of it, (*crop_size, 3), with black borders where the pixels don't reach."""
        if not self.do_center_crop:
            return pixels
        height, width = self.crop_size
        top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
        inside = pixels[max(top, 0) : max(top, 0) + height, max(left, 0) : max(left, 0) + width]
        if inside.shape[:2] == self.crop_size:
            return inside
        out = np.zeros((height, width, 3), pixels.dtype)
        y, x = max(-top, 0), max(-left, 0)
        out[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
        return out

    def normalize(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """(n, height, width, 3) -> float32 (n, 3, height, width): uint8 by a table, other dtypes by the formula."""
        out = np.empty((pixels.shape[0], 3, *pixels.shape[1:3]), np.float32)
        if pixels.dtype == np.uint8:
            for channel in range(3):
                np.take(self.byte_values[channel], pixels[..., channel], out=out[:, channel], mode="clip")
        else:
            out[:] = np.moveaxis(self._values(pixels), -1, 1)
        return out

    @cached_property
    def byte_values(self) -> NDArray[np.float32]:
        """(3, 256): the pixel value of each byte in each channel."""
        levels = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
        return np.ascontiguousarray(self._values(levels).T)

    def _values(self, levels: NDArray[Any]) -> NDArray[np.float32]:
        # In float64 up to the rescaled value, in float32 from there on: the reference's roundings.
        factor = self.rescale_factor if self.do_rescale else 1.0
        values: NDArray[np.float32] = (levels.astype(np.float64) * factor).astype(np.float32)
        if self.do_rescale and self.rescale_offset:
            values -= np.float32(1)
        mean, std = np.array(self.image_mean, np.float32), np.array(self.image_std, np.float32)
        if self.do_normalize:
            values = (values - mean) / std
        if self.include_top:
            values = values / std
        return values
