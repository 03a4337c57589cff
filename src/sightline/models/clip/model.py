"""CLIP: two towers, one space. Radford et al. (2021), figure 3.

Shapes: B pictures, T texts, P projection.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from sightline.models.clip.config import CLIPConfig
from sightline.models.clip.layouts import TABLES
from sightline.models.clip.text import CLIPTextModel
from sightline.models.clip.vision import CLIPVisionModel
from sightline.models.pairs import CLIPOutput, PairEmbeddings, ProjectedImages, ProjectedTexts
from sightline.nn.calls import answer
from sightline.nn.initial import normal


class CLIPModel(ProjectedTexts, ProjectedImages):
    """Both towers with their projections and the learned scale of the logits."""

    base_model_prefix: ClassVar[str] = "clip"
    config_class = CLIPConfig
    tables = TABLES
    last_parameter: ClassVar[str] = "text_projection.weight"
    config: CLIPConfig

    def __init__(self, config: CLIPConfig) -> None:
        super().__init__()
        self.config = config
        text, vision, factor = config.text_config, config.vision_config, config.initializer_factor
        self.text_embed_dim = text.hidden_size
        self.vision_embed_dim = vision.hidden_size
        self.projection_dim = config.projection_dim
        self.text_model = CLIPTextModel(text)
        self.vision_model = CLIPVisionModel(vision)
        self.text_projection = nn.Linear(text.hidden_size, config.projection_dim, bias=False)
        self.visual_projection = nn.Linear(vision.hidden_size, config.projection_dim, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(config.logit_scale_init_value))
        normal(self.text_projection.weight, factor * text.hidden_size**-0.5)
        normal(self.visual_projection.weight, factor * vision.hidden_size**-0.5)

    def forward(
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        return_loss: bool | None = None,
        interpolate_pos_encoding: bool = False,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> CLIPOutput:
        """`input_ids` (T, L) and `pixel_values` (B, C, H, W) -> similarities of all pairs.

        The loss takes the i-th text and the i-th picture as a pair, so B = T. The other arguments are the towers'.
        """
        input_ids, pixel_values = self.check_inputs(input_ids, pixel_values)
        options = self.options(output_attentions, output_hidden_states)
        vision = self.get_image_features(pixel_values, interpolate_pos_encoding, **options)
        text = self.get_text_features(input_ids, attention_mask, position_ids, **options)
        pairs = self.match(PairEmbeddings((vision.pooler_output,), (text.pooler_output,)))
        loss, logits = self.loss(pairs) if return_loss else None, pairs.logits_per_image
        out = CLIPOutput(loss, logits, logits.t(), pairs.text_embeds, pairs.image_embeds, text, vision)
        return answer(out, return_dict, self.config)

    def encode(self, pixel_values: Tensor, input_ids: Tensor, attention_mask: Tensor | None = None) -> PairEmbeddings:
        images = self.visual_projection(self.vision_model.pool(pixel_values))
        return PairEmbeddings((images,), (self.text_projection(self.text_model.pool(input_ids)),))
