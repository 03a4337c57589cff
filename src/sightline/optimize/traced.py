"""A tower as it is traced: the same numbers by the operations that other engines run fastest.

Shapes: B batch, L tokens, W width, H heads, D = W / H.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from sightline.models.tower import Tower
from sightline.nn.attention import SelfAttention
from sightline.nn.transformer import Mlp


def traced(tower: Tower) -> Tower:
    """A copy of the tower, whose attentions and activations are written plainly."""
    tower = copy.deepcopy(tower)
    for module in list(tower.modules()):
        if isinstance(module, Mlp):
            _fold_slope(module)
        for name, child in list(module.named_children()):
            if isinstance(child, SelfAttention):
                setattr(module, name, PlainAttention(child))
    return tower.eval().requires_grad_(False)


def _fold_slope(mlp: Mlp) -> None:
    """The activation's slope becomes part of the weights around it: engines then see x * sigmoid(x)."""
    act = mlp.activation_fn.kind
    mlp.fc1.weight.data = mlp.fc1.weight * act.slope
    mlp.fc1.bias.data = mlp.fc1.bias * act.slope
    mlp.fc2.weight.data = mlp.fc2.weight / act.slope
    mlp.activation_fn.kind = act._replace(slope=1.0)


class PlainAttention(nn.Module):
    """A self-attention by products alone: three maps, the scale in the queries' weights, masks as numbers to add."""

    def __init__(self, attention: SelfAttention) -> None:
        super().__init__()
        self.whole = attention
        width, heads = attention.embed_dim, attention.num_heads
        self.heads = heads, width // heads
        weight, bias = attention.qkv.weight.detach(), attention.qkv.bias.detach()
        scales = attention.scale, 1.0, 1.0
        self.q, self.k, self.v = (
            _linear(weight[part * width : (part + 1) * width] * scale, bias[part * width : (part + 1) * width] * scale)
            for part, scale in enumerate(scales)
        )

    def forward(
        self, hidden_states: Tensor, attention_mask: Tensor | None = None, is_causal: bool = False, weights: Any = None
    ) -> tuple[Tensor, None]:
        """`SelfAttention.forward`, without the weights."""
        batch, length, width = hidden_states.shape
        x = hidden_states.reshape(batch * length, width)  # a product of matrices and a bias are then one operation
        q, k, v = (self._heads(part(x), batch, length) for part in (self.q, self.k, self.v))
        added = None if attention_mask is None else _added(attention_mask)
        if is_causal:
            places = torch.arange(length)
            later = _added(places <= places[:, None])
            added = later if added is None else added + later
        y = self._look(q, k, v, added).transpose(1, 2).reshape(batch * length, width)
        return self.whole.output(y).view(batch, length, width), None

    def at(self, x: Tensor, tokens: Tensor, causal: bool = False, mask: Tensor | None = None) -> Tensor:
        """`SelfAttention.at`."""
        batch, length, width = x.shape
        rows = x.reshape(batch * length, width)
        k, v = (self._heads(part(rows), batch, length) for part in (self.k, self.v))
        q = self._heads(self.q(x[torch.arange(batch), tokens]), batch, 1)
        added = None if mask is None else _added(mask)
        if causal:
            later = _added((torch.arange(length) <= tokens[:, None])[:, None, None])
            added = later if added is None else added + later
        return self.whole.output(self._look(q, k, v, added).reshape(batch, width))

    def _heads(self, x: Tensor, batch: int, length: int) -> Tensor:
        return x.view(batch, length, *self.heads).transpose(1, 2)

    def _look(self, q: Tensor, k: Tensor, v: Tensor, added: Tensor | None) -> Tensor:
        """Queries (B, H, L, D), scaled, keys and values (B, H, S, D) -> (B, H, L, D)."""
        scores = q @ k.transpose(2, 3)
        return (scores if added is None else scores + added).softmax(-1) @ v


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    linear = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
    linear.weight, linear.bias = nn.Parameter(weight.clone()), nn.Parameter(bias.clone())
    return linear


def _added(mask: Tensor) -> Tensor:
    """What hides: bool, True where a token may be seen -> numbers to add to the scores."""
    return torch.where(mask, 0.0, -1e9) if mask.dtype == torch.bool else mask
