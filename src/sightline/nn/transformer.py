"""The pre-norm transformer that six towers share.

Shapes: B batch, L tokens, W width. Block: Xiong et al., "On Layer Normalization in the Transformer Architecture"
(2020), figure 1b, as in CLIP (Radford et al., 2021) section 2.4.
"""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sightline.nn.activations import Activation, ActivationLayer
from sightline.nn.aliases import Aliased, alias
from sightline.nn.attention import AttentionConfig, SelfAttention
from sightline.nn.gradients import by_hand, twice
from sightline.nn.hooks import hooked, plain
from sightline.nn.initial import normal
from sightline.nn.outputs import BaseModelOutput
from sightline.nn.products import by_onednn, linear


class Mlp(Aliased):
    """Two linear layers with an activation between them. `out`: the width of the output; None: that of the input."""

    def __init__(self, width: int, hidden: int, hidden_act: str, out: int | None = None) -> None:
        super().__init__()
        self.activation_fn = ActivationLayer(hidden_act)
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width if out is None else out)

    def forward(self, hidden_states: Tensor) -> Tensor:
        """`hidden_states` (..., W) -> (..., W or `out`)."""
        return feed_forward(hidden_states, self.fc1, self.activation_fn, self.fc2)


def feed_forward(x: Tensor, first: nn.Module, act: nn.Module, second: nn.Module) -> Tensor:
    """`second(act(first(x)))`, at once where they are two linear maps and an activation without hooks."""
    if not (plain(first, nn.Linear) and plain(act, ActivationLayer) and plain(second, nn.Linear) and by_hand()):
        return second(act(first(x)))  # type: ignore[no-any-return]
    inputs: list[Any] = [x.flatten(0, -2), first.weight, first.bias, second.weight, second.bias]
    if not torch.is_grad_enabled():
        y = _infer(act.kind, *inputs)  # type: ignore[arg-type]
    else:
        kind = x.device.type
        if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):  # not on "meta", for one
            inputs = [tensor.to(torch.get_autocast_dtype(kind)) for tensor in inputs]
        y = _Feed.apply(*inputs, act.kind)  # type: ignore[no-untyped-call]
    return y.view(*x.shape[:-1], int(second.out_features))  # type: ignore[arg-type]


def _feed(
    act: Activation, x: Tensor, weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Before the activation, after it, and the outcome. The products include the slope at no cost."""
    before = torch.addmm(bias1, x, weight1.T, beta=act.slope, alpha=act.slope)
    hidden = act.f(before)
    return before, hidden, torch.addmm(bias2, hidden, weight2.T, alpha=1 / act.slope)


def _infer(act: Activation, x: Tensor, weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor) -> Tensor:
    """`_feed`'s outcome alone."""
    if not by_onednn(x, weight1):
        return _feed(act, x, weight1, bias1, weight2, bias2)[-1]
    if act.slope == 1:
        return linear(act.f(linear(x, weight1, bias1)), weight2, bias2)
    hidden = act.f(linear(act.slope * x, weight1, act.slope * bias1))
    return torch.add(bias2, linear(hidden, weight2), alpha=1 / act.slope)


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
        ctx.save_for_backward(x, weight1, bias1, weight2, bias2, before, hidden)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight1, bias1, weight2, bias2, before, hidden = ctx.saved_tensors
        if torch.is_grad_enabled():  # by `create_graph=True`
            act = ctx.act
            inputs = x, weight1, bias1, weight2, bias2
            return *twice(lambda *inputs: _feed(act, *inputs)[-1], inputs, gradient), None
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


class BlockConfig(AttentionConfig, Protocol):
    """The settings that `Block` reads."""

    @property
    def intermediate_size(self) -> int: ...
    @property
    def hidden_act(self) -> str: ...
    @property
    def layer_norm_eps(self) -> float: ...


class EncoderConfig(BlockConfig, Protocol):
    """The settings that `Encoder` reads."""

    @property
    def num_hidden_layers(self) -> int: ...


class BlockMlp(Mlp):
    """A block's MLP, made from its config."""

    def __init__(self, config: BlockConfig) -> None:
        super().__init__(config.hidden_size, config.intermediate_size, config.hidden_act)
        self.config = config


class Block(Aliased):
    """Attention, then MLP, each on the normalized input and added to it: `attend`, then `feed`."""

    embed_dim = alias("self_attn.embed_dim")
    attention_class: ClassVar[type[SelfAttention]] = SelfAttention

    def __init__(self, config: BlockConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.layer_norm1 = nn.LayerNorm(width, config.layer_norm_eps)
        self.self_attn = self.attention_class(config)
        self.layer_norm2 = nn.LayerNorm(width, config.layer_norm_eps)
        self.mlp = BlockMlp(config)

    def attend(
        self, x: Tensor, mask: Tensor | None = None, causal: bool = False, weights: list[Tensor] | None = None
    ) -> Tensor:
        """The first half: `x` (B, L, W) -> (B, L, W). The arguments are `SelfAttention.forward`'s."""
        return x + self.heard(self.layer_norm1(x), mask, causal, weights)

    def heard(self, x: Tensor, mask: Tensor | None, causal: bool, weights: list[Tensor] | None) -> Tensor:
        """What the attention gives for the normalized `x`, without its weights: (B, L, W) -> (B, L, W)."""
        # By name, as the reference calls it: hooks that look at the call's names find what they look for.
        return self.self_attn(hidden_states=x, attention_mask=mask, is_causal=causal, weights=weights)[0]  # type: ignore[no-any-return]

    def feed(self, x: Tensor) -> Tensor:
        """The second half: `x` (B, L, W) -> (B, L, W)."""
        return x + self.mlp(self.layer_norm2(x))  # type: ignore[no-any-return]

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        is_causal: bool = False,
        weights: list[Tensor] | None = None,
    ) -> Tensor:
        """`attend`, then `feed`: `hidden_states` (B, L, W) -> (B, L, W)."""
        return self.feed(self.attend(hidden_states, attention_mask, is_causal, weights))

    def at(self, x: Tensor, tokens: Tensor, causal: bool = False, mask: Tensor | None = None) -> Tensor:
        """`forward`'s output at one token of each sequence: `x` (B, L, W), `tokens` (B,) -> (B, W)."""
        token = x[torch.arange(x.shape[0], device=x.device), tokens]
        return self.feed(token + self.self_attn.at(self.layer_norm1(x), tokens, causal, mask))

    def uncalled(self) -> tuple[nn.Module, ...]:
        """The modules whose `forward` has a part in the block's, and none in `at`."""
        return self, self.self_attn


class Transformer(Aliased):
    """A stack of blocks. With `gradient_checkpointing`, training keeps each block's input and computes it again."""

    def __init__(self, blocks: Iterable[Block], config: object = None) -> None:
        """`config`: whose `gradient_checkpointing`, if it has that, holds from the beginning."""
        super().__init__()
        self.layers = nn.ModuleList(blocks)
        self.gradient_checkpointing = bool(getattr(config, "gradient_checkpointing", False))
        self.checkpoint_options: dict[str, Any] = {"use_reentrant": False}

    def forward(
        self,
        inputs_embeds: Tensor,
        attention_mask: Tensor | None = None,
        is_causal: bool = False,
        states: list[Tensor] | None = None,
        weights: list[Tensor] | None = None,
    ) -> BaseModelOutput:
        """`inputs_embeds` (B, L, W) -> `last_hidden_state` (B, L, W).

        A list given as `states` receives the input and each block's output; one given as `weights` each block's
        attention weights (B, H, L, L). The other arguments are `SelfAttention.forward`'s.
        """
        return BaseModelOutput(self.run(inputs_embeds, attention_mask, is_causal, states, weights))

    def run(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        causal: bool = False,
        states: list[Tensor] | None = None,
        weights: list[Tensor] | None = None,
    ) -> Tensor:
        """`forward`'s `last_hidden_state`, from the same arguments."""
        if states is not None:
            states.append(x)
        for block in self.layers:
            x = self._kept(block, x, mask, causal) if weights is None else block(x, mask, causal, weights)
            if states is not None:
                states.append(x)
        return x

    def at(self, x: Tensor, tokens: Tensor, causal: bool = False, mask: Tensor | None = None) -> Tensor:
        """`forward`'s output at one token of each sequence: `x` (B, L, W), `tokens` (B,) -> (B, W).

        Of the last block, that token needs only the others' keys and values: a tower of 12 does 7% less. Where a hook
        waits on what would not be called, all is computed; hooks on the parts of the last block get that token alone.
        """
        last: Block = self.layers[-1]  # type: ignore[assignment]
        if hooked(self) or any(map(hooked, last.uncalled())):
            return self._states(x, causal, mask)[torch.arange(x.shape[0], device=x.device), tokens]
        for block in self.layers[:-1]:
            x = self._kept(block, x, mask, causal)
        return self._kept(last.at, x, tokens, causal, mask)

    def _states(self, x: Tensor, causal: bool, mask: Tensor | None) -> Tensor:
        """`forward`'s `last_hidden_state`."""
        return self(inputs_embeds=x, attention_mask=mask, is_causal=causal).last_hidden_state  # type: ignore[no-any-return]

    def _kept(self, block: Callable[..., Tensor], *args: Any) -> Tensor:
        if self.gradient_checkpointing and self.training:
            return checkpoint(block, *args, **self.checkpoint_options)  # type: ignore[no-any-return]
        return block(*args)


class Encoder(Transformer):
    """The blocks of a tower, made from its config."""

    block: ClassVar[type[Block]] = Block

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__((self.block(config) for _ in range(config.num_hidden_layers)), config)
        self.config = config


def init_blocks(blocks: Iterable[nn.Module], factor: float) -> None:
    """CLIP's initialisation (Radford et al., 2021, and its code): weights into the residual shrink with the depth."""
    ours = [block for block in blocks if isinstance(block, Block)]
    for block in ours:
        width = block.self_attn.out_proj.in_features
        residual = factor * (width * 2 * len(ours)) ** -0.5
        normal(block.self_attn.qkv.weight, factor * width**-0.5)
        normal(block.self_attn.out_proj.weight, residual)
        normal(block.mlp.fc1.weight, factor * (2 * width) ** -0.5)
        normal(block.mlp.fc2.weight, residual)
        for product in (block.self_attn.qkv, block.self_attn.out_proj, block.mlp.fc1, block.mlp.fc2):
            nn.init.zeros_(product.bias)
