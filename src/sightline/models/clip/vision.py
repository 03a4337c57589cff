"""CLIP's vision tower. Radford et al. (2021), section 2.4.

Shapes: B pictures, C channels, L patches + 1, W width, P projection.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from sightline.checkpoint.rules import Rule
from sightline.models.clip.config import CLIPVisionConfig
from sightline.models.clip.layouts import HUGGING_FACE, TABLES
from sightline.models.layouts import bare
from sightline.models.pretrained import PretrainedModel
from sightline.models.tower import ImageTower
from sightline.nn.initial import normal
from sightline.nn.outputs import Output
from sightline.nn.vision import VisionTransformer


@dataclass
class CLIPVisionModelOutput(Output):
    """`image_embeds` (B, P), not of unit length, and the tower's outputs."""

    image_embeds: Tensor
    last_hidden_state: Tensor
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


class CLIPVisionModel(VisionTransformer, PretrainedModel):
    """The tower alone: `last_hidden_state` and `pooler_output`, which is not projected."""

    config_class = CLIPVisionConfig
    tables = TABLES
    parts: ClassVar[tuple[str, ...]] = ("vision_model.",)
    prefix: ClassVar[str] = "vision_model."
    config: CLIPVisionConfig

    @property
    def reference_layout(self) -> tuple[Rule, ...]:
        return bare(HUGGING_FACE, "vision_model.")


class CLIPVisionModelWithProjection(ImageTower):
    """The vision tower and its projection."""

    config_class = CLIPVisionConfig
    tables = TABLES
    config: CLIPVisionConfig

    def __init__(self, config: CLIPVisionConfig) -> None:
        super().__init__()
        self.config = config
        self.vision_model = CLIPVisionModel(config)
        self.visual_projection = nn.Linear(config.hidden_size, config.projection_dim, bias=False)
        normal(self.visual_projection.weight, config.initializer_factor * config.hidden_size**-0.5)

    def forward(
        self,
        pixel_values: Tensor,
        interpolate_pos_encoding: bool = False,
        output_hidden_states: bool = False,
        output_attentions: bool = False,
    ) -> CLIPVisionModelOutput:
        """The arguments are `CLIPVisionModel.forward`'s."""
        out = self.vision_model(pixel_values, interpolate_pos_encoding, output_hidden_states, output_attentions)
        embeds = self.visual_projection(out.pooler_output)
        return CLIPVisionModelOutput(embeds, out.last_hidden_state, out.hidden_states, out.attentions)
