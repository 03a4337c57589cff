"""The output of a processor: a model's inputs by name."""

from collections.abc import Mapping
from typing import Any, Self

from numpy.typing import NDArray

from sightline.errors import UsageError


class BatchFeature(dict[str, Any]):
    """A model's inputs by name: `model(**inputs)`, `inputs["pixel_values"]`, `inputs.pixel_values`."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"no {name!r} here; there is {', '.join(self) or 'nothing'}") from None

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Moves every tensor to a device; a dtype applies to the floating ones alone. Arguments as `Tensor.to`'s."""
        import torch

        whole_args = [arg for arg in args if not isinstance(arg, torch.dtype)]
        whole_kwargs = {key: value for key, value in kwargs.items() if key != "dtype"}
        for key, value in self.items():
            if isinstance(value, torch.Tensor) and value.is_floating_point():
                self[key] = value.to(*args, **kwargs)
            elif isinstance(value, torch.Tensor) and (whole_args or "device" in whole_kwargs):
                self[key] = value.to(*whole_args, **whole_kwargs)
        return self


def tensors(arrays: Mapping[str, NDArray[Any]], kind: str) -> BatchFeature:
    """Arrays as they are ("np") or as torch tensors on the same memory ("pt"). Raises UsageError for other kinds."""
    if kind == "np":
        return BatchFeature(arrays)
    if kind != "pt":
        raise UsageError(f'return_tensors={kind!r} is not known; there is "pt" and "np"')
    import torch

    return BatchFeature({key: torch.from_numpy(array) for key, array in arrays.items()})
