"""From an RGB picture to a model's pixel values, as the checkpoint's own files say."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.Image import Resampling

from sightline.errors import CheckpointError, ImageError
from sightline.files import read_checkpoint_json
from sightline.processing.image.color import flatten
from sightline.processing.image.reading import MAX_PIXELS
from sightline.processing.image.resample import KERNELS, resize_window
from sightline.processing.image.settings import READERS, Unfit, mapping, square, switch

CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_HALF = (0.5, 0.5, 0.5)

# What a file leaves out is as the reference's class of that name has it. `size` may be a plain number: the short side,
# or both sides where the class squashes.
_KINDS: dict[str, dict[str, Any]] = {
    "CLIP": {"size": 224, "crop_size": 224, "resample": 3, "image_mean": CLIP_MEAN, "image_std": CLIP_STD},
    "VideoMAE": {"size": 224, "crop_size": 224, "resample": 2, "image_mean": _HALF, "image_std": _HALF},
    "EfficientNet": {
        "size": [346, 346],
        "crop_size": 289,
        "resample": 3,
        "image_mean": _HALF,
        "image_std": _HALF,
        "do_center_crop": False,
        "include_top": True,
    },
}
_SQUASHING = {"EfficientNet"}
_WINDOW_ABOVE = 1 << 24
"""Pixels of an enlarged picture above which only what the centre crop keeps is computed."""


@dataclass(frozen=True, kw_only=True)
class PixelProfile:
    """What happens to a picture's pixels: resize, centre crop, rescale, normalize. Names as in the checkpoint's file.

    `size` is the short side or (height, width); `crop_size` is (height, width), larger than the picture means black
    borders. Values are x * rescale_factor (- 1 with `rescale_offset`), then (x - mean) / std, then, with
    `include_top`, / std once more (EfficientNet's classifier only).
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
        nested, plain, other = (
            folder / f"{name}.json" for name in ("processor_config", "preprocessor_config", "open_clip_config")
        )
        path, data = nested, None
        try:
            if nested.is_file():
                data = mapping("image_processor", read_checkpoint_json(nested).get("image_processor")) or None
            path = nested if data else plain
            if data is None and other.is_file() and not plain.is_file():
                path, data = other, _from_open_clip(read_checkpoint_json(other))
            if data is None and not plain.is_file():
                raise CheckpointError(
                    f"{folder}: no preprocessor_config.json (or processor_config.json) in it; save the model's "
                    "processor there too"
                )
            return cls.from_dict(read_checkpoint_json(plain) if data is None else data)
        except Unfit as error:
            raise CheckpointError(f"{path}: {error}") from None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Reads what such a file holds, of any age. Raises CheckpointError."""
        named = data.get("image_processor_type") or data.get("feature_extractor_type") or "CLIPImageProcessor"
        kind = re.sub("(ImageProcessor(Fast|Pil)?|FeatureExtractor)$", "", str(named))
        if kind not in _KINDS:
            raise Unfit(f"pictures prepared by {named} are not known here, only by {', '.join(_KINDS)}")
        if data.get("do_pad"):
            raise Unfit("do_pad is not known here")
        given = _KINDS[kind] | {key: value for key, value in data.items() if value is not None}
        values: dict[str, Any] = {"kind": kind}
        for field in fields(cls)[1:]:
            if field.name in given:
                read = READERS.get(field.name, switch)
                values[field.name] = read(field.name, given[field.name])
        if kind in _SQUASHING and isinstance(values["size"], int) and not isinstance(given["size"], Mapping):
            values["size"] = (values["size"], values["size"])
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """What `preprocessor_config.json` holds: `from_dict` and `transformers` read it."""
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

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) after a resize. The long side is cut, not rounded, to whole pixels."""
        if not isinstance(self.size, int):
            return self.size
        # By the quotient in floating point, as the reference has it: 3 * 224 / 3 must not become 223.
        long = int(self.size * max(height, width) / min(height, width))
        return (long, self.size) if width <= height else (self.size, long)

    def seen(self, height: int, width: int) -> tuple[float, float, float, float]:
        """What `crop` shows of a picture: (left, top, right, bottom) in its pixels. Black borders reach out of it."""
        rows, columns = self.resized(height, width) if self.do_resize else (height, width)
        high, wide = self.crop_size if self.do_center_crop else (rows, columns)
        top, left = (rows - high) // 2, (columns - wide) // 2
        x, y = width / columns, height / rows
        return left * x, top * y, (left + wide) * x, (top + high) * y

    def crop(self, image: Image.Image) -> NDArray[np.uint8]:
        """A picture of any size -> uint8 (height, width, 3), resized and cropped.

        Raises ImageError where the resized picture would be too large for memory.
        """
        picture = flatten(image)
        if not self.do_resize:
            return self.centre(np.asarray(picture))
        height, width = size = self.resized(picture.height, picture.width)
        enlarged = isinstance(self.size, int) and self.size > min(picture.size)
        if enlarged and height * width > _WINDOW_ABOVE and self.do_center_crop and self.resample in KERNELS:
            crop_height, crop_width = min(self.crop_size[0], height), min(self.crop_size[1], width)
            window = ((height - crop_height) // 2, (width - crop_width) // 2, crop_height, crop_width)
            return self.centre(resize_window(picture, size, window, self.resample))
        if height * width > MAX_PIXELS:
            raise ImageError(f"a picture of {image.width} x {image.height}", f"too narrow: would be {width} x {height}")
        return self.centre(np.asarray(picture.resize((width, height), Resampling(self.resample))))

    def centre(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """(height, width, 3) -> its centre, (*crop_size, 3), with black around where it is smaller."""
        if not self.do_center_crop:
            return pixels
        height, width = self.crop_size
        top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
        inside = pixels[max(top, 0) : max(top, 0) + height, max(left, 0) : max(left, 0) + width]
        if inside.shape[:2] == self.crop_size:
            return inside
        out = np.zeros((height, width, 3), pixels.dtype)
        above, before = max(-top, 0), max(-left, 0)
        out[above : above + inside.shape[0], before : before + inside.shape[1]] = inside
        return out

    def normalize(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """(n, height, width, 3) -> float32 (n, 3, height, width): uint8 by a table, other dtypes by the formula."""
        out = np.empty((pixels.shape[0], 3, *pixels.shape[1:3]), np.float32)
        if pixels.dtype == np.uint8:
            for channel in range(3):
                np.take(self._table[channel], pixels[..., channel], out=out[:, channel], mode="clip")
        else:
            out[:] = np.moveaxis(self._values(pixels), -1, 1)
        return out

    @cached_property
    def _table(self) -> NDArray[np.float32]:
        """(3, 256): the value of each byte in each channel."""
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


def _from_open_clip(data: Mapping[str, Any]) -> dict[str, Any]:
    cfg, model = (mapping(key, data.get(key)) for key in ("preprocess_cfg", "model_cfg"))
    side = cfg.get("size") or mapping("vision_cfg", model.get("vision_cfg")).get("image_size")
    mode = cfg.get("resize_mode", "shortest")
    codes = {"bicubic": Resampling.BICUBIC, "bilinear": Resampling.BILINEAR}
    resample = codes.get(str(cfg.get("interpolation", "bicubic")))
    if mode not in ("shortest", "squash") or resample is None or side is None:
        raise Unfit(f"preprocess_cfg says {cfg}, vision_cfg image_size {side}: that is not known here")
    sides = square("size", side)
    return {
        "size": sides if mode == "squash" else min(sides),
        "crop_size": sides,
        "resample": int(resample),
        "image_mean": cfg.get("mean"),
        "image_std": cfg.get("std"),
    }
