"""GroupViT's text tower: CLIP's, with a head of two layers. Xu et al., "GroupViT: Semantic Segmentation Emerges from
Text Supervision" (2022), section 3.2.

Shapes: B texts, L tokens, W width, P projection.
"""

from typing import ClassVar

from sightline.models.groupvit.config import GroupViTConfig, GroupViTTextConfig
from sightline.models.groupvit.grouping import GroupViTEncoderLayer
from sightline.models.groupvit.head import ProjectionHead
from sightline.models.groupvit.layouts import TABLES
from sightline.models.pretrained import PretrainedModel
from sightline.models.tower import TextTower
from sightline.nn.text import TextTransformer
from sightline.nn.transformer import Encoder


class GroupViTTextEncoder(Encoder):
    """All blocks, one after another."""

    block = GroupViTEncoderLayer


class GroupViTTextModel(TextTransformer, PretrainedModel):
    """The tower alone: `last_hidden_state` and `pooler_output`, which is not projected."""

    base_model_prefix: ClassVar[str] = "groupvit"
    encoder_class = GroupViTTextEncoder
    config_class = GroupViTTextConfig
    tables = TABLES
    parts: ClassVar[tuple[str, ...]] = ("text_model.",)
    prefix: ClassVar[str] = "text_model."
    config: GroupViTTextConfig


class GroupViTTextTower(TextTower):
    """The text tower and its projection."""

    config_class = GroupViTConfig
    tables = TABLES
    config: GroupViTConfig

    def __init__(self, config: GroupViTConfig) -> None:
        super().__init__()
        self.config = config
        self.text_model = GroupViTTextModel(config.text_config)
        self.text_projection = ProjectionHead(
            config.text_config.hidden_size, config.projection_intermediate_dim, config.projection_dim
        )
