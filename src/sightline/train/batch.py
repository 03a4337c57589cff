"""A batch, and where batches come from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """B images or videos with their T texts, ready for a model.

    `pixel_values` (B, C, H, W) or (B, F, C, H, W), float32; `input_ids` and `attention_mask` (T, L), padded on the
    right to the longest; `owner` (T,) int64: the image that each text belongs to, ascending. `extras`: further tensors
    for the loss. `skipped`: samples that could not be read and are left out.
    """

    pixel_values: Tensor
    input_ids: Tensor
    attention_mask: Tensor
    owner: Tensor
    extras: Mapping[str, Tensor] = field(default_factory=dict)
    skipped: int = 0

    def __len__(self) -> int:
        """B."""
        return len(self.pixel_values)

    def to(self, device: torch.device) -> Self:
        """The same batch on another device."""
        return type(self)(
            self.pixel_values.to(device, non_blocking=True),
            self.input_ids.to(device, non_blocking=True),
            self.attention_mask.to(device, non_blocking=True),
            self.owner.to(device, non_blocking=True),
            {name: tensor.to(device, non_blocking=True) for name, tensor in self.extras.items()},
            self.skipped,
        )

    def part(self, start: int, stop: int) -> Self:
        """Images start..stop-1 with their texts, cut to the longest of these. `extras` are left out."""
        first, last = torch.searchsorted(self.owner, torch.tensor([start, stop], device=self.owner.device)).tolist()
        mask = self.attention_mask[first:last]
        length = int(mask.sum(1).max()) if last > first else 0
        return type(self)(
            self.pixel_values[start:stop],
            self.input_ids[first:last, :length],
            mask[:, :length],
            self.owner[first:last] - start,
        )


class Data(Protocol):
    """A source of batches: a pure function of the step, so that a run can go on from any step."""

    def stream(self, start: int, stop: int) -> Iterator[Batch]:
        """The batches of steps `start` to `stop` - 1. Each process gets its rows of them."""
        ...
