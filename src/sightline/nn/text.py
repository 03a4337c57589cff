"""The text tower that CLIP, GroupViT and X-CLIP share. Radford et al., "Learning Transferable Visual Models From
Natural Language Supervision" (2021), section 2.4.

Shapes: B texts, L tokens, W width.
"""

from typing import Protocol

import torch
from torch import Tensor, nn

from sightline.errors import UsageError
from sightline.nn.aliases import Aliased
from sightline.nn.calls import answer, asked, given, padding_mask
from sightline.nn.initial import normal
from sightline.nn.outputs import BaseModelOutputWithPooling, optional_tuple
from sightline.nn.transformer import Block, BlockConfig, Transformer, init_blocks


class TextTransformerConfig(BlockConfig, Protocol):
    """The settings that `TextTransformer` reads."""

    @property
    def vocab_size(self) -> int: ...
    @property
    def max_position_embeddings(self) -> int: ...
    @property
    def num_hidden_layers(self) -> int: ...
    @property
    def initializer_factor(self) -> float: ...
    @property
    def eos_token_id(self) -> int: ...


class TextTransformer(Aliased):
    """Causal transformer over tokens; the state at the end token is the pooled state."""

    config: TextTransformerConfig

    def __init__(self, config: TextTransformerConfig) -> None:
        super().__init__()
        self.config = config
        width, factor = config.hidden_size, config.initializer_factor
        self.token_embedding = nn.Embedding(config.vocab_size, width, _weight=torch.empty(config.vocab_size, width))
        self.position_embedding = nn.Parameter(torch.empty(config.max_position_embeddings, width))
        self.transformer = Transformer([Block(config) for _ in range(config.num_hidden_layers)])
        self.final_norm = nn.LayerNorm(width, config.layer_norm_eps)
        normal(self.token_embedding.weight, 0.02 * factor)
        normal(self.position_embedding, 0.02 * factor)
        init_blocks(self.transformer.blocks, factor)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> BaseModelOutputWithPooling:
        """`input_ids` (B, L) int64 -> all states (B, L, W), normalized, and the pooled one (B, W).

        `attention_mask` (B, L): 0 for padding. Padding on the right changes nothing before it, as attention is
        causal: leaving the mask out gives the same `pooler_output`. Raises `UsageError` for more tokens than the
        model has positions. What is None among the last three is as the config says.
        """
        config, input_ids = self.config, given(input_ids, "input_ids")
        mask = padding_mask(attention_mask, input_ids)
        input_ids = input_ids.view(-1, input_ids.shape[-1])
        x = self._tokens(input_ids, position_ids)
        states: list[Tensor] | None = [] if asked(output_hidden_states, config, "output_hidden_states") else None
        weights: list[Tensor] | None = [] if asked(output_attentions, config, "output_attentions") else None
        x = self.final_norm(self.transformer(x, mask, True, states, weights))
        pooled = x[torch.arange(x.shape[0], device=x.device), self._end(input_ids)]
        out = BaseModelOutputWithPooling(x, pooled, optional_tuple(states), optional_tuple(weights))
        return answer(out, return_dict, config)

    def pool(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """`forward`'s `pooler_output` alone, for less work: (B, L) -> (B, W).

        Padding is on the right, where it is not seen: the mask changes nothing.
        """
        x, ends = self._tokens(input_ids, None), self._end(input_ids)
        if not (self.training and x.is_cpu and type(x) is Tensor):  # the others have shapes and no numbers, say
            return self.final_norm(self.transformer.at(x, ends, causal=True))  # type: ignore[no-any-return]
        # Nothing sees what is behind an end: of texts of like length, only the longest's tokens are computed. A part
        # more pays from about 2,000 tokens on, as each goes through all weights.
        order = ends.argsort()
        parts = [
            self.transformer.at(x[rows, : int(ends[rows[-1]]) + 1], ends[rows], causal=True)
            for rows in order.chunk(min(3, 1 + ends.numel() * int(ends.max()) // 2_000))
        ]
        return self.final_norm(torch.cat(parts)[order.argsort()])  # type: ignore[no-any-return]

    def _tokens(self, input_ids: Tensor, position_ids: Tensor | None) -> Tensor:
        length = input_ids.shape[-1]
        if length > self.config.max_position_embeddings:
            raise UsageError(
                f"{length} tokens, but the model has {self.config.max_position_embeddings} positions; "
                "cut the text (truncation=True)"
            )
        positions = self.position_embedding
        tokens: Tensor = self.token_embedding(input_ids)
        return tokens + (positions[:length] if position_ids is None else positions[position_ids])

    def _end(self, input_ids: Tensor) -> Tensor:
        """(B,) where each text is pooled."""
        if self.config.eos_token_id == 2:
            # Configs from before release 4.31 say 2, whatever the vocabulary: the end token is the highest id.
            return input_ids.argmax(-1)
        return (input_ids == self.config.eos_token_id).int().argmax(-1)
