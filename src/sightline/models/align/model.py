"""ALIGN: two towers, one space. Jia et al., "Scaling Up Visual and Vision-Language Representation Learning With Noisy
Text Supervision" (2021), section 4.

Shapes: B pictures, T texts, P projection.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from sightline.models.align.config import AlignConfig
from sightline.models.align.layouts import TABLES
from sightline.models.align.text import AlignTextModel
from sightline.models.align.vision import AlignVisionModel
from sightline.models.pairs import CLIPOutput, PairEmbeddings, PairModel
from sightline.nn.calls import answer
from sightline.nn.outputs import BaseModelOutputWithPooling, BaseModelOutputWithPoolingAndNoAttention


@dataclass
class AlignOutput(CLIPOutput):
    """`CLIPOutput`'s fields; `text_model_output` has BERT's own `pooler_output`, which is no part of the embedding."""


class AlignModel(PairModel):
    """Both towers, the projection of texts and the learned temperature of the logits."""

    base_model_prefix: ClassVar[str] = "align"
    config_class = AlignConfig
    tables = TABLES
    label_smoothing: ClassVar[float] = 0.1
    lora_targets: ClassVar[tuple[str, ...]] = (
        *("query", "key", "value", "output.dense", "intermediate.dense"),
        *("convolution", "expand_conv", "project_conv", "reduce", "expand"),
    )
    towers: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "image": ("vision_model",),
        "text": ("text_model", "text_projection"),
    }
    config: AlignConfig

    def __init__(self, config: AlignConfig) -> None:
        super().__init__()
        self.config = config
        self.projection_dim = config.projection_dim
        self.text_embed_dim = config.text_config.hidden_size
        self.text_model = AlignTextModel(config.text_config)
        self.vision_model = AlignVisionModel(config.vision_config)
        self.text_projection = nn.Linear(self.text_embed_dim, config.projection_dim)
        self.temperature = nn.Parameter(torch.tensor(config.temperature_init_value))
        if not self.text_projection.weight.is_meta:
            nn.init.xavier_uniform_(self.text_projection.weight)
            nn.init.zeros_(self.text_projection.bias)

    @property
    def scale(self) -> Tensor:
        return 1 / self.temperature

    @property
    def scale_parameter(self) -> nn.Parameter:
        return self.temperature

    def clamp_logit_scale(self, maximum: float) -> None:
        self.temperature.data.clamp_(min=1 / maximum)

    def get_text_features(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> BaseModelOutputWithPooling:
        """The text tower's outputs; `pooler_output` (T, P) is the first token's state projected, not of unit length."""
        options = self.options(output_attentions, output_hidden_states)
        out: BaseModelOutputWithPooling = self.text_model(
            input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds, **options
        )
        out.pooler_output = self.text_projection(out.last_hidden_state[:, 0])
        return answer(out, return_dict, self.config)

    def get_image_features(
        self,
        pixel_values: Tensor,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        interpolate_pos_encoding: bool = False,
    ) -> BaseModelOutputWithPoolingAndNoAttention:
        """The vision tower's outputs, `pooler_output` (B, P) not of unit length."""
        options = self.options(output_attentions, output_hidden_states)
        out: BaseModelOutputWithPoolingAndNoAttention = self.vision_model(
            pixel_values, interpolate_pos_encoding=interpolate_pos_encoding, **options
        )
        return answer(out, return_dict, self.config)

    def forward(
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        return_loss: bool | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        interpolate_pos_encoding: bool = False,
    ) -> AlignOutput:
        """`input_ids` (T, L) and `pixel_values` (B, C, H, W) -> similarities of all pairs.

        The loss takes the i-th text and the i-th picture as a pair, so B = T. The other arguments are the towers'.
        """
        _, pixel_values = self.check_inputs(input_ids if inputs_embeds is None else inputs_embeds, pixel_values)
        options = self.options(output_attentions, output_hidden_states)
        vision = self.vision_model(pixel_values, interpolate_pos_encoding=interpolate_pos_encoding, **options)
        text = self.text_model(input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds, **options)
        texts = self.text_projection(text.last_hidden_state[:, 0])
        pairs = self.match(PairEmbeddings((vision.pooler_output,), (texts,)))
        loss, logits = self.loss(pairs) if return_loss else None, pairs.logits_per_image
        out = AlignOutput(loss, logits, logits.t(), pairs.text_embeds, pairs.image_embeds, text, vision)
        return answer(out, return_dict, self.config)

    def encode(self, pixel_values: Tensor, input_ids: Tensor, attention_mask: Tensor | None = None) -> PairEmbeddings:
        texts = self.text_projection(self.text_model.first(input_ids, attention_mask))
        return PairEmbeddings((self.vision_model.embed(pixel_values),), (texts,))
