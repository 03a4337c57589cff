"""ALIGN's text tower, a BERT. Jia et al. (2021), section 4.1.

Shapes: B texts, L tokens, W width, P projection.
"""

from typing import ClassVar

from torch import Tensor, nn

from sightline.models.align.config import AlignConfig, AlignTextConfig
from sightline.models.align.layouts import TABLES, TEXT_TABLES
from sightline.models.pretrained import PretrainedModel
from sightline.models.tower import TextTower
from sightline.nn.bert import BertTransformer
from sightline.nn.bert_layers import BertAttention, BertEncoder, BertLayer, BertSelfAttention


class AlignTextSelfAttention(BertSelfAttention):
    """Attention without the output's map."""

    shows_weights = True


class AlignTextAttention(BertAttention):
    """The first half of a block, which gives its states alone."""

    self_class = AlignTextSelfAttention

    def forward(
        self, hidden_states: Tensor, attention_mask: Tensor | None = None, weights: list[Tensor] | None = None
    ) -> Tensor:
        """(B, L, W) -> (B, L, W). The arguments are `SelfAttention.forward`'s."""
        return super().forward(hidden_states, attention_mask, weights)[0]


class AlignTextLayer(BertLayer):
    """A block."""

    attention_class = AlignTextAttention


class AlignTextEncoder(BertEncoder):
    """All blocks, one after another."""

    layer_class = AlignTextLayer


class AlignTextModel(BertTransformer, PretrainedModel):
    """The tower alone. The embedding does not use BERT's `pooler_output`."""

    base_model_prefix: ClassVar[str] = "align"
    encoder_class = AlignTextEncoder
    config_class = AlignTextConfig
    tables = TEXT_TABLES
    parts: ClassVar[tuple[str, ...]] = ("text_model.",)
    prefix: ClassVar[str] = "text_model."
    config: AlignTextConfig


class AlignTextTower(TextTower):
    """The text tower and its projection."""

    config_class = AlignConfig
    tables = TABLES
    config: AlignConfig

    def __init__(self, config: AlignConfig) -> None:
        super().__init__()
        self.config = config
        self.text_model = AlignTextModel(config.text_config)
        self.text_projection = nn.Linear(config.text_config.hidden_size, config.projection_dim)

    def state(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """The first token's state. Without the `mask` padding is read like words."""
        return self.text_model.first(inputs, mask)  # type: ignore[no-any-return]
