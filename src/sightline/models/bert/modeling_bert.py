"""BERT's modules by the names and in the place that the reference gives them."""

from sightline.models.dual.bert import BertModel
from sightline.models.pretrained import PretrainedModel as BertPreTrainedModel
from sightline.nn.bert import BertEmbeddings, BertPooler
from sightline.nn.bert_layers import (
    BertAttention,
    BertEncoder,
    BertIntermediate,
    BertLayer,
    BertOutput,
    BertSelfAttention,
    BertSelfOutput,
)

__all__ = [
    "BertAttention",
    "BertEmbeddings",
    "BertEncoder",
    "BertIntermediate",
    "BertLayer",
    "BertModel",
    "BertOutput",
    "BertPooler",
    "BertPreTrainedModel",
    "BertSelfAttention",
    "BertSelfOutput",
]
