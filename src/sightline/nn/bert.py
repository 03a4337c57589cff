"""BERT, the text tower of ALIGN and of pairs of towers. Devlin et al., "BERT: Pre-training of Deep Bidirectional
Transformers" (2019), section 3.

Shapes: B texts, L tokens, W width.
"""

from typing import ClassVar, Protocol

import torch
from torch import Tensor, nn

from sightline.errors import UsageError
from sightline.nn.aliases import Aliased, alias
from sightline.nn.bert_layers import BertEncoder, BertEncoderConfig, dropped
from sightline.nn.calls import answer, asked, padding_mask
from sightline.nn.hooks import hooked, plain
from sightline.nn.ids import Ids, WithIds
from sightline.nn.initial import normal
from sightline.nn.outputs import BaseModelOutputWithPooling
from sightline.nn.slices import Fused, Slice


class BertTransformerConfig(BertEncoderConfig, Protocol):
    """The settings that `BertTransformer` reads."""

    @property
    def vocab_size(self) -> int: ...
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


class BertEmbeddings(WithIds):
    """Words, their positions and kinds, added and normalized."""

    token_embedding = alias("word_embeddings")

    def __init__(self, config: BertTransformerConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.unused_positions = config.max_position_embeddings - config.max_tokens
        self.word_embeddings = _table(config.vocab_size, width, config.pad_token_id)
        self.position_embeddings = self.positions(config)
        self.token_type_embeddings = _table(config.type_vocab_size, width)
        self.LayerNorm = nn.LayerNorm(width, config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def positions(self, config: BertTransformerConfig) -> nn.Embedding:
        """The table of positions."""
        return _table(config.max_position_embeddings, config.hidden_size)

    def places(self, input_ids: Tensor | None, words: Tensor) -> Tensor:
        """The positions' vectors where no positions are given, for `words` (B, L, W): (L, W) or (1 or B, L, W)."""
        table, length = self.position_embeddings, words.shape[1]
        if plain(table, nn.Embedding) and not self.has_own("position_ids"):
            return table.weight[:length]
        return table(self.position_ids[:, :length])  # type: ignore[no-any-return]

    @property
    def max_tokens(self) -> int:
        """The longest text's tokens."""
        return len(self.position_embeddings.weight) - self.unused_positions

    @Ids
    def position_ids(self) -> Tensor:
        """All positions, (1, their number)."""
        table = self.position_embeddings
        return torch.arange(table.num_embeddings, device=table.weight.device)[None]

    @Ids
    def token_type_ids(self) -> Tensor:
        """The kinds where none are given: zeros, (1, the number of positions)."""
        return torch.zeros_like(self.position_ids)

    def forward(
        self,
        input_ids: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
    ) -> Tensor:
        """`input_ids` (B, L), or in their place what `word_embeddings` would give, (B, L, W) -> (B, L, W)."""
        if input_ids is None and inputs_embeds is None:
            raise UsageError("no input_ids and no inputs_embeds: the model needs one of them")
        words = self.word_embeddings(input_ids) if inputs_embeds is None else inputs_embeds
        batch, length, _ = words.shape
        if length > self.max_tokens:
            raise UsageError(
                f"{length} tokens, but the model has {self.max_tokens} positions; cut the text (truncation=True)"
            )
        table = self.token_type_embeddings
        if token_type_ids is None and self.has_own("token_type_ids"):
            token_type_ids = self.token_type_ids[:, :length]
        if token_type_ids is None and plain(table, nn.Embedding):
            kinds = table.weight[0]
        elif token_type_ids is None:
            kinds = table(words.new_zeros(batch, length, dtype=torch.long))
        else:
            kinds = table(token_type_ids)
        given = position_ids is not None
        places = self.position_embeddings(position_ids) if given else self.places(input_ids, words)
        return dropped(self.LayerNorm(words + kinds + places), self.dropout)


class BertPooler(Aliased):
    """A map of the first token's state."""

    def __init__(self, config: BertTransformerConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.activation = nn.Tanh()

    def forward(self, hidden_states: Tensor) -> Tensor:
        """(B, L, W) -> (B, W)."""
        return self.activation(self.dense(hidden_states[:, 0]))  # type: ignore[no-any-return]


class BertTransformer(Aliased):
    """Transformer over tokens that all see one another; the state at the first one stands for the text."""

    embeddings_class: ClassVar[type[BertEmbeddings]] = BertEmbeddings
    encoder_class: ClassVar[type[BertEncoder]] = BertEncoder
    config: BertTransformerConfig

    def __init__(self, config: BertTransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = self.embeddings_class(config)
        self.encoder = self.encoder_class(config)
        self.pooler = BertPooler(config)
        for module in self.modules():
            if isinstance(module, nn.Linear | Fused) and not isinstance(module, Slice):
                normal(module.weight, config.initializer_range)
                nn.init.zeros_(module.bias)
        tables = self.embeddings
        for table in (tables.word_embeddings, tables.position_embeddings, tables.token_type_embeddings):
            normal(table.weight, config.initializer_range)
        if config.pad_token_id is not None:
            with torch.no_grad():
                tables.word_embeddings.weight[config.pad_token_id] = 0

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> BaseModelOutputWithPooling:
        """`input_ids` (B, L) int64 -> all states (B, L, W) and the pooled one (B, W): the first, through the pooler.

        `attention_mask` (B, L): 0 for padding; without it padding is read like words. `token_type_ids` (B, L), by
        default 0. `inputs_embeds` (B, L, W) are taken in place of the tokens' embeddings. What is None among the last
        three is as the config says. Raises `UsageError` for more tokens than the model has positions.
        """
        if input_ids is not None and inputs_embeds is not None:
            raise UsageError("input_ids and inputs_embeds are two ways to say the same; give one of them")
        # By name, as the reference calls them: hooks that look at the call's names find what they look for.
        x = self.embeddings(
            input_ids=input_ids, position_ids=position_ids, token_type_ids=token_type_ids, inputs_embeds=inputs_embeds
        )
        config = self.config
        out = self.encoder(
            x,
            attention_mask=padding_mask(attention_mask, x[..., 0]),
            output_attentions=asked(output_attentions, config, "output_attentions"),
            output_hidden_states=asked(output_hidden_states, config, "output_hidden_states"),
        )
        pooled = self.pooler(out.last_hidden_state)
        outcome = BaseModelOutputWithPooling(out.last_hidden_state, pooled, out.hidden_states, out.attentions)
        return answer(outcome, return_dict, config)

    def first(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """`forward`'s `last_hidden_state` at the first token alone, for less work: (B, L) -> (B, W)."""
        if any(map(hooked, (self, self.pooler, *self.pooler.children()))):
            return self(input_ids, attention_mask, return_dict=True).last_hidden_state[:, 0]  # type: ignore[no-any-return]
        return self._first(input_ids, attention_mask)

    def _first(self, input_ids: Tensor, attention_mask: Tensor | None) -> Tensor:
        x, mask = self.embeddings(input_ids=input_ids), padding_mask(attention_mask, input_ids)
        return self.encoder.at(x, x.new_zeros(x.shape[0], dtype=torch.long), mask=mask)

    def pool(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """`forward`'s `pooler_output` alone, for less work: (B, L) -> (B, W)."""
        if hooked(self) or hooked(self.pooler):
            return self(input_ids, attention_mask, return_dict=True).pooler_output  # type: ignore[no-any-return]
        return self.pooler(self._first(input_ids, attention_mask)[:, None])  # type: ignore[no-any-return]


def _table(size: int, width: int, padding: int | None = None) -> nn.Embedding:
    return nn.Embedding(size, width, padding, _weight=torch.zeros(size, width))
