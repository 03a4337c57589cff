"""Patches of bytes, as an image has them, through a linear map: what makes pixel values of them is in its weights."""

import torch
from torch import Tensor, nn

from sightline.nn.int8 import Grid, Int8Linear, to_bytes
from sightline.nn.patches import PatchEmbedding


class Int8Patches(nn.Module):
    """A `PatchEmbedding` of bytes. `values` (C, 256): the pixel value of each byte in each channel, evenly spaced."""

    def __init__(self, patches: PatchEmbedding, values: Tensor) -> None:
        super().__init__()
        self.patch = patches.kernel_size[0]
        self.steps, self.offsets = (values[:, -1] - values[:, 0]) / 255, values[:, 0]
        # Whole numbers around a zero in the middle lose least; what the zero stands for is in the bias.
        zero = int((-self.offsets / self.steps).mean().round().clamp(0, 255))
        weight = patches.weight.detach().float().permute(0, 2, 3, 1)
        middle = (weight * (self.steps * zero + self.offsets)).flatten(1).sum(1)
        grid = Grid(self.steps.repeat(self.patch**2), zero)
        bias = middle if patches.bias is None else middle + patches.bias.detach().float()
        self.map = Int8Linear(weight.flatten(1), bias, grid)

    def rows(self, pixels: Tensor) -> Tensor:
        """`pixels` (B, C, H, W), bytes or the values that they stand for -> (B, H // patch * W // patch, width), as
        `PatchEmbedding.rows`."""
        if pixels.dtype != torch.uint8:
            pixels = to_bytes((pixels.float() - self.offsets[:, None, None]) / self.steps[:, None, None] + 0.5)
        batch, channels, height, width = pixels.shape
        p = self.patch
        rows, columns = height // p, width // p
        x = pixels[:, :, : rows * p, : columns * p].reshape(batch, channels, rows, p, columns, p)
        x = x.permute(0, 2, 4, 3, 5, 1).reshape(batch * rows * columns, p * p * channels)
        return self.map(x).view(batch, rows * columns, -1)  # type: ignore[no-any-return]

    def forward(self, pixels: Tensor) -> Tensor:
        """`rows` as `PatchEmbedding.forward` gives them: (B, width, H // patch, W // patch)."""
        size = pixels.shape[-2] // self.patch, pixels.shape[-1] // self.patch
        return self.rows(pixels).transpose(1, 2).unflatten(2, size)  # type: ignore[no-any-return, no-untyped-call]
