"""The blocks of towers for encoding, in bytes: see `sightline.nn.int8`. Sums between blocks, norms and attention are in
float32. A block is given what nothing else needs, and changes it.

Shapes: B batch, L tokens, W width, N rows.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sightline.nn.attention import fused_attention, seen_from
from sightline.nn.bert_layers import BertLayer
from sightline.nn.int8 import Grid, Int8Hidden, Int8Input, Int8Linear, Int8Norm, to_bytes
from sightline.nn.slices import Fused
from sightline.nn.transformer import Block

Ranges = Mapping[str, Tensor]
"""The least and the greatest number of each channel (2, inputs) that goes into a linear map, by the map's name."""
Grids = dict[str, Grid]
"""How a linear map's inputs are bytes, by the map's name."""


class Int8Attention(nn.Module):
    """Self-attention between two linear maps of bytes: (N, W) uint8 -> (N, W) uint8, the last map's input.

    What a token sees adds up to 1: steps and shift of the last map's grid pass from the values to the outputs.
    """

    def __init__(self, qkv: Fused, heads: int, grid: Grid, out: Grid) -> None:
        super().__init__()
        weight, bias = qkv.weight.detach().float().clone(), qkv.bias.detach().float().clone()
        values = slice(weight.shape[1] * 2, None)
        weight[values] /= out.steps[:, None]
        bias[values] = bias[values] / out.steps + out.shift
        self.num_heads = heads
        self.qkv = Int8Linear(weight, bias, grid)

    def forward(self, x: Tensor, length: int, mask: Tensor | None, causal: bool) -> Tensor:
        """`length`: tokens of a sequence. `mask` and `causal` are `SelfAttention.forward`'s."""
        q, k, v = self._heads(x, length)
        return to_bytes(fused_attention(q, k, v, mask, causal).transpose(1, 2).flatten(2)).flatten(0, 1)

    def at(self, x: Tensor, length: int, tokens: Tensor, causal: bool, mask: Tensor | None) -> Tensor:
        """`forward` at one token of each sequence: (B, W) uint8."""
        q, k, v = self._heads(x, length)
        q = q[torch.arange(len(tokens)), :, tokens].unsqueeze(2)
        return to_bytes(fused_attention(q, k, v, seen_from(tokens, length, causal, mask)).flatten(1))

    def _heads(self, x: Tensor, length: int) -> Tensor:
        return self.qkv(x).view(-1, length, 3, self.num_heads, x.shape[-1] // self.num_heads).permute(2, 0, 3, 1, 4)  # type: ignore[no-any-return]


class Int8Layer(nn.Module):
    """What blocks in bytes share. `smoothed`: the maps whose inputs may have a step for each channel, as what makes
    these inputs can take it in; `even`: the others."""

    smoothed: ClassVar[tuple[str, ...]]
    even: ClassVar[tuple[str, ...]]

    @classmethod
    def grids(cls, block: nn.Module, ranges: Ranges) -> Grids:
        """A grid for each map of the block. Names are those in the block."""
        maps: dict[str, Any] = {name: block.get_submodule(name) for name in cls.smoothed}
        smooth = {name: Grid.smooth(ranges[name], module.weight) for name, module in maps.items()}
        return smooth | {name: Grid.even(ranges[name]) for name in cls.even}

    def uncalled(self) -> tuple[nn.Module, ...]:
        """As `Block.uncalled`."""
        return (self,)


class Int8Block(Int8Layer):
    """A `Block` in bytes."""

    smoothed = "self_attn.qkv", "self_attn.out_proj", "mlp.fc1"
    even = ("mlp.fc2",)

    def __init__(self, block: Block, grids: Grids) -> None:
        super().__init__()
        attention, mlp = block.self_attn, block.mlp
        heard, seen, fed, hidden = (grids[name] for name in (*self.smoothed, *self.even))
        self.norm1 = Int8Norm(block.layer_norm1, heard)
        self.attention = Int8Attention(attention.qkv, attention.num_heads, heard, seen)
        self.out = Int8Linear(attention.out_proj.weight, attention.out_proj.bias, seen)
        self.norm2 = Int8Norm(block.layer_norm2, fed)
        self.hidden = Int8Hidden(mlp.fc1.weight, mlp.fc1.bias, fed, mlp.activation_fn.kind, hidden)
        self.last = Int8Linear(mlp.fc2.weight, mlp.fc2.bias, hidden)

    def attend(self, x: Tensor, mask: Tensor | None = None, causal: bool = False) -> Tensor:
        """The first half: `x` (B, L, W) -> (B, L, W)."""
        heard = self.attention(self.norm1(x), x.shape[1], mask, causal)
        return self.out.add(heard, x.flatten(0, 1)).view_as(x)

    def feed(self, x: Tensor) -> Tensor:
        """The second half: `x` (..., W) -> the same shape."""
        return self.last.add(self.hidden(self.norm2(x)), x.flatten(0, -2)).view_as(x)

    def forward(self, x: Tensor, mask: Tensor | None = None, causal: bool = False) -> Tensor:
        """As `Block.forward`: `x` (B, L, W) -> (B, L, W)."""
        return self.feed(self.attend(x, mask, causal))

    def at(self, x: Tensor, tokens: Tensor, causal: bool = False, mask: Tensor | None = None) -> Tensor:
        """As `Block.at`: `x` (B, L, W), `tokens` (B,) -> (B, W)."""
        token = x[torch.arange(len(x)), tokens]
        heard = self.attention.at(self.norm1(x), x.shape[1], tokens, causal, mask)
        return self.feed(self.out.add(heard, token))


class Int8BertLayer(Int8Layer):
    """A `BertLayer` in bytes."""

    smoothed = "attention.self.qkv", "attention.output.dense", "intermediate.dense"
    even = ("output.dense",)

    def __init__(self, layer: BertLayer, grids: Grids) -> None:
        super().__init__()
        attention, middle, last = layer.attention, layer.intermediate, layer.output
        out = attention.output
        heard, seen, fed, hidden = (grids[name] for name in (*self.smoothed, *self.even))
        self.heard, self.fed = Int8Input(heard), Int8Input(fed)
        self.attention = Int8Attention(attention.self.qkv, attention.self.num_heads, heard, seen)
        self.out = Int8Linear(out.dense.weight, out.dense.bias, seen)
        self.norm1 = out.LayerNorm
        kind = middle.intermediate_act_fn.kind
        self.hidden = Int8Hidden(middle.dense.weight, middle.dense.bias, fed, kind, hidden)
        self.last = Int8Linear(last.dense.weight, last.dense.bias, hidden)
        self.norm2 = last.LayerNorm

    def feed(self, x: Tensor) -> Tensor:
        """The second half: `x` (N, W) -> (N, W)."""
        return self.norm2(self.last.add(self.hidden(self.fed(x)), x))  # type: ignore[no-any-return]

    def forward(self, x: Tensor, mask: Tensor | None = None, causal: bool = False) -> Tensor:
        """As `BertLayer.forward`: `x` (B, L, W) -> (B, L, W). `causal` is False."""
        rows = x.flatten(0, 1)
        heard = self.attention(self.heard(rows), x.shape[1], mask, causal)
        return self.feed(self.norm1(self.out.add(heard, rows))).view_as(x)

    def at(self, x: Tensor, tokens: Tensor, causal: bool = False, mask: Tensor | None = None) -> Tensor:
        """As `BertLayer.at`: `x` (B, L, W), `tokens` (B,) -> (B, W)."""
        token = x[torch.arange(len(x)), tokens]
        heard = self.attention.at(self.heard(x.flatten(0, 1)), x.shape[1], tokens, causal, mask)
        return self.feed(self.norm1(self.out.add(heard, token)))
