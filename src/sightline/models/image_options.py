"""What an image processor is asked for beside the pixels' profile: how pictures come in, and how values go out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightline.errors import UsageError
from sightline.models.features import BatchFeature, tensors
from sightline.models.sizes import SizeDict

_FORMATS = ("channels_first", "channels_last")


@dataclass(frozen=True, kw_only=True)
class ImageOptions:
    """Names as the reference's. `do_convert_rgb=False` takes pictures of three channels only. `do_pad` fills images up
    with 0 at the right and at the bottom, to `pad_size` or the largest of the call. `device` is that of the tensors.
    `disable_grouping` and `image_seq_length` change nothing: images are processed one by one, and stand for no tokens.
    """

    do_convert_rgb: bool = True
    do_pad: bool | None = None
    pad_size: SizeDict | None = None
    data_format: str | None = None
    input_data_format: str | None = None
    device: Any = None
    return_tensors: str | None = None
    disable_grouping: bool | None = None
    image_seq_length: int | None = None

    def changed(self, values: Mapping[str, Any]) -> Self:
        """With some of the values replaced. Raises UsageError."""
        return replace(self, **{name: _READERS[name](name, value) for name, value in values.items()})

    def to_dict(self) -> dict[str, Any]:
        """As in a checkpoint's file: what differs from the defaults, and whether pictures become RGB."""
        default = ImageOptions()
        changed = {name: value for name, value in vars(self).items() if value != getattr(default, name)}
        return {"do_convert_rgb": self.do_convert_rgb} | changed

    def read(self, picture: Image.Image | NDArray[Any]) -> Image.Image | NDArray[Any]:
        """The picture; an array with its channels first where `input_data_format` says where they are. Raises
        ValueError."""
        if isinstance(picture, Image.Image):
            if not all(picture.size):
                raise ValueError(f"an image of {picture.width} x {picture.height} pixels is empty")
            has_three = picture.mode == "RGB"
        else:
            if picture.ndim == 3 and self.input_data_format:
                axis = 0 if self.input_data_format == "channels_first" else -1
                if picture.shape[axis] not in (1, 3, 4):
                    raise ValueError(f"an array of shape {picture.shape} has no {self.input_data_format}")
                picture = np.moveaxis(picture, axis, 0)
            has_three = 3 in (picture.shape[0], picture.shape[-1])
        if not (has_three or self.do_convert_rgb):
            raise ValueError("no RGB picture: leave do_convert_rgb on")
        return picture

    def padded(self, values: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """Values (3, height, width), filled up with 0 if `do_pad` says so. Raises UsageError."""
        if not self.do_pad:
            return list(values)
        height, width = (max((value.shape[axis] for value in values), default=0) for axis in (1, 2))
        if size := self.pad_size:
            if height > size["height"] or width > size["width"]:
                raise UsageError(
                    f"images of up to {width} x {height} pixels do not fit into pad_size, {size['width']} x "
                    f"{size['height']}: give a larger one"
                )
            height, width = size["height"], size["width"]
        return [np.pad(v, ((0, 0), (0, height - v.shape[1]), (0, width - v.shape[2]))) for v in values]

    def laid_out(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values (3, height, width) as `data_format` wants them."""
        return np.moveaxis(values, 0, -1) if self.data_format == "channels_last" else values

    def feature(self, values: list[NDArray[Any]], unequal: str) -> BatchFeature:
        """`pixel_values` as a list, or as one array or tensor if `return_tensors` says so. Raises UsageError, with
        `unequal` as the name of values that make none."""
        if not self.return_tensors:
            return BatchFeature({"pixel_values": values})
        if not values:
            raise UsageError("no images: the list is empty")
        if len({value.shape for value in values}) > 1:
            raise UsageError(f"{unequal} make no tensor; leave do_center_crop on")
        feature = tensors({"pixel_values": np.stack(values)}, self.return_tensors)
        return feature.to(self.device) if self.device is not None and self.return_tensors == "pt" else feature


def _switch(name: str, value: Any) -> bool:
    if value not in (None, True, False):
        raise UsageError(f"{name} is {value!r}, expected True or False")
    return bool(value)


def _format(name: str, value: Any) -> str | None:
    text = getattr(value, "value", value)  # of an enumeration
    if text not in (None, *_FORMATS):
        raise UsageError(f'{name} is {value!r}, expected "channels_first" or "channels_last"')
    return text  # type: ignore[no-any-return]


def _kind(name: str, value: Any) -> str | None:
    text = getattr(value, "value", value)
    if text not in (None, "pt", "np"):
        raise UsageError(f'{name} is {value!r}, expected "pt" or "np"')
    return text  # type: ignore[no-any-return]


def _size(name: str, value: Any) -> SizeDict | None:
    if value is None:
        return None
    if isinstance(value, int):
        value = (value, value)
    if isinstance(value, list | tuple) and len(value) == 2:
        value = {"height": value[0], "width": value[1]}
    if not isinstance(value, Mapping) or value.keys() != {"height", "width"}:
        raise UsageError(f'{name} is {value!r}, expected {{"height": pixels, "width": pixels}}')
    return SizeDict(value)


def _device(_: str, value: Any) -> Any:
    return None if value is None else str(value)


def _count(name: str, value: Any) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise UsageError(f"{name} is {value!r}, expected a whole number")
    return value


_READERS: dict[str, Callable[[str, Any], Any]] = {
    "do_convert_rgb": _switch,
    "do_pad": _switch,
    "pad_size": _size,
    "data_format": _format,
    "input_data_format": _format,
    "device": _device,
    "return_tensors": _kind,
    "disable_grouping": _switch,
    "image_seq_length": _count,
}
OPTIONS = tuple(_READERS)
"""The names of an image processor's options."""
