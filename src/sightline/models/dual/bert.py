"""BERT and RoBERTa, text towers for pairs of any two towers. Devlin et al. (2019), section 3; Liu et al., "RoBERTa: A
Robustly Optimized BERT Pretraining Approach" (2019).

Shapes: B texts, L tokens, W width.
"""

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from sightline.errors import UsageError
from sightline.models.config import Config
from sightline.models.dual.config import BertConfig, RobertaConfig
from sightline.models.dual.layouts import BERT_TABLES
from sightline.models.pretrained import PretrainedModel
from sightline.nn.bert import BertTransformer
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
        if not missing >= {"pooler.weight", "pooler.bias"}:
            return {}
        width = config.hidden_size
        weight = torch.empty(width, width)
        normal(weight, config.initializer_range)
        return {"pooler.weight": weight, "pooler.bias": torch.zeros(width)}


class RobertaModel(BertModel):
    """A BERT whose positions are counted without padding, from the number after the padding's."""

    base_model_prefix: ClassVar[str] = "roberta"
    config_class = RobertaConfig
    config: RobertaConfig

    def positions(self, inputs: Tensor, position_ids: Tensor | None) -> Tensor:
        padding = self.config.padding
        if position_ids is None:
            # Which of embeddings are padding's cannot be told.
            are_ids = not inputs.is_floating_point()
            words = inputs != padding if are_ids else torch.ones_like(inputs[..., 0], dtype=torch.bool)
            position_ids = words.cumsum(1) * words + padding
        return F.embedding(position_ids, self.position_embedding, padding_idx=padding)  # which is not trained
