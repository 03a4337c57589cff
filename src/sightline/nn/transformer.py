"""The pre-norm transformer that six towers share.

Shapes: B batch, L tokens, W width. Block: Xiong et al., "On Layer Normalization in the Transformer Architecture"
(2020), figure 1b, as in CLIP (Radford et al., 2021) section 2.4.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from sightline.errors import CheckpointError
from sightline.nn.aliases import Aliased
from sightline.nn.attention import SelfAttention
from sightline.nn.initial import normal


class Activation(NamedTuple):
    """x -> f(slope x) / slope. The linear maps before and after multiply and divide by the slope at no cost.

    `back`: the gradient of f(x), and x -> the gradient of x.
    """

    f: Callable[[Tensor], Tensor]
    back: Callable[[Tensor, Tensor], Tensor]
    slope: float = 1.0

    def __call__(self, x: Tensor) -> Tensor:
        """(...) -> the same shape."""
        return self.f(x) if self.slope == 1 else self.f(self.slope * x) / self.slope


# Functions of this module, as torch's operations cannot be pickled, and a model with them could not be either.
def _gelu_back(gradient: Tensor, x: Tensor, approximate: str = "none") -> Tensor:
    back: Tensor = torch.ops.aten.gelu_backward(gradient, x, approximate=approximate)
    return back


def _silu_back(gradient: Tensor, x: Tensor) -> Tensor:
    back: Tensor = torch.ops.aten.silu_backward(gradient, x)
    return back


def _relu_back(gradient: Tensor, x: Tensor) -> Tensor:
    back: Tensor = torch.ops.aten.threshold_backward(gradient, x, 0)
    return back


_TANH = Activation(partial(F.gelu, approximate="tanh"), partial(_gelu_back, approximate="tanh"))
ACTIVATIONS = {
    # x * sigmoid(1.702 x), the approximation of Hendrycks & Gimpel (2016) with which OpenAI trained CLIP.
    "quick_gelu": Activation(F.silu, _silu_back, 1.702),
    "gelu": Activation(F.gelu, _gelu_back),
    "gelu_new": _TANH,
    "gelu_pytorch_tanh": _TANH,
    "relu": Activation(F.relu, _relu_back),
    "silu": Activation(F.silu, _silu_back),
    "swish": Activation(F.silu, _silu_back),
}


def activation(name: str) -> Activation:
    """The activation that a config calls `name`. Raises `CheckpointError` for an unknown name."""
    try:
        return ACTIVATIONS[name]
    except KeyError:
        raise CheckpointError(f"unknown activation {name!r}; known are {', '.join(ACTIVATIONS)}") from None


class Mlp(Aliased):
    """Two linear layers with an activation between them. `out`: the width of the output; None: that of the input."""

    def __init__(self, width: int, hidden: int, hidden_act: str, out: int | None = None) -> None:
        super().__init__()
        self.act = activation(hidden_act)
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width if out is None else out)

    def forward(self, x: Tensor) -> Tensor:
        """`x` (..., W) -> (..., W or `out`)."""
        if type(self.fc1) is not nn.Linear or type(self.fc2) is not nn.Linear:  # an adapter's, say, or quantised
            return self.fc2(self.act(self.fc1(x)))  # type: ignore[no-any-return]
        inputs = [x.flatten(0, -2), self.fc1.weight, self.fc1.bias, self.fc2.weight, self.fc2.bias]
        if not torch.is_grad_enabled():
            y = _feed(self.act, *inputs)[-1]
        else:
            kind = x.device.type
            if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):  # not on "meta", for one
                inputs = [tensor.to(torch.get_autocast_dtype(kind)) for tensor in inputs]
            y = _Feed.apply(*inputs, self.act)  # type: ignore[no-untyped-call]
        return y.view(*x.shape[:-1], self.fc2.out_features)


def _feed(
    act: Activation, x: Tensor, weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Before the activation, after it, and the outcome. The products include the slope at no cost."""
    before = torch.addmm(bias1, x, weight1.T, beta=act.slope, alpha=act.slope)
    hidden = act.f(before)
    return before, hidden, torch.addmm(bias2, hidden, weight2.T, alpha=1 / act.slope)


class _Feed(torch.autograd.Function):
    """Two linear maps and the activation between them, (N, W) -> (N, out).

    Left to autograd, the scales in the products would become passes over gradients as large as the hidden layer.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor, act: Activation
    ) -> Tensor:
        before, hidden, y = _feed(act, x, weight1, bias1, weight2, bias2)
        ctx.act = act
        ctx.save_for_backward(x, weight1, weight2, before, hidden)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight1, weight2, before, hidden = ctx.saved_tensors
        # With regard to what comes before the slope: it and the one over the slope, after, cancel.
        inner = ctx.act.back(gradient @ weight2, before)
        of_x, *of_weights = ctx.needs_input_grad
        # In half precision a product with what lies transposed takes up to twice as long on a processor.
        half = gradient.is_cpu and gradient.dtype.itemsize < 4
        turned = gradient.T.contiguous() if half else gradient.T
        return (
            inner @ weight1 if of_x else None,
            inner.T @ x if of_weights[0] else None,
            inner.sum(0) if of_weights[1] else None,
            turned @ hidden / ctx.act.slope if of_weights[2] else None,
            gradient.sum(0) if of_weights[3] else None,
            None,
        )


class BlockConfig(Protocol):
    """The settings that `Block` reads."""

    @property
    def hidden_size(self) -> int: ...
    @property
    def intermediate_size(self) -> int: ...
    @property
    def num_attention_heads(self) -> int: ...
    @property
    def hidden_act(self) -> str: ...
    @property
    def layer_norm_eps(self) -> float: ...
    @property
    def attention_dropout(self) -> float: ...


class Block(Aliased):
    """Attention, then MLP, each on the normalized input and added to it: `attend`, then `feed`."""

    def __init__(self, config: "BlockConfig") -> None:
        super().__init__()
        width = config.hidden_size
        self.norm1 = nn.LayerNorm(width, config.layer_norm_eps)
        self.attention = SelfAttention(width, config.num_attention_heads, config.attention_dropout)
        self.norm2 = nn.LayerNorm(width, config.layer_norm_eps)
        self.mlp = Mlp(width, config.intermediate_size, config.hidden_act)

    def attend(
        self, x: Tensor, mask: Tensor | None = None, causal: bool = False, weights: list[Tensor] | None = None
    ) -> Tensor:
        """The first half: `x` (B, L, W) -> (B, L, W). The arguments are `SelfAttention.forward`'s."""
        return x + self.attention(self.norm1(x), mask, causal, weights)  # type: ignore[no-any-return]

    def feed(self, x: Tensor) -> Tensor:
        """The second half: `x` (B, L, W) -> (B, L, W)."""
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]

    def forward(
        self, x: Tensor, mask: Tensor | None = None, causal: bool = False, weights: list[Tensor] | None = None
    ) -> Tensor:
        """`attend`, then `feed`: `x` (B, L, W) -> (B, L, W)."""
        return self.feed(self.attend(x, mask, causal, weights))

    def at(self, x: Tensor, tokens: Tensor, causal: bool = False, mask: Tensor | None = None) -> Tensor:
        """`forward`'s output at one token of each sequence: `x` (B, L, W), `tokens` (B,) -> (B, W)."""
        token = x[torch.arange(x.shape[0], device=x.device), tokens]
        return self.feed(token + self.attention.at(self.norm1(x), tokens, causal, mask))


class Transformer(Aliased):
    """A stack of blocks. With `gradient_checkpointing`, training keeps each block's input and computes it again."""

    def __init__(self, blocks: list[Block]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.gradient_checkpointing = False
        self.checkpoint_options: dict[str, Any] = {"use_reentrant": False}

    def forward(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        causal: bool = False,
        states: list[Tensor] | None = None,
        weights: list[Tensor] | None = None,
    ) -> Tensor:
        """`x` (B, L, W) -> (B, L, W).

        A list given as `states` receives the input and each block's output; one given as `weights` each block's
        attention weights (B, H, L, L).
        """
        if states is not None:
            states.append(x)
        for block in self.blocks:
            x = self._kept(block, x, mask, causal) if weights is None else block(x, mask, causal, weights)
            if states is not None:
                states.append(x)
        return x

    def at(self, x: Tensor, tokens: Tensor, causal: bool = False, mask: Tensor | None = None) -> Tensor:
        """`forward`'s output at one token of each sequence: `x` (B, L, W), `tokens` (B,) -> (B, W).

        Of the last block, that token needs only the others' keys and values: a tower of 12 does 7% less.
        """
        last: Block = self.blocks[-1]  # type: ignore[assignment]
        for block in self.blocks[:-1]:
            x = self._kept(block, x, mask, causal)
        return self._kept(last.at, x, tokens, causal, mask)

    def _kept(self, block: Callable[..., Tensor], *args: Any) -> Tensor:
        if self.gradient_checkpointing and self.training:
            return checkpoint(block, *args, **self.checkpoint_options)  # type: ignore[no-any-return]
        return block(*args)


def init_blocks(blocks: Iterable[nn.Module], factor: float) -> None:
    """CLIP's initialisation (Radford et al., 2021, and its code): weights into the residual shrink with the depth."""
    ours = [block for block in blocks if isinstance(block, Block)]
    for block in ours:
        width = block.attention.out.in_features
        residual = factor * (width * 2 * len(ours)) ** -0.5
        normal(block.attention.qkv.weight, factor * width**-0.5)
        normal(block.attention.out.weight, residual)
        normal(block.mlp.fc1.weight, factor * (2 * width) ** -0.5)
        normal(block.mlp.fc2.weight, residual)
        for linear in (block.attention.qkv, block.attention.out, block.mlp.fc1, block.mlp.fc2):
            nn.init.zeros_(linear.bias)
