"""Multi-head attention with fused query, key and value projections.

Shapes: B batch, L tokens, W width, H heads, D = W / H. Attention Is All You Need (Vaswani et al., 2017), section 3.2.
"""

from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from sightline.errors import SightlineError, UsageError
from sightline.nn.gradients import by_hand
from sightline.nn.hooks import hooked, plain
from sightline.nn.products import attention, linear, mapped
from sightline.nn.slices import Fused, WithParts

ATTENTION = ("sdpa", "eager", "flash_attention_2")


def unknown_attention(name: object) -> str:
    """What is said of a way to compute attention that there is none of."""
    return f'Specified `attn_implementation="{name}"` is not supported; there are {", ".join(ATTENTION)}'


class AttentionConfig(Protocol):
    """The settings that `SelfAttention` reads."""

    @property
    def hidden_size(self) -> int: ...
    @property
    def num_attention_heads(self) -> int: ...
    @property
    def attention_dropout(self) -> float: ...


class Attention(WithParts):
    """The base of both kinds. `implementation`: "sdpa", "eager" or "flash_attention_2"."""

    shows_weights: ClassVar[bool] = False
    """Whether a hook sees the weights by every implementation, and not by "eager" alone."""
    is_causal = False

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.embed_dim = width
        self.num_heads = heads
        self.dropout = dropout
        self.implementation = "sdpa"

    def follow(self, config: object) -> None:
        """Keeps the config, and computes in the way that it names. Raises `UsageError` for a way that is unknown."""
        self.config: Any = config
        named = getattr(config, "_attn_implementation", None) or "sdpa"
        if named not in ATTENTION:
            raise UsageError(unknown_attention(named))
        self.implementation = named

    @property
    def head_dim(self) -> int:
        """The width of a head."""
        return self.embed_dim // self.num_heads

    @property
    def scale(self) -> float:
        """By which scores are multiplied."""
        return float(self.head_dim**-0.5)

    @property
    def dropout_rate(self) -> float:
        """The fraction of the weights that training leaves out."""
        return self.dropout

    def weigh(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool, weights: list[Tensor] | None
    ) -> Tensor:
        """`q` (B, H, L, D), `k` and `v` (B, H, S, D) -> (B, L, W). Other arguments as in the subclasses' `forward`."""
        dropout = self.dropout_rate if self.training else 0.0
        if weights is not None or self.implementation == "eager":
            y, scores = _eager(q, k, v, mask, causal, dropout)
            if weights is not None:
                weights.append(scores)
        elif self.implementation == "flash_attention_2":
            y = _flash(q, k, v, mask, causal, dropout)
        else:
            y = fused_attention(q, k, v, mask, causal, dropout)
        return y.transpose(1, 2).flatten(2)


class SelfAttention(Attention):
    """Softmax attention of a sequence over itself."""

    parts = ("k_proj", "v_proj", "q_proj")

    def __init__(self, config: AttentionConfig) -> None:
        width = config.hidden_size
        super().__init__(width, config.num_attention_heads, config.attention_dropout)
        self.follow(config)
        self.qkv = Fused(width, 3 * width)
        self.add_parts("qkv", ("q_proj", "k_proj", "v_proj"))
        self.out_proj = nn.Linear(width, width)

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        is_causal: bool = False,
        weights: list[Tensor] | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """`hidden_states` (B, L, W) -> (B, L, W), and the weights where they are there to be seen.

        `attention_mask` (B, 1, 1 or L, L): bool, True where a token may be seen, or numbers that are added to the
        scores; `is_causal` hides the later tokens. A list given as `weights` receives the attention weights
        (B, H, L, L), which only the eager computation has. By "eager" a hook on the attention sees them too.
        """
        batch, length, width = hidden_states.shape
        eager = self.implementation == "eager"
        if (eager or self.shows_weights) and weights is None and hooked(self):
            weights = []
        qkv = self.project(hidden_states).view(batch, length, 3, self.num_heads, width // self.num_heads)
        drops = self.dropout_rate and self.training
        if eager and weights is None and attention_mask is None and not drops and by_hand():
            return self.output(_Packed.apply(qkv, is_causal)), None  # type: ignore[no-untyped-call]
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        y = self.output(self.weigh(q, k, v, attention_mask, is_causal, weights))
        return y, weights[-1] if weights else None

    def output(self, y: Tensor) -> Tensor:
        """The heads' outputs, one after another, (..., W) -> the attention's, (..., W)."""
        return mapped(self.out_proj, y)

    def project(self, x: Tensor) -> Tensor:
        """(B, L, W) -> queries, keys and values (B, L, 3 W)."""
        if self.apart():
            return torch.cat([self.q_proj(x), self.k_proj(x), self.v_proj(x)], dim=-1)
        return self.qkv(x)  # type: ignore[no-any-return]

    def at(self, x: Tensor, tokens: Tensor, causal: bool = False, mask: Tensor | None = None) -> Tensor:
        """`forward`'s output at one token of each sequence: `x` (B, L, W), `tokens` (B,) -> (B, W).

        Here `mask` is (B, 1, 1, L). For an attention without hooks.
        """
        batch, length, width = x.shape
        heads = self.num_heads, width // self.num_heads
        rows = torch.arange(batch, device=x.device)
        if not self.apart() and plain(self.qkv, Fused):
            weight, bias = self.qkv.weight, self.qkv.bias
            q, kv = linear(x[rows, tokens], weight[:width], bias[:width]), linear(x, weight[width:], bias[width:])
        else:  # an adapter's, say, or quantised
            queries, kv = self.project(x).split([width, 2 * width], dim=-1)  # type: ignore[no-untyped-call]
            q = queries[rows, tokens]
        k, v = kv.view(batch, length, 2, *heads).permute(2, 0, 3, 1, 4)
        dropout = self.dropout_rate if self.training else 0.0
        y = F.scaled_dot_product_attention(
            q.view(batch, heads[0], 1, heads[1]),
            k,
            v,
            attn_mask=seen_from(tokens, length, causal, mask),
            dropout_p=dropout,
        )
        return self.output(y.reshape(batch, width))


class CrossAttention(Attention):
    """Softmax attention of one sequence over another. `bias`: of the query's, keys' and values' projections."""

    parts = ("k_proj", "v_proj")

    def __init__(self, width: int, heads: int, dropout: float = 0.0, bias: bool = True) -> None:
        super().__init__(width, heads, dropout)
        self.q_proj = nn.Linear(width, width, bias)
        self.kv = Fused(width, 2 * width, bias)
        self.add_parts("kv", ("k_proj", "v_proj"))
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor, context: Tensor, weights: list[Tensor] | None = None) -> Tensor:
        """`x` (B, L, W) attends to `context` (B, S, W) -> (B, L, W). A list `weights` receives (B, H, L, S)."""
        return mapped(self.out_proj, self.look(x, context, context, weights))

    def look(self, x: Tensor, keys: Tensor, values: Tensor, weights: list[Tensor] | None = None) -> Tensor:
        """What `x` (B, L, W) finds in `keys` and `values` (B, S, W), before the output's map: (B, L, W)."""
        q = mapped(self.q_proj, x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)  # type: ignore[no-untyped-call]
        one = keys is values and not self.apart()
        kv: Any = self.kv(keys) if one else torch.cat([self.k_proj(keys), self.v_proj(values)], dim=-1)
        k, v = kv.unflatten(-1, (2, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        return self.weigh(q, k, v, None, False, weights)


def fused_attention(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, causal: bool = False, dropout: float = 0.0
) -> Tensor:
    """Torch's choice of kernel: (B, H, L or S, D) -> (B, H, L, D). Other arguments as in `SelfAttention.forward`."""
    if causal and mask is not None:
        mask, causal = _both(mask, causal_mask(q.shape[-2], q.device)), False
    if mask is None and not dropout and (quick := attention(q, k, v, causal)) is not None:
        return quick
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal, dropout_p=dropout)


def seen_from(tokens: Tensor, length: int, causal: bool, mask: Tensor | None) -> Tensor | None:
    """What one token of each sequence, `tokens` (B,), may see: a mask (B, 1, 1, L), or None for all."""
    if not causal:
        return mask
    before = (torch.arange(length, device=tokens.device) <= tokens[:, None])[:, None, None]
    return before if mask is None else _both(mask, before)


def _both(mask: Tensor, visible: Tensor) -> Tensor:
    """A mask, bool or of numbers, that also hides what is not `visible`, bool."""
    return mask & visible if mask.dtype == torch.bool else mask.masked_fill(~visible, -torch.inf)


def causal_mask(length: int, device: torch.device) -> Tensor:
    """(L, L), True where a token may be seen: itself and the tokens before it."""
    return torch.ones(length, length, dtype=torch.bool, device=device).tril()


def _eager(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool, dropout: float) -> tuple[Tensor, Tensor]:
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    if causal:
        visible = causal_mask(q.shape[-2], q.device)
        mask = visible if mask is None else _both(mask, visible)
    hides = mask is not None and mask.dtype == torch.bool
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf) if hides else scores + mask
    weights = scores.softmax(-1, dtype=torch.float32 if scores.dtype.itemsize < 4 else None).to(q.dtype)
    if mask is not None and hides:
        # A row that sees nothing gets zeros, as from the fused kernels, not NaN.
        weights = weights.masked_fill(~mask, 0)
    return F.dropout(weights, dropout) @ v, weights


class _Packed(torch.autograd.Function):
    """The eager computation on packed queries, keys and values, (B, L, 3, H, D) -> (B, L, W), with packed gradients.

    For short sequences on a CPU: left to autograd, half of the time goes into copies.
    """

    @staticmethod
    def forward(ctx: Any, qkv: Tensor, causal: bool) -> Tensor:
        batch, length, _, heads, size = qkv.shape
        q, k, v = qkv.permute(2, 0, 3, 1, 4).reshape(3, batch * heads, length, size)
        scores = q.new_zeros(length, length)
        if causal:
            scores.masked_fill_(~causal_mask(length, q.device), -torch.inf)
        weights = torch.baddbmm(scores, q, k.transpose(1, 2), alpha=size**-0.5).softmax(-1)
        ctx.heads = heads
        ctx.save_for_backward(q, k, v, weights)
        y: Tensor = weights @ v
        return y.view(batch, heads, length, size).transpose(1, 2).flatten(2)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        if torch.is_grad_enabled():  # by `create_graph=True`: what follows would be taken for constants
            raise UsageError(
                "attention by 'eager' gives no gradient that can be differentiated again, unless its weights are "
                "asked for: output_attentions=True"
            )
        q, k, v, weights = ctx.saved_tensors
        batch, length, _ = gradient.shape
        size = q.shape[-1]
        gradient = gradient.view(batch, length, ctx.heads, size).transpose(1, 2).reshape(q.shape)
        of_weights = gradient @ v.transpose(1, 2)
        of_scores = torch.ops.aten._softmax_backward_data(of_weights, weights, -1, weights.dtype).mul_(size**-0.5)
        of_qkv = gradient.new_empty(3, *q.shape)
        torch.bmm(of_scores, k, out=of_qkv[0])
        torch.bmm(of_scores.transpose(1, 2), q, out=of_qkv[1])
        torch.bmm(weights.transpose(1, 2), gradient, out=of_qkv[2])
        return of_qkv.view(3, batch, ctx.heads, length, size).permute(1, 3, 0, 2, 4).contiguous(), None


def _flash(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool, dropout: float) -> Tensor:
    if mask is not None:
        # The kernel takes no mask. Behind a causal one, padding on the right is never seen by a real token.
        if not causal or mask.dtype != torch.bool:
            raise SightlineError('the flash kernel takes no padding mask; use attn_implementation="sdpa"')
        right = mask[..., :1] | ~mask.any(-1, keepdim=True)
        if not bool((right & (mask[..., :-1] | ~mask[..., 1:]).all(-1, keepdim=True)).all()):
            raise SightlineError('the flash kernel needs padding on the right; use attn_implementation="sdpa"')
    try:
        with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
            return F.scaled_dot_product_attention(q, k, v, is_causal=causal, dropout_p=dropout)
    except RuntimeError as error:
        raise SightlineError(
            f"torch has no flash kernel for {q.dtype} on {q.device.type} with heads of {q.shape[-1]}"
            f'{" and dropout" if dropout else ""}; use attn_implementation="sdpa" (or dtype "bfloat16" on a GPU)'
        ) from error
