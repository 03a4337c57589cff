"""The inputs by which importance is measured: what a processor gives for images and texts."""

from collections.abc import Iterable, Mapping

from torch import Tensor

from sightline.errors import UsageError

Inputs = Mapping[str, Tensor]
"""Tensors by the names of a model's inputs: "pixel_values", "input_ids", "attention_mask"."""


def batches(calibration: Inputs | Iterable[Inputs]) -> list[Inputs]:
    """The one batch, or all. Raises `UsageError` for what is none."""
    found = [calibration] if isinstance(calibration, Mapping) else list(calibration)
    for batch in found:
        if not isinstance(batch, Mapping) or not all(isinstance(value, Tensor) for value in batch.values()):
            raise UsageError(
                f"calibration holds a {type(batch).__name__}: give what a processor returns with return_tensors='pt', "
                "or a list of such batches"
            )
    if not found:
        raise UsageError("calibration is empty: give images and texts to measure by")
    return found
