"""BERT and RoBERTa, text towers for pairs of any two towers. Devlin et al. (2019), section 3; Liu et al., "RoBERTa: A
Robustly Optimized BERT Pretraining Approach" (2019).

Shapes: B texts, L tokens, W width.
"""

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from sightline.models.config import Config
from sightline.models.dual.config import BertConfig, RobertaConfig
from sightline.models.dual.layouts import BERT_TABLES
from sightline.models.pretrained import PretrainedModel
from sightline.nn.bert import BertTransformer
from sightline.nn.initial import normal


class BertModel(BertTransformer, PretrainedModel):
    """A BERT, out of any model that it was trained in. A file without a pooler gets a new pooler, to be trained."""

    base_model_prefix: ClassVar[str] = "bert"
    config_class = BertConfig
    tables = BERT_TABLES
    config: BertConfig

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
