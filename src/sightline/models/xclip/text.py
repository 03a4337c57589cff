"""X-CLIP's text tower: CLIP's.

Shapes: B texts, L tokens, P projection.
"""

from typing import ClassVar

from torch import nn

from sightline.models.pretrained import PretrainedModel
from sightline.models.tower import TextTower
from sightline.models.xclip.config import XCLIPConfig, XCLIPTextConfig
from sightline.models.xclip.layouts import TABLES, TEXT_TABLES
from sightline.nn.initial import normal
from sightline.nn.text import TextTransformer


class XCLIPTextModel(TextTransformer, PretrainedModel):
    """The tower alone: `last_hidden_state` and `pooler_output`, which is not projected."""

    base_model_prefix: ClassVar[str] = "x_clip"
    config_class = XCLIPTextConfig
    tables = TEXT_TABLES
    parts: ClassVar[tuple[str, ...]] = ("text_model.",)
    prefix: ClassVar[str] = "text_model."
    config: XCLIPTextConfig

    def __init__(self, config: XCLIPTextConfig) -> None:
        super().__init__(config)
        self.eos_token_id = 2  # at the highest id, whatever the config says: the checkpoints were made so


class XCLIPTextTower(TextTower):
    """The text tower and its projection. Without a video, texts have no prompt."""

    config_class = XCLIPConfig
    tables = TABLES
    config: XCLIPConfig

    def __init__(self, config: XCLIPConfig) -> None:
        super().__init__()
        self.config = config
        width = config.text_config.hidden_size
        self.text_model = XCLIPTextModel(config.text_config)
        self.text_projection = nn.Linear(width, config.projection_dim, bias=False)
        normal(self.text_projection.weight, config.initializer_factor * width**-0.5)
