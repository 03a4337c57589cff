"""What models share whose towers' pooled states are projected into one space: CLIP, GroupViT, X-CLIP's texts,
two towers of one's choice.

Shapes: B pictures, T texts, P projection.
"""

import math
from typing import Any

from torch import Tensor, nn

from sightline.models.pairs import PairModel
from sightline.models.pretrained import PretrainedModel
from sightline.nn.outputs import TowerOutput


class LogitScale(PairModel):
    """The learned scale of the logits, kept as its logarithm."""

    logit_scale: nn.Parameter

    @property
    def scale(self) -> Tensor:
        """What the cosines are multiplied with."""
        return self.logit_scale.exp()

    @property
    def scale_parameter(self) -> nn.Parameter:
        """The logarithm of the scale."""
        return self.logit_scale

    def hold_scale(self, most: float) -> None:
        self.logit_scale.data.clamp_(max=math.log(most))


class ProjectedTexts(LogitScale):
    """A text tower with its projection (X-CLIP's, before any prompt)."""

    text_model: Any  # each family's own
    text_projection: Any

    def get_text_features(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        output_hidden_states: bool = False,
        output_attentions: bool = False,
    ) -> TowerOutput:
        """The text tower's outputs with `pooler_output` (T, P) projected, not of unit length."""
        out: TowerOutput = self.text_model(
            input_ids, attention_mask, position_ids, output_hidden_states, output_attentions
        )
        out.pooler_output = self.text_projection(out.pooler_output)
        return out


class ProjectedPictures(PretrainedModel):
    """A vision tower with its projection."""

    vision_model: Any
    visual_projection: Any

    def get_image_features(
        self,
        pixel_values: Tensor,
        interpolate_pos_encoding: bool = False,
        output_hidden_states: bool = False,
        output_attentions: bool = False,
    ) -> TowerOutput:
        """The vision tower's outputs with `pooler_output` (B, P) projected, not of unit length."""
        out: TowerOutput = self.vision_model(
            pixel_values, interpolate_pos_encoding, output_hidden_states, output_attentions
        )
        out.pooler_output = self.visual_projection(out.pooler_output)
        return out
