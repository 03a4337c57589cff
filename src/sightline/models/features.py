"""The output of a processor: a model's inputs by name."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sightline.errors import UsageError


class BatchFeature(dict[str, Any]):
    """A model's inputs by name: `model(**inputs)`, `inputs["pixel_values"]`, `inputs.pixel_values`.

    `data`: values by name; `tensor_type`: what to make of them, as `convert_to_tensors` does.
    """

    def __init__(self, data: Mapping[str, Any] | None = None, tensor_type: Any = None) -> None:
        super().__init__(data or {})
        self.convert_to_tensors(tensor_type)

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"no {name!r} here; there is {', '.join(self) or 'nothing'}") from None

    @property
    def data(self) -> dict[str, Any]:
        """The values by name: this dictionary itself."""
        return self

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Moves every tensor, those in lists too, to a device; a dtype applies to the floating ones alone. Arguments as
        `Tensor.to`'s. Raises UsageError for what is neither a device nor a dtype."""
        import torch

        for arg in args[:1]:
            if not isinstance(arg, str | int | torch.device | torch.dtype) or isinstance(arg, bool):
                raise UsageError(f'inputs go to a device, such as "cuda", or to a dtype, not to {arg!r:.60}')
        whole_args = [arg for arg in args if not isinstance(arg, torch.dtype)]
        whole_kwargs = {key: value for key, value in kwargs.items() if key != "dtype"}
        moves_all = bool(whole_args) or "device" in whole_kwargs

        def moved(value: Any) -> Any:
            if isinstance(value, list | tuple):
                return type(value)(moved(part) for part in value)
            if not isinstance(value, torch.Tensor):
                return value
            if value.is_floating_point():
                return value.to(*args, **kwargs)
            return value.to(*whole_args, **whole_kwargs) if moves_all else value

        for key, value in self.items():
            self[key] = moved(value)
        return self

    def convert_to_tensors(self, tensor_type: Any = None) -> Self:
        """Makes of lists of numbers and arrays what `tensor_type` names: "pt" tensors, "np" arrays, None nothing. Texts
        stay as they are. Raises UsageError for rows of different lengths."""
        kind = tensor_kind(tensor_type)
        for key, value in self.items() if kind else ():
            try:
                self[key] = _as_array(value) if kind == "np" else _as_tensor(value)
            except (ValueError, TypeError, RuntimeError) as error:
                raise UsageError(
                    f"{key} makes no tensor ({error}): pass padding=True and truncation=True, or no return_tensors"
                ) from error
        return self


def tensors(arrays: Mapping[str, NDArray[Any]], kind: str) -> BatchFeature:
    """Arrays as they are ("np") or as torch tensors on the same memory ("pt"). Raises UsageError for other kinds."""
    if tensor_kind(kind) == "np":
        return BatchFeature(arrays)
    import torch

    return BatchFeature({key: torch.from_numpy(array) for key, array in arrays.items()})


def tensor_kind(tensor_type: Any) -> str | None:
    """The name of a kind of tensors, which may be a member of an enumeration. Raises UsageError."""
    kind = getattr(tensor_type, "value", tensor_type)
    if kind not in (None, "pt", "np"):
        raise UsageError(f'return_tensors={tensor_type!r} is not known; there is "pt" and "np"')
    return kind  # type: ignore[no-any-return]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list | tuple) and any(map(_is_text, value)))


def _as_array(value: Any) -> Any:
    if _is_text(value) or value is None:
        return value
    if isinstance(value, list | tuple) and value and hasattr(value[0], "detach"):
        value = [part.detach().cpu().numpy() for part in value]
    return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)


def _as_tensor(value: Any) -> Any:
    import torch

    if isinstance(value, torch.Tensor) or _is_text(value) or value is None:
        return value
    first = value
    while isinstance(first, list | tuple) and first:
        first = first[0]
    if isinstance(first, torch.Tensor):
        return torch.stack(list(value))
    return torch.from_numpy(np.asarray(value)) if isinstance(first, np.ndarray) else torch.tensor(value)
