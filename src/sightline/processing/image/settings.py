"""The values that a preprocessor's file may hold, checked."""

import math
from collections.abc import Mapping
from typing import Any

from PIL.Image import Resampling

from sightline.errors import CheckpointError


class Unfit(CheckpointError):
    """Says what of a file is wrong; whoever knows the file puts its name before it."""


def _whole(key: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= 1 << 14:
        raise Unfit(f"{key} is {value!r}, expected a number of pixels")
    return value


def _size(key: str, value: Any) -> int | tuple[int, int]:
    if isinstance(value, Mapping) and value.keys() == {"shortest_edge"}:
        return _whole(key, value["shortest_edge"])
    if isinstance(value, Mapping) and value.keys() == {"height", "width"}:
        value = [value["height"], value["width"]]
    if isinstance(value, list | tuple) and len(value) == 2:
        return _whole(key, value[0]), _whole(key, value[1])
    return _whole(key, value)


def square(key: str, value: Any) -> tuple[int, int]:
    size = _size(key, value)
    return (size, size) if isinstance(size, int) else size


def _resample(key: str, value: Any) -> int:
    if isinstance(value, bool) or value not in list(Resampling):
        raise Unfit(f"{key} is {value!r}, expected one of Pillow's filters (2 bilinear, 3 bicubic)")
    return int(value)


def _number(key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Unfit(f"{key} is {value!r}, expected a number")
    return float(value)


def _numbers(key: str, value: Any) -> tuple[float, ...]:
    values = tuple(value) if isinstance(value, list | tuple) else (value,) * 3
    if len(values) != 3:
        raise Unfit(f"{key} is {value!r}, expected three numbers")
    return tuple(_number(key, v) for v in values)


def _divisors(key: str, value: Any) -> tuple[float, ...]:
    values = _numbers(key, value)
    if 0 in values:
        raise Unfit(f"{key} is {value!r}: no division by zero")
    return values


def switch(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise Unfit(f"{key} is {value!r}, expected true or false")
    return value


def mapping(key: str, value: Any) -> Mapping[str, Any]:
    """An object; none is an empty one."""
    if value is not None and not isinstance(value, Mapping):
        raise Unfit(f"{key} is {value!r}, expected an object")
    return value or {}


READERS = {
    "size": _size,
    "crop_size": square,
    "resample": _resample,
    "rescale_factor": _number,
    "image_mean": _numbers,
    "image_std": _divisors,
}
"""How to read a key's value, given the key and the value; for all others it is `switch`."""
