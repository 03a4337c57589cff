"""BERT and RoBERTa, text towers for pairs of any two towers. Devlin et al. (2019), section 3; Liu et al., "RoBERTa: A
Robustly Optimized BERT Pretraining Approach" (2019).

Shapes: B texts, L tokens, W width.
"""

from typing import Any

import torch
from torch import Tensor, nn

from sightline.models.config import Config
from sightline.models.dual.config import BertConfig, RobertaConfig
from sightline.models.dual.layouts import BERT_TABLES
from sightline.models.pretrained import PretrainedModel
from sightline.nn.bert import BertEmbeddings, BertTransformer
from sightline.nn.initial import normal


class BertModel(BertTransformer, PretrainedModel):
    """A BERT, out of any model that it was trained in. A file without a pooler gets a new pooler, to be trained."""

    config_class = BertConfig
    tables = BERT_TABLES
    config: BertConfig

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

    def count(self, input_ids: Tensor | None, like: Tensor) -> Tensor:
        if input_ids is None:
            return super().count(None, like) + self.padding_idx + 1
        words = input_ids != self.padding_idx
        return words.cumsum(1) * words + self.padding_idx


class RobertaModel(BertModel):
    """A BERT whose positions are counted without padding, from the number after the padding's."""

    embeddings_class = RobertaEmbeddings
    config_class = RobertaConfig
    config: RobertaConfig
