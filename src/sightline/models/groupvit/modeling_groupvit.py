"""GroupViT's modules by the names and in the place that the reference gives them."""

from sightline.models.groupvit.grouping import (
    GroupViTAssignAttention,
    GroupViTAttention,
    GroupViTCrossAttentionLayer,
    GroupViTEncoderLayer,
    GroupViTMixerMLP,
    GroupViTMLP,
    GroupViTStage,
    GroupViTTokenAssign,
)
from sightline.models.groupvit.model import GroupViTModel, GroupViTModelOutput as GroupViTModelOutput
from sightline.models.groupvit.text import (
    GroupViTTextEncoder,
    GroupViTTextModel,
    GroupViTTextModel as GroupViTTextTransformer,
)
from sightline.models.groupvit.vision import (
    GroupViTPatchEmbeddings,
    GroupViTVisionEmbeddings,
    GroupViTVisionEncoder,
    GroupViTVisionModel,
    GroupViTVisionModel as GroupViTVisionTransformer,
)
from sightline.models.pretrained import PretrainedModel as GroupViTPreTrainedModel
from sightline.nn.text import TextEmbeddings as GroupViTTextEmbeddings

__all__ = [
    "GroupViTAssignAttention",
    "GroupViTAttention",
    "GroupViTCrossAttentionLayer",
    "GroupViTEncoderLayer",
    "GroupViTMLP",
    "GroupViTMixerMLP",
    "GroupViTModel",
    "GroupViTModelOutput",
    "GroupViTPatchEmbeddings",
    "GroupViTPreTrainedModel",
    "GroupViTStage",
    "GroupViTTextEmbeddings",
    "GroupViTTextEncoder",
    "GroupViTTextModel",
    "GroupViTTextTransformer",
    "GroupViTTokenAssign",
    "GroupViTVisionEmbeddings",
    "GroupViTVisionEncoder",
    "GroupViTVisionModel",
    "GroupViTVisionTransformer",
]
