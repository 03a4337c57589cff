"""RoBERTa's modules by the names and in the place that the reference gives them: but for the positions, BERT's."""

from sightline.models.dual.bert import RobertaEmbeddings, RobertaModel
from sightline.models.pretrained import PretrainedModel as RobertaPreTrainedModel
from sightline.nn.bert import BertPooler as RobertaPooler
from sightline.nn.bert_layers import (
    BertAttention as RobertaAttention,
    BertEncoder as RobertaEncoder,
    BertIntermediate as RobertaIntermediate,
    BertLayer as RobertaLayer,
    BertOutput as RobertaOutput,
    BertSelfAttention as RobertaSelfAttention,
    BertSelfOutput as RobertaSelfOutput,
)

__all__ = [
    "RobertaAttention",
    "RobertaEmbeddings",
    "RobertaEncoder",
    "RobertaIntermediate",
    "RobertaLayer",
    "RobertaModel",
    "RobertaOutput",
    "RobertaPooler",
    "RobertaPreTrainedModel",
    "RobertaSelfAttention",
    "RobertaSelfOutput",
]
