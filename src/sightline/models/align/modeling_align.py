"""ALIGN's modules by the names and in the place that the reference gives them."""

from sightline.models.align.blocks import (
    AlignVisionBlock,
    AlignVisionDepthwiseConv2d,
    AlignVisionDepthwiseLayer,
    AlignVisionEmbeddings,
    AlignVisionExpansionLayer,
    AlignVisionFinalBlockLayer,
    AlignVisionSqueezeExciteLayer,
)
from sightline.models.align.model import AlignModel, AlignOutput
from sightline.models.align.text import (
    AlignTextAttention,
    AlignTextEncoder,
    AlignTextLayer,
    AlignTextModel,
    AlignTextSelfAttention,
)
from sightline.models.align.vision import AlignVisionEncoder, AlignVisionModel
from sightline.models.pretrained import PretrainedModel as AlignPreTrainedModel
from sightline.nn.bert import BertEmbeddings as AlignTextEmbeddings, BertPooler as AlignTextPooler
from sightline.nn.bert_layers import (
    BertIntermediate as AlignTextIntermediate,
    BertOutput as AlignTextOutput,
    BertSelfOutput as AlignTextSelfOutput,
)

__all__ = [
    "AlignModel",
    "AlignOutput",
    "AlignPreTrainedModel",
    "AlignTextAttention",
    "AlignTextEmbeddings",
    "AlignTextEncoder",
    "AlignTextIntermediate",
    "AlignTextLayer",
    "AlignTextModel",
    "AlignTextOutput",
    "AlignTextPooler",
    "AlignTextSelfAttention",
    "AlignTextSelfOutput",
    "AlignVisionBlock",
    "AlignVisionDepthwiseConv2d",
    "AlignVisionDepthwiseLayer",
    "AlignVisionEmbeddings",
    "AlignVisionEncoder",
    "AlignVisionExpansionLayer",
    "AlignVisionFinalBlockLayer",
    "AlignVisionModel",
    "AlignVisionSqueezeExciteLayer",
]
