"""The parts of a BERT: the first transformer's block (Vaswani et al., 2017), each half of which is added to its input,
then normalized. Names and arguments are the reference's.

Shapes: B texts, L tokens, W width, H heads.
"""

from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from sightline.nn.activations import ActivationLayer
from sightline.nn.aliases import Aliased, alias
from sightline.nn.attention import Attention, SelfAttention
from sightline.nn.hooks import plain
from sightline.nn.outputs import BaseModelOutput, optional_tuple
from sightline.nn.products import mapped
from sightline.nn.slices import Fused
from sightline.nn.transformer import BlockConfig, Transformer, feed_forward


class BertLayerConfig(BlockConfig, Protocol):
    """The settings that `BertLayer` reads."""

    @property
    def hidden_dropout_prob(self) -> float: ...


class BertEncoderConfig(BertLayerConfig, Protocol):
    """The settings that `BertEncoder` reads."""

    @property
    def num_hidden_layers(self) -> int: ...


def dropped(x: Tensor, dropout: nn.Module) -> Tensor:
    """`dropout(x)`: in evaluation, without a hook, `x` at once."""
    return x if not dropout.training and plain(dropout, nn.Dropout) else dropout(x)


class BertSelfAttention(SelfAttention):
    """Attention without the output's map, which is `BertSelfOutput`'s."""

    parts = ("query", "key", "value")
    q_proj, k_proj, v_proj = alias("query"), alias("key"), alias("value")
    num_attention_heads, attention_head_size, all_head_size = alias("num_heads"), alias("head_dim"), alias("embed_dim")
    scaling = alias("scale")

    def __init__(self, config: BertLayerConfig) -> None:
        # Without a map of its own at the end: the random numbers that it would draw are the next part's.
        Attention.__init__(self, config.hidden_size, config.num_attention_heads, config.attention_dropout)
        self.follow(config)
        self.qkv = Fused(config.hidden_size, 3 * config.hidden_size)
        self.add_parts("qkv", self.parts)
        self.dropout: nn.Dropout = nn.Dropout(config.attention_dropout)  # type: ignore[assignment]

    def output(self, y: Tensor) -> Tensor:
        return y

    @property
    def attention_dropout(self) -> float:
        """`dropout.p`."""
        return self.dropout.p

    @property
    def dropout_rate(self) -> float:
        return self.dropout.p


class BertSelfOutput(Aliased):
    """A linear map from `width` numbers, added to the input of its half of the block, then normalized."""

    def __init__(self, config: BertLayerConfig, width: int | None = None) -> None:
        super().__init__()
        self.dense = nn.Linear(width or config.hidden_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, hidden_states: Tensor, input_tensor: Tensor) -> Tensor:
        """(..., `width`) and the half's input (..., W) -> (..., W)."""
        return self.add(mapped(self.dense, hidden_states), input_tensor)

    def add(self, x: Tensor, input_tensor: Tensor) -> Tensor:
        """What comes after the linear map: (..., W) and (..., W) -> (..., W)."""
        return self.LayerNorm(input_tensor + dropped(x, self.dropout))  # type: ignore[no-any-return]


class BertOutput(BertSelfOutput):
    """The second map of a block's MLP, and the sum after it."""

    def __init__(self, config: BertLayerConfig) -> None:
        super().__init__(config, config.intermediate_size)


class BertIntermediate(Aliased):
    """The first map of a block's MLP and the activation."""

    def __init__(self, config: BertLayerConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.intermediate_size)
        self.intermediate_act_fn = ActivationLayer(config.hidden_act)

    def forward(self, hidden_states: Tensor) -> Tensor:
        """(..., W) -> (..., the config's `intermediate_size`)."""
        return self.intermediate_act_fn(self.dense(hidden_states))  # type: ignore[no-any-return]


class BertAttention(Aliased):
    """The first half of a block."""

    self_class: ClassVar[type[BertSelfAttention]] = BertSelfAttention

    def __init__(self, config: BertLayerConfig) -> None:
        super().__init__()
        self.self = self.self_class(config)
        self.output = BertSelfOutput(config)

    def forward(
        self, hidden_states: Tensor, attention_mask: Tensor | None = None, weights: list[Tensor] | None = None
    ) -> tuple[Tensor, Tensor | None] | Tensor:
        """(B, L, W) -> (B, L, W), and the attention's weights. The arguments are `SelfAttention.forward`'s."""
        heard, seen = self.self(hidden_states, attention_mask=attention_mask, weights=weights)
        return self.output(heard, hidden_states), seen

    def at(self, x: Tensor, tokens: Tensor, mask: Tensor | None) -> Tensor:
        """`forward`'s first output at one token of each sequence, (B, W), where no part has a hook."""
        token = x[torch.arange(x.shape[0], device=x.device), tokens]
        return self.output(self.self.at(x, tokens, mask=mask), token)  # type: ignore[no-any-return]


class BertLayer(Aliased):
    """A block: `attention`, then the MLP of `intermediate` and `output`."""

    attention_class: ClassVar[type[BertAttention]] = BertAttention
    chunk_size_feed_forward = 0
    seq_len_dim = 1

    def __init__(self, config: BertLayerConfig) -> None:
        super().__init__()
        self.attention = self.attention_class(config)
        self.intermediate = BertIntermediate(config)
        self.output = BertOutput(config)

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        output_attentions: bool = False,
        weights: list[Tensor] | None = None,
    ) -> Tensor:
        """(B, L, W) -> (B, L, W). `output_attentions` changes nothing, as in the reference; a list given as `weights`
        receives the attention's weights (B, H, L, L)."""
        y = self.attention(hidden_states, attention_mask=attention_mask, weights=weights)
        return self.feed_forward_chunk(y if isinstance(y, Tensor) else y[0])

    def feed_forward_chunk(self, attention_output: Tensor) -> Tensor:
        """The second half of the block: (..., W) -> (..., W)."""
        middle, out = self.intermediate, self.output
        if plain(middle, BertIntermediate) and plain(out, BertOutput):
            y = feed_forward(attention_output, middle.dense, middle.intermediate_act_fn, out.dense)
            return out.add(y, attention_output)
        return out(middle(attention_output), attention_output)  # type: ignore[no-any-return]

    def at(self, x: Tensor, tokens: Tensor, causal: bool = False, mask: Tensor | None = None) -> Tensor:
        """`forward`'s output at one token of each sequence: `x` (B, L, W), `tokens` (B,) -> (B, W)."""
        return self.feed_forward_chunk(self.attention.at(x, tokens, mask))

    def uncalled(self) -> tuple[nn.Module, ...]:
        """The modules whose `forward` has a part in the block's, and none in `at`."""
        return self, self.attention, self.attention.self


class BertEncoder(Transformer):
    """All blocks, one after another."""

    layer_class: ClassVar[type[BertLayer]] = BertLayer
    layers = alias("layer")  # by the name that the base has
    layer: nn.ModuleList

    def __init__(self, config: BertEncoderConfig) -> None:
        super().__init__((self.layer_class(config) for _ in range(config.num_hidden_layers)), config)  # type: ignore[misc]
        self.config = config

    def forward(  # type: ignore[override]
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        output_attentions: bool = False,
        output_hidden_states: bool = False,
        return_dict: bool = True,
    ) -> Any:
        """(B, L, W) -> `last_hidden_state` (B, L, W) and, if asked for, the input and each block's output, and each
        block's attention weights (B, H, L, L). As a tuple if `return_dict` is false."""
        x = hidden_states
        states: list[Tensor] | None = [x] if output_hidden_states else None
        weights: list[Tensor] | None = [] if output_attentions else None
        for layer in self.layer:
            x = self._kept(layer, x, attention_mask) if weights is None else layer(x, attention_mask, True, weights)
            if states is not None:
                states.append(x)
        out = BaseModelOutput(x, optional_tuple(states), optional_tuple(weights))
        return out if return_dict else out.to_tuple()

    def _states(self, x: Tensor, causal: bool, mask: Tensor | None) -> Tensor:
        return self(x, attention_mask=mask).last_hidden_state  # type: ignore[no-any-return]
