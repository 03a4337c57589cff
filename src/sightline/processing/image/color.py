"""Pictures to 8-bit RGB: from all of PIL's modes, and from arrays of all layouts."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_STRIP_PIXELS = 1 << 22
"""Pixels converted at a time: a large picture is never held in three versions at once."""


def to_rgb(picture: Image.Image) -> Image.Image:
    """To "RGB" as the reference's image processors do: transparency on white, else PIL's `convert("RGB")`.

    An "RGB" picture comes back as it is. Raises ValueError for a mode that PIL can't convert.
    """
    if "A" in picture.getbands() or picture.info.get("transparency") is not None:
        return _on_white(picture)
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def to_uint8(picture: Image.Image) -> Image.Image:
    """A picture with more than 8 bits a channel to mode "L"; any other as it is.

    Integers lose as many low bits as the brightest pixel has above 8, so that 16 bits, and 12 bits in a 16-bit file,
    both fill the range. Floats are taken as 0..1 if they lie in it, else stretched from darkest to brightest.
    """
    if picture.mode != "F" and not picture.mode.startswith("I"):
        return picture
    values = np.asarray(picture)
    convert = _float_scaler(values) if picture.mode == "F" else _integer_scaler(values)
    out = np.empty(values.shape, np.uint8)
    rows = max(_STRIP_PIXELS // picture.width, 1)
    for top in range(0, picture.height, rows):
        out[top : top + rows] = convert(values[top : top + rows])
    return Image.fromarray(out)


def array_to_rgb(array: NDArray[Any]) -> NDArray[Any]:
    """(H, W), (H, W, C) or (C, H, W) with C of 1, 3 or 4 to (H, W, 3) of the same dtype, as the reference does.

    Of (3, H, 3) the first axis is taken for the channels. A fourth channel is opacity over white. Raises ValueError.
    """
    if array.ndim == 2:
        array = array[..., None]
    elif array.ndim == 3 and array.shape[0] in (1, 3, 4):
        array = np.moveaxis(array, 0, -1)
    if array.ndim != 3 or array.shape[-1] not in (1, 3, 4) or 0 in array.shape:
        raise ValueError(f"an array of shape {array.shape} is no image: (height, width, 3) or (3, height, width) is")
    if array.shape[-1] == 1:
        return np.repeat(array, 3, axis=-1)
    if array.shape[-1] == 3:
        return array
    is_integer = np.issubdtype(array.dtype, np.integer)
    white = 255 if is_integer else 1.0
    if not is_integer and not (array.min() >= 0 and array.max() <= 1):
        raise ValueError("floats with an opacity channel must lie between 0 and 1")
    opacity = array[..., 3:] / white
    blended = opacity * array[..., :3] + (1 - opacity) * white
    rgb: NDArray[Any] = (np.round(blended) if is_integer else blended).astype(array.dtype)
    return rgb


def pixels_to_rgb8(array: NDArray[Any]) -> NDArray[np.uint8]:
    """An array of any layout that `array_to_rgb` knows to uint8 (H, W, 3), by its dtype.

    Integers are 0 to 255; those of 16 bits lose low bits as in `to_uint8`. Truth values are black and white. Floats are
    fractions from 0 to 1; if some exceed 1 and all are whole, they are 0 to 255. Raises ValueError for other values.
    """
    kind = array.dtype.kind
    if kind not in "buif":
        raise ValueError(f"an array of {array.dtype} is no image: give uint8, or floats from 0 to 1")
    if kind == "f":
        fractions = array_to_rgb(array)
        if fractions.min() >= 0 and fractions.max() <= 1:
            return (fractions.astype(np.float64) * 255).astype(np.float32).astype(np.uint8)
        return array_to_uint8(fractions)[0]
    if kind == "b":
        array = array.astype(np.uint8) * np.uint8(255)
    elif array.dtype.itemsize == 2 and array.size and array.min() >= 0:
        array = _integer_scaler(array)(array).astype(np.uint8)
    else:
        array = array_to_uint8(array)[0]
    return array_to_rgb(array)


def array_to_uint8(array: NDArray[Any]) -> tuple[NDArray[np.uint8], bool]:
    """Any dtype to uint8, and whether the values were fractions 0..1 (cut to 1/255, as the reference does).

    Whole numbers 0..255, of whatever dtype, are taken as they are. Raises ValueError for other ranges.
    """
    if array.dtype == np.uint8:
        return array, False
    low, high = (float(array.min()), float(array.max())) if array.size else (0.0, 0.0)
    if not 0 <= low <= high <= 255:  # also false for NaN
        raise ValueError(f"values from {low:g} to {high:g} are no image: 0 to 255 or 0.0 to 1.0 is")
    if np.allclose(array, array.astype(np.uint8)):
        return array.astype(np.uint8), False
    if high > 1:
        raise ValueError(f"fractions must lie between 0.0 and 1.0, these reach {high:g}")
    return (array.astype(np.float64) * 255).astype(np.float32).astype(np.uint8), True


def _on_white(picture: Image.Image) -> Image.Image:
    width, height = picture.size
    rows = max(_STRIP_PIXELS // width, 1)
    if rows >= height:
        white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")
    out = Image.new("RGB", picture.size)
    for top in range(0, height, rows):
        out.paste(_on_white(picture.crop((0, top, width, min(top + rows, height)))), (0, top))
    return out


def _integer_scaler(values: NDArray[Any]) -> Callable[[NDArray[Any]], NDArray[Any]]:
    shift = max(int(values.max()).bit_length() - 8, 0)
    return lambda strip: strip.clip(0) >> shift


def _float_scaler(values: NDArray[Any]) -> Callable[[NDArray[Any]], NDArray[Any]]:
    finite = np.isfinite(values)
    low, high = (float(values.min(where=finite, initial=np.inf)), float(values.max(where=finite, initial=-np.inf)))
    if 0 <= low <= high <= 1 or not low < high:
        low, high = 0.0, 1.0

    def convert(strip: NDArray[Any]) -> NDArray[Any]:
        with np.errstate(invalid="ignore"):  # numpy warns of some NaNs
            values = strip.astype(np.float64)
        bounded = np.nan_to_num(values, nan=low, posinf=high, neginf=low).clip(low, high)
        stretched: NDArray[Any] = ((bounded - low) * (255 / (high - low))).round()
        return stretched

    return convert
