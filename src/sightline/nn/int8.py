"""Linear maps of bytes, and norms that make bytes.

A byte stands for `step * (byte - zero)`; steps and zero are fixed, so that no vector depends on what else is in its
batch. A step may differ from channel to channel: the map's weights take it in. Weights are int8 with a scale for each
row. The products are oneDNN's, exact sums of whole numbers, with the activation, or the sum with the block's input,
done on the way out. Whatever makes bytes of floats has steps, zero and the half for rounding in its own weights, so
that clamping and cutting off is all that is left.

Shapes: N rows, W inputs.
"""

from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.errors import CheckpointError
from sightline.nn.activations import Activation

TINY = torch.finfo(torch.float32).tiny
OUTLIER = 4.0
"""How many times the median channel's largest number an outlier's is."""


class Grid(NamedTuple):
    """Which numbers the bytes 0 to 255 stand for in each channel: `steps` (W,) float32, and a `zero` for all."""

    steps: Tensor
    zero: int

    @classmethod
    def even(cls, ends: Tensor) -> Self:
        """With one step for all: `ends` (2, W), the least and the greatest number of each channel."""
        return cls._of(ends, torch.ones(ends.shape[1]))

    @classmethod
    def smooth(cls, ends: Tensor, weight: Tensor) -> Self:
        """With larger steps for outliers, channels of much larger numbers than most: these and the columns of the
        `weight` (outputs, W) share the loss (Xiao et al., "SmoothQuant", 2023, equation 4)."""
        inputs, columns = ends.abs().amax(0), weight.detach().float().abs().amax(0)
        larger = inputs / inputs.median().clamp_min(TINY)
        factors = (larger / (columns / columns.median().clamp_min(TINY)).clamp_min(TINY)).sqrt().clamp_min(1)
        return cls._of(ends, torch.where(larger > OUTLIER, factors, 1.0))

    @classmethod
    def _of(cls, ends: Tensor, factors: Tensor) -> Self:
        if not (ends.isfinite().all() and factors.isfinite().all()):
            raise CheckpointError("the model computes values that are no numbers: are its weights broken?")
        low = min(float((ends[0] / factors).amin()), 0.0)
        high = max(float((ends[1] / factors).amax()), 0.0)
        step = (high - low) / 255 or 1.0
        return cls(factors * step, round(-low / step))

    @property
    def step(self) -> float:
        """The step of an `even` grid."""
        return float(self.steps[0])

    @property
    def shift(self) -> float:
        """What is added to numbers over their steps, before they are cut off to whole ones."""
        return self.zero + 0.5


def row_scales(weight: Tensor) -> Tensor:
    """The scale of each row (N,) for int8. Of 11 bits: weights that int8 has rounded give the same once more."""
    most = weight.abs().amax(1).clamp_min(TINY) / 127
    fraction, exponent = torch.frexp(most)
    return torch.ldexp((fraction * 2048).round(), exponent - 11)


def to_bytes(x: Tensor) -> Tensor:
    """Numbers in steps, shifted, as bytes. They change."""
    return x.clamp_(0, 255).to(torch.uint8)


class Int8Linear(nn.Module):
    """A linear map of rows of bytes: (N, W) uint8, in the `grid`, -> (N, outputs)."""

    def __init__(self, weight: Tensor, bias: Tensor | None, grid: Grid) -> None:
        super().__init__()
        weight = weight.detach().float() * grid.steps
        if not weight.isfinite().all():
            raise CheckpointError("a weight is no number: are the model's weights broken?")
        scales = row_scales(weight)
        whole = (weight / scales[:, None]).round_().clamp_(-127, 127).to(torch.int8)
        self.zero = grid.zero
        self.bias = torch.zeros(len(weight)) if bias is None else bias.detach().float()
        self._weight = (
            torch.ops.onednn.qlinear_prepack(whole, None),
            scales,
            torch.zeros(len(scales), dtype=torch.int32),
        )

    def forward(self, x: Tensor) -> Tensor:
        """The outputs in float32."""
        return _product(x, 1.0, self.zero, *self._weight, self.bias, 1.0, 0, torch.float32, "none", [], "")  # type: ignore[no-any-return]

    def add(self, x: Tensor, to: Tensor) -> Tensor:
        """The outputs added to `to` (N, outputs) float32, in its place."""
        end: Any = self.bias, 1.0, 0, torch.float32, 1.0, 0, "sum", 1.0, "none", [], ""
        return _product.binary(x, 1.0, self.zero, *self._weight, to, *end)  # type: ignore[no-any-return]


class Int8Hidden(Int8Linear):
    """A linear map of bytes and the activation after it, as bytes in the even grid `out`."""

    def __init__(self, weight: Tensor, bias: Tensor | None, grid: Grid, act: Activation, out: Grid) -> None:
        super().__init__(weight * act.slope, None if bias is None else bias * act.slope, grid)
        self._end: Any = out.step * act.slope, out.zero, torch.uint8, act.onednn[0], [], act.onednn[1]

    def forward(self, x: Tensor) -> Tensor:
        """The hidden layer in bytes."""
        return _product(x, 1.0, self.zero, *self._weight, self.bias, *self._end)  # type: ignore[no-any-return]


class Int8Norm(nn.Module):
    """A layer norm whose outputs are bytes: (..., W) -> (N, W) uint8."""

    def __init__(self, norm: nn.LayerNorm, grid: Grid) -> None:
        super().__init__()
        self.eps = norm.eps
        self.weight = norm.weight.detach().float() / grid.steps
        self.bias = norm.bias.detach().float() / grid.steps + grid.shift

    def forward(self, x: Tensor) -> Tensor:
        """Of rows of floats, rows of bytes."""
        return to_bytes(F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)).flatten(0, -2)


class Int8Input(nn.Module):
    """Numbers as bytes: (N, W) float32 -> (N, W) uint8."""

    def __init__(self, grid: Grid) -> None:
        super().__init__()
        self.per_step, self.shift = 1 / grid.steps, torch.tensor(grid.shift)

    def forward(self, x: Tensor) -> Tensor:
        """Of rows of floats, rows of bytes."""
        return to_bytes(torch.addcmul(self.shift, x, self.per_step))


_product: Any = torch.ops.onednn.qlinear_pointwise
