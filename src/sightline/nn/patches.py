"""Pictures to tokens: patch embedding and positions on a grid (Dosovitskiy et al., "An Image is Worth 16x16 Words")."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.errors import UsageError
from sightline.nn.aliases import Aliased
from sightline.nn.initial import normal
from sightline.nn.products import linear


class PatchEmbedding(Aliased):
    """Patches through one linear map: a convolution, computed faster where patches do not overlap."""

    padding = 0, 0

    def __init__(self, channels: int, patch: int, width: int, bias: bool = False) -> None:
        super().__init__()
        self.in_channels, self.out_channels = channels, width
        self.kernel_size = self.stride = patch, patch
        self.weight = nn.Parameter(torch.empty(width, channels, patch, patch))
        self.bias = nn.Parameter(torch.zeros(width)) if bias else None
        normal(self.weight, (channels * patch * patch) ** -0.5)

    @property
    def tiles(self) -> bool:
        """Whether the patches lie side by side: no script has set another `stride` or `padding`."""
        return self.stride == self.kernel_size and self.padding == (0, 0)

    def rows(self, pixels: Tensor) -> Tensor:
        """`pixels` (B, C, H, W) -> (B, H // patch * W // patch, width), rows of patches first. A rest is cut off."""
        batch, channels, height, width = pixels.shape
        p = self.kernel_size[0]
        rows, columns = height // p, width // p
        x = pixels[:, :, : rows * p, : columns * p].to(self.weight.dtype)
        x = x.reshape(batch, channels, rows, p, columns, p).permute(0, 2, 4, 1, 3, 5)
        return linear(x.reshape(batch, rows * columns, channels * p * p), self.weight.flatten(1), self.bias)

    def forward(self, pixels: Tensor) -> Tensor:
        """`rows` in the convolution's shape: (B, width, H // patch, W // patch), in the same memory.

        By another `stride` or `padding` as many patches as these give.
        """
        if not self.tiles:
            return F.conv2d(pixels.to(self.weight.dtype), self.weight, self.bias, self.stride, self.padding)
        size = pixels.shape[-2] // self.kernel_size[0], pixels.shape[-1] // self.kernel_size[1]
        return self.rows(pixels).transpose(1, 2).unflatten(2, size)  # type: ignore[no-any-return, no-untyped-call]


def patch_grid(pixels: Tensor, size: int, patch: int, any_size: bool) -> tuple[int, int]:
    """The whole patches in a column and in a row of `pixels` (..., H, W).

    Raises `UsageError` for less than one patch and, unless `any_size` is wanted, for other sides than `size`.
    """
    height, width = pixels.shape[-2:]
    if not any_size and (height, width) != (size, size):
        raise UsageError(
            f"images of {height} x {width} pixels, but the model was made for {size} x {size}; "
            "pass interpolate_pos_encoding=True or resize them"
        )
    if height < patch or width < patch:
        raise UsageError(f"an image of {height} x {width} pixels is smaller than one patch")
    return height // patch, width // patch


def interpolate_positions(table: Tensor, size: int, rows: int, columns: int) -> Tensor:
    """A table (n + size^2, width) for a square grid, its first n rows class tokens', as (n + rows * columns, width).

    Bicubic with `align_corners=False`. For a grid of `size` it is the table itself.
    """
    if (rows, columns) == (size, size):
        return table
    first = len(table) - size**2
    grid = table[first:].T.reshape(1, -1, size, size)
    # On the CPU in half precision the kernel is missing or coarse.
    wide = grid.float() if grid.dtype.itemsize < 4 else grid
    grid = F.interpolate(wide, size=(rows, columns), mode="bicubic", align_corners=False).to(grid.dtype)
    return torch.cat([table[:first], grid.flatten(2)[0].T])
