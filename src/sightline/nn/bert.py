"""BERT, the text tower of ALIGN and of pairs of towers. Devlin et al., "BERT: Pre-training of Deep Bidirectional
Transformers" (2019), section 3.

Shapes: B texts, L tokens, W width.
"""

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.errors import UsageError
from sightline.nn.aliases import Aliased
from sightline.nn.initial import normal
from sightline.nn.outputs import TowerOutput, optional_tuple
from sightline.nn.transformer import Block, BlockConfig, Transformer


class BertTransformerConfig(BlockConfig, Protocol):
    """The settings that `BertTransformer` reads."""

    @property
    def vocab_size(self) -> int: ...
    @property
    def num_hidden_layers(self) -> int: ...
    @property
    def hidden_dropout_prob(self) -> float: ...
    @property
    def max_position_embeddings(self) -> int: ...
    @property
    def max_tokens(self) -> int: ...
    @property
    def type_vocab_size(self) -> int: ...
    @property
    def initializer_range(self) -> float: ...
    @property
    def pad_token_id(self) -> int | None: ...


class PostNormBlock(Block):
    """The first transformer's block (Vaswani et al., 2017): each half is added to its input, then normalized."""

    def __init__(self, config: BertTransformerConfig) -> None:
        super().__init__(config)
        self.dropout = config.hidden_dropout_prob

    def attend(
        self, x: Tensor, mask: Tensor | None = None, causal: bool = False, weights: list[Tensor] | None = None
    ) -> Tensor:
        return self.norm1(x + self._drop(self.heard(x, mask, causal, weights)))  # type: ignore[no-any-return]

    def at(self, x: Tensor, tokens: Tensor, causal: bool = False, mask: Tensor | None = None) -> Tensor:
        token = x[torch.arange(x.shape[0], device=x.device), tokens]
        return self.feed(self.norm1(token + self._drop(self.attention.at(x, tokens, causal, mask))))

    def feed(self, x: Tensor) -> Tensor:
        return self.norm2(x + self._drop(self.mlp(x)))  # type: ignore[no-any-return]

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training)


class BertTransformer(Aliased):
    """Transformer over tokens that all see one another; the state at the first one stands for the text."""

    config: BertTransformerConfig

    def __init__(self, config: BertTransformerConfig) -> None:
        super().__init__()
        self.config = config
        width, size = config.hidden_size, config.vocab_size
        words = torch.empty(size, width)
        self.token_embedding = nn.Embedding(size, width, padding_idx=config.pad_token_id, _weight=words)
        self.position_embedding = nn.Parameter(torch.empty(config.max_position_embeddings, width))
        self.type_embedding = nn.Parameter(torch.empty(config.type_vocab_size, width))
        self.norm = nn.LayerNorm(width, config.layer_norm_eps)
        self.transformer = Transformer([PostNormBlock(config) for _ in range(config.num_hidden_layers)])
        self.pooler = nn.Linear(width, width)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                normal(module.weight, config.initializer_range)
                nn.init.zeros_(module.bias)
        for table in (self.token_embedding.weight, self.position_embedding, self.type_embedding):
            normal(table, config.initializer_range)
        if config.pad_token_id is not None:
            with torch.no_grad():
                self.token_embedding.weight[config.pad_token_id] = 0

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        output_hidden_states: bool = False,
        output_attentions: bool = False,
    ) -> TowerOutput:
        """`input_ids` (B, L) int64 -> all states (B, L, W) and the pooled one (B, W): the first, through the pooler.

        `attention_mask` (B, L): 0 for padding; without it padding is read like words. `token_type_ids` (B, L), by
        default 0. Raises `UsageError` for more tokens than the model has positions.
        """
        x = self._tokens(input_ids, token_type_ids, position_ids)
        states: list[Tensor] | None = [] if output_hidden_states else None
        weights: list[Tensor] | None = [] if output_attentions else None
        x = self.transformer(x, _mask(attention_mask), False, states, weights).last_hidden_state
        return TowerOutput(x, self._pooled(x[:, 0]), optional_tuple(states), optional_tuple(weights))

    def first(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """`forward`'s `last_hidden_state` at the first token alone, for less work: (B, L) -> (B, W)."""
        x = self._tokens(input_ids, None, None)
        return self.transformer.at(x, x.new_zeros(x.shape[0], dtype=torch.long), mask=_mask(attention_mask))

    def pool(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """`forward`'s `pooler_output` alone, for less work: (B, L) -> (B, W)."""
        return self._pooled(self.first(input_ids, attention_mask))

    def positions(self, input_ids: Tensor, position_ids: Tensor | None) -> Tensor:
        """The position embeddings that are added to the tokens, by default from 0 on: (L, W) or (B, L, W)."""
        table = self.position_embedding
        return table[: input_ids.shape[-1]] if position_ids is None else table[position_ids]

    def _pooled(self, first: Tensor) -> Tensor:
        return self.pooler(first).tanh()  # type: ignore[no-any-return]

    def _tokens(self, input_ids: Tensor, token_type_ids: Tensor | None, position_ids: Tensor | None) -> Tensor:
        length = input_ids.shape[-1]
        if length > self.config.max_tokens:
            raise UsageError(
                f"{length} tokens, but the model has {self.config.max_tokens} positions; cut the text (truncation=True)"
            )
        types = self.type_embedding[0] if token_type_ids is None else self.type_embedding[token_type_ids]
        x = self.norm(self.token_embedding(input_ids) + types + self.positions(input_ids, position_ids))
        return F.dropout(x, self.config.hidden_dropout_prob, self.training)


def _mask(attention_mask: Tensor | None) -> Tensor | None:
    return None if attention_mask is None else attention_mask[:, None, None].bool()
