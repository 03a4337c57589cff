"""The text tower that CLIP, GroupViT and X-CLIP share. Radford et al., "Learning Transferable Visual Models From
Natural Language Supervision" (2021), section 2.4.

Shapes: B texts, L tokens, W width.
"""

from typing import ClassVar, Protocol, Self

import torch
from torch import Tensor, nn

from sightline.errors import UsageError
from sightline.nn.aliases import Aliased
from sightline.nn.calls import answer, asked, given, padding_mask
from sightline.nn.hooks import hooked, plain
from sightline.nn.ids import Ids, WithIds
from sightline.nn.initial import empty_embedding, normal
from sightline.nn.outputs import BaseModelOutputWithPooling, optional_tuple
from sightline.nn.transformer import Encoder, EncoderConfig, init_blocks


class TextTransformerConfig(EncoderConfig, Protocol):
    """The settings that `TextTransformer` reads."""

    @property
    def vocab_size(self) -> int: ...
    @property
    def max_position_embeddings(self) -> int: ...
    @property
    def initializer_factor(self) -> float: ...
    @property
    def eos_token_id(self) -> int: ...


class TextEmbeddings(WithIds):
    """Tokens and their places as vectors."""

    def __init__(self, config: TextTransformerConfig) -> None:
        super().__init__()
        width, factor = config.hidden_size, config.initializer_factor
        self.token_embedding = empty_embedding(config.vocab_size, width)
        self.position_embedding = empty_embedding(config.max_position_embeddings, width)
        normal(self.token_embedding.weight, 0.02 * factor)
        normal(self.position_embedding.weight, 0.02 * factor)

    @Ids
    def position_ids(self) -> Tensor:
        """(1, positions), from 0 on."""
        weight = self.position_embedding.weight
        return torch.arange(len(weight), device=weight.device)[None]

    def forward(
        self,
        input_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
    ) -> Tensor:
        """`input_ids` (B, L) int64, or in their place `inputs_embeds` (B, L, W) -> (B, L, W).

        `position_ids` (B or 1, L): the tokens' places; by default from 0 on. Raises `UsageError` for neither, and for
        more tokens than there are positions.
        """
        if inputs_embeds is None:
            if input_ids is None:
                raise UsageError("no input_ids and no inputs_embeds: one of them is needed")
            inputs_embeds = self.token_embedding(input_ids)
        length, table = inputs_embeds.shape[-2], self.position_embedding
        if length > len(table.weight):
            raise UsageError(
                f"{length} tokens, but the model has {len(table.weight)} positions; cut the text (truncation=True)"
            )
        if position_ids is None and plain(table, nn.Embedding) and not self.has_own("position_ids"):
            return inputs_embeds + table.weight[:length]
        return inputs_embeds + table(self.position_ids[:, :length] if position_ids is None else position_ids)  # type: ignore[no-any-return]


class TextTransformer(Aliased):
    """Causal transformer over tokens; the state at the end token is the pooled state."""

    encoder_class: ClassVar[type[Encoder]] = Encoder
    config: TextTransformerConfig

    def __init__(self, config: TextTransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.eos_token_id = config.eos_token_id
        # The order in which random numbers are drawn is not that of the parts: a seed's model stays what it is.
        transformer = self.encoder_class(config)
        self.embeddings = TextEmbeddings(config)
        self.encoder = transformer
        self.final_layer_norm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        init_blocks(self.encoder.layers, config.initializer_factor)

    @property
    def text_model(self) -> Self:
        """The tower itself: in the reference, or in its earlier releases, a class around it has it by this name."""
        return self

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
        x = self.embeddings(input_ids=input_ids, position_ids=position_ids)
        states: list[Tensor] | None = [] if asked(output_hidden_states, config, "output_hidden_states") else None
        weights: list[Tensor] | None = [] if asked(output_attentions, config, "output_attentions") else None
        x = self.encoder(inputs_embeds=x, attention_mask=mask, is_causal=True, states=states, weights=weights)
        x = self.final_layer_norm(x.last_hidden_state)
        pooled = x[torch.arange(x.shape[0], device=x.device), self._end(input_ids)]
        out = BaseModelOutputWithPooling(x, pooled, optional_tuple(states), optional_tuple(weights))
        return answer(out, return_dict, config)

    def pool(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """`forward`'s `pooler_output` alone, for less work: (B, L) -> (B, W).

        Padding is on the right, where it is not seen: the mask changes nothing. Hooks on parts of the last block
        and on the last norm get the pooled states alone, and in training on a processor all get parts of the batch.
        """
        if hooked(self):
            return self(input_ids, attention_mask, return_dict=True).pooler_output  # type: ignore[no-any-return]
        x, ends = self.embeddings(input_ids=input_ids), self._end(input_ids)
        if not (self.training and x.is_cpu and type(x) is Tensor):  # the others have shapes and no numbers, say
            return self.final_layer_norm(self.encoder.at(x, ends, causal=True))  # type: ignore[no-any-return]
        # Nothing sees what is behind an end: of texts of like length, only the longest's tokens are computed. A part
        # more pays from about 2,000 tokens on, as each goes through all weights.
        order = ends.argsort()
        parts = [
            self.encoder.at(x[rows, : int(ends[rows[-1]]) + 1], ends[rows], causal=True)
            for rows in order.chunk(min(3, 1 + ends.numel() * int(ends.max()) // 2_000))
        ]
        return self.final_layer_norm(torch.cat(parts)[order.argsort()])  # type: ignore[no-any-return]

    def _end(self, input_ids: Tensor) -> Tensor:
        """(B,) where each text is pooled."""
        if self.eos_token_id == 2:
            # Configs from before release 4.31 say 2, whatever the vocabulary: the end token is the highest id.
            return input_ids.argmax(-1)
        return (input_ids == self.eos_token_id).int().argmax(-1)
