"""A checkpoint's preprocessing as its files declare it, read and checked: `preprocessor_config.json` and its kin."""

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from PIL.Image import Resampling

from sightline.errors import CheckpointError
from sightline.files import read_checkpoint_json

CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_HALF: dict[str, Any] = {"image_mean": (0.5, 0.5, 0.5), "image_std": (0.5, 0.5, 0.5)}

_DEFAULTS: dict[str, dict[str, Any]] = {
    "CLIP": {"size": 224, "crop_size": 224, "resample": 3, "image_mean": CLIP_MEAN, "image_std": CLIP_STD},
    "VideoMAE": {"size": 224, "crop_size": 224, "resample": 2} | _HALF,
    "EfficientNet": {"size": [346, 346], "crop_size": 289, "resample": 3, "do_center_crop": False, "include_top": True}
    | _HALF,
}
"""By kind, the name of the reference's image processor class: the values of keys that a file leaves out."""

_SQUASHING = {"EfficientNet"}
"""Kinds that take a plain number as `size` for both sides; for the others it is the short side."""


class InvalidSettingError(CheckpointError):
    """A value in a preprocessor's file that can't be used. The message lacks the file's name."""


def read_folder(folder: Path) -> dict[str, Any]:
    """PixelProfile's fields from the file in a folder that decides. Raises CheckpointError."""
    path, data = find_settings(folder)
    try:
        return read_settings(data)
    except InvalidSettingError as error:
        raise CheckpointError(f"{path}: {error}") from None


def find_settings(folder: Path) -> tuple[Path, Mapping[str, Any]]:
    """The file in a folder that decides, and what it says: `processor_config.json`, `preprocessor_config.json` or
    `open_clip_config.json`. Raises CheckpointError."""
    nested, plain, open_clip = (
        folder / f"{name}.json" for name in ("processor_config", "preprocessor_config", "open_clip_config")
    )
    path = nested
    try:
        if nested.is_file() and (
            inner := _mapping("image_processor", read_checkpoint_json(nested).get("image_processor"))
        ):
            return nested, inner
        path = open_clip
        if open_clip.is_file() and not plain.is_file():
            return open_clip, _from_open_clip(read_checkpoint_json(open_clip))
    except InvalidSettingError as error:
        raise CheckpointError(f"{path}: {error}") from None
    if not plain.is_file():
        raise CheckpointError(
            f"{folder}: no preprocessor_config.json (or processor_config.json) in it; save the model's "
            "processor there too"
        )
    return plain, read_checkpoint_json(plain)


def kind_of(data: Mapping[str, Any]) -> str:
    """The kind of processor that such a file names. Raises InvalidSettingError for one that is not known here."""
    processor = data.get("image_processor_type") or data.get("feature_extractor_type") or "CLIPImageProcessor"
    kind = re.sub("(ImageProcessor(Fast|Pil)?|FeatureExtractor)$", "", str(processor))
    if kind not in _DEFAULTS:
        raise InvalidSettingError(f"images prepared by {processor} are not known here, only by {', '.join(_DEFAULTS)}")
    return kind


def read_settings(data: Mapping[str, Any]) -> dict[str, Any]:
    """PixelProfile's fields from the contents of such a file, of any age. Raises InvalidSettingError."""
    kind = kind_of(data)
    if data.get("do_pad"):
        raise InvalidSettingError("do_pad is not known here")
    settings = _DEFAULTS[kind] | {key: value for key, value in data.items() if value is not None}
    values = {key: read(key, settings[key]) for key, read in _READERS.items() if key in settings}
    if kind in _SQUASHING and isinstance(values["size"], int) and not isinstance(settings["size"], Mapping):
        values["size"] = (values["size"], values["size"])
    return {"kind": kind, **values}


def _from_open_clip(data: Mapping[str, Any]) -> dict[str, Any]:
    """The contents of open_clip's file as a preprocessor's file has them."""
    preprocess, model = (_mapping(key, data.get(key)) for key in ("preprocess_cfg", "model_cfg"))
    side = preprocess.get("size") or _mapping("vision_cfg", model.get("vision_cfg")).get("image_size")
    mode = preprocess.get("resize_mode", "shortest")
    filters = {"bicubic": Resampling.BICUBIC, "bilinear": Resampling.BILINEAR}
    resample = filters.get(str(preprocess.get("interpolation", "bicubic")))
    if mode not in ("shortest", "squash") or resample is None or side is None:
        raise InvalidSettingError(
            f"preprocess_cfg says {preprocess}, vision_cfg image_size {side}: that is not known here"
        )
    sides = _height_width("size", side)
    return {
        "size": sides if mode == "squash" else min(sides),
        "crop_size": sides,
        "resample": int(resample),
        "image_mean": preprocess.get("mean"),
        "image_std": preprocess.get("std"),
    }


def _side(key: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= 1 << 14:
        raise InvalidSettingError(f"{key} is {value!r}, expected a number of pixels")
    return value


def _size(key: str, value: Any) -> int | tuple[int, int]:
    if isinstance(value, Mapping) and value.keys() == {"shortest_edge"}:
        return _side(key, value["shortest_edge"])
    if isinstance(value, Mapping) and value.keys() == {"height", "width"}:
        value = [value["height"], value["width"]]
    if isinstance(value, list | tuple) and len(value) == 2:
        return _side(key, value[0]), _side(key, value[1])
    if isinstance(value, Mapping):
        raise InvalidSettingError(
            f'{key} is {dict(value)!r}, expected {{"shortest_edge": pixels}} or {{"height": pixels, "width": pixels}}'
        )
    return _side(key, value)


def _height_width(key: str, value: Any) -> tuple[int, int]:
    size = _size(key, value)
    return (size, size) if isinstance(size, int) else size


def _resample(key: str, value: Any) -> int:
    if isinstance(value, bool) or value not in list(Resampling):
        raise InvalidSettingError(f"{key} is {value!r}, expected one of Pillow's filters (2 bilinear, 3 bicubic)")
    return int(value)


def _number(key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidSettingError(f"{key} is {value!r}, expected a number")
    return float(value)


def _numbers(key: str, value: Any) -> tuple[float, ...]:
    values = tuple(value) if isinstance(value, list | tuple) else (value,) * 3
    if len(values) != 3:
        raise InvalidSettingError(f"{key} is {value!r}, expected three numbers")
    return tuple(_number(key, v) for v in values)


def _factor(key: str, value: Any) -> float:
    if not (factor := _number(key, value)) > 0:
        raise InvalidSettingError(f"{key} is {value!r}, expected a number above 0, such as 1/255 = 0.00392")
    return factor


def _divisors(key: str, value: Any) -> tuple[float, ...]:
    values = _numbers(key, value)
    if not min(values) > 0:
        raise InvalidSettingError(f"{key} is {value!r}, expected numbers above 0: values are divided by them")
    return values


def _switch(key: str, value: Any) -> bool:
    if not isinstance(value, bool | int) or value not in (0, 1):
        raise InvalidSettingError(f"{key} is {value!r}, expected true or false")
    return bool(value)


def _mapping(key: str, value: Any) -> Mapping[str, Any]:
    """An object; null is an empty one."""
    if value is not None and not isinstance(value, Mapping):
        raise InvalidSettingError(f"{key} is {value!r}, expected an object")
    return value or {}


_READERS: dict[str, Callable[[str, Any], Any]] = {
    "size": _size,
    "crop_size": _height_width,
    "resample": _resample,
    "image_mean": _numbers,
    "image_std": _divisors,
    "do_resize": _switch,
    "do_center_crop": _switch,
    "do_rescale": _switch,
    "rescale_factor": _factor,
    "rescale_offset": _switch,
    "do_normalize": _switch,
    "include_top": _switch,
}
"""For each field of PixelProfile, the function that checks a file's (key, value) and gives the field's value."""
