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
from sightline.nn.calls import answer
from sightline.nn.initial import normal
from sightline.nn.outputs import ModelOutput, absent
from sightline.nn.vision import VisionTransformer


@dataclass
class CLIPVisionModelOutput(ModelOutput):
    """`image_embeds` (B, P), not of unit length, and the tower's outputs."""

    image_embeds: Tensor = absent
    last_hidden_state: Tensor = absent
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


class CLIPVisionModel(VisionTransformer, PretrainedModel):
    """The tower alone: `last_hidden_state` and `pooler_output`, which is not projected."""

    base_model_prefix: ClassVar[str] = "clip"
    main_input_name: ClassVar[str] = "pixel_values"
    input_layer: ClassVar[str] = "embeddings.patch_embedding"
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
        pixel_values: Tensor | None = None,
        interpolate_pos_encoding: bool = False,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> CLIPVisionModelOutput:
        """The arguments are `CLIPVisionModel.forward`'s."""
        options = self.options(output_attentions, output_hidden_states)
        out = self.vision_model(pixel_values, interpolate_pos_encoding, **options)
        embeds = self.visual_projection(out.pooler_output)
        outcome = CLIPVisionModelOutput(embeds, out.last_hidden_state, out.hidden_states, out.attentions)
        return answer(outcome, return_dict, self.config)
