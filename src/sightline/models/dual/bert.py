"""BERT and RoBERTa, text towers for pairs of any two towers. Devlin et al. (2019), section 3; Liu et al., "RoBERTa: A
Robustly Optimized BERT Pretraining Approach" (2019).

Shapes: B texts, L tokens, W width.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sightline.errors import UsageError
from sightline.models.config import Config
from sightline.models.dual.config import BertConfig, RobertaConfig
from sightline.models.dual.layouts import BERT_TABLES
from sightline.models.pretrained import PretrainedModel
from sightline.nn.bert import BertEmbeddings, BertTransformer
from sightline.nn.initial import normal
from sightline.nn.outputs import BaseModelOutputWithPooling


class BertModel(BertTransformer, PretrainedModel):
    """A BERT, out of any model that it was trained in. A file without a pooler gets a new pooler, to be trained."""

    base_model_prefix: ClassVar[str] = "bert"
    config_class = BertConfig
    tables = BERT_TABLES
    config: BertConfig

    def forward(  # type: ignore[override]
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        encoder_hidden_states: None = None,
        encoder_attention_mask: None = None,
        past_key_values: None = None,
        use_cache: bool | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> BaseModelOutputWithPooling:
        """`BertTransformer.forward`; `use_cache`, which decoders know, changes nothing. Raises `UsageError` for what
        only a decoder reads."""
        if any(value is not None for value in (encoder_hidden_states, encoder_attention_mask, past_key_values)):
            raise UsageError(f"a {type(self).__name__} is an encoder here: it reads no other's states and no cache")
        asked = (output_attentions, output_hidden_states, return_dict)
        return super().forward(input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds, *asked)

    @classmethod
    def fresh(cls, config: Config, missing: set[str]) -> dict[str, Tensor]:
        assert isinstance(config, BertConfig)
        if not missing >= {"pooler.dense.weight", "pooler.dense.bias"}:
            return {}
        width = config.hidden_size
        weight = torch.empty(width, width)
        normal(weight, config.initializer_range)
        return {"pooler.dense.weight": weight, "pooler.dense.bias": torch.zeros(width)}


class RobertaEmbeddings(BertEmbeddings):
    """Positions are counted without padding, from the number after the padding's."""

    def __init__(self, config: RobertaConfig) -> None:
        super().__init__(config)
        self.padding_idx = config.padding

    def positions(self, config: Any) -> nn.Embedding:
        table = super().positions(config)
        table.padding_idx = config.padding  # which is not trained
        return table

    def places(self, input_ids: Tensor | None, words: Tensor) -> Tensor:
        if input_ids is None:
            counted = torch.arange(1, words.shape[1] + 1, device=words.device)[None]
        else:
            is_word = input_ids != self.padding_idx
            counted = is_word.cumsum(1) * is_word
        return self.position_embeddings(counted + self.padding_idx)  # type: ignore[no-any-return]


class RobertaModel(BertModel):
    """A BERT whose positions are counted without padding, from the number after the padding's."""

    base_model_prefix: ClassVar[str] = "roberta"
    embeddings_class = RobertaEmbeddings
    config_class = RobertaConfig
    config: RobertaConfig
