"""CLIP's text tower. Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2.4.

Shapes: B texts, L tokens, W width, P projection.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from sightline.checkpoint.rules import Rule
from sightline.models.clip.config import CLIPTextConfig
from sightline.models.clip.layouts import HUGGING_FACE, TABLES
from sightline.models.layouts import bare
from sightline.models.pretrained import PretrainedModel
from sightline.models.tower import TextTower
from sightline.nn.calls import answer
from sightline.nn.initial import normal
from sightline.nn.outputs import ModelOutput, absent
from sightline.nn.text import TextTransformer


@dataclass
class CLIPTextModelOutput(ModelOutput):
    """`text_embeds` (B, P), not of unit length, and the tower's outputs."""

    text_embeds: Tensor = absent
    last_hidden_state: Tensor = absent
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


class CLIPTextModel(TextTransformer, PretrainedModel):
    """The tower alone: `last_hidden_state` and `pooler_output`, which is not projected."""

    base_model_prefix: ClassVar[str] = "clip"
    config_class = CLIPTextConfig
    tables = TABLES
    parts: ClassVar[tuple[str, ...]] = ("text_model.",)
    prefix: ClassVar[str] = "text_model."
    config: CLIPTextConfig

    @property
    def reference_layout(self) -> tuple[Rule, ...]:
        return bare(HUGGING_FACE, "text_model.")


class CLIPTextModelWithProjection(TextTower):
    """The text tower and its projection."""

    config_class = CLIPTextConfig
    tables = TABLES
    config: CLIPTextConfig

    def __init__(self, config: CLIPTextConfig) -> None:
        super().__init__()
        self.config = config
        self.text_model = CLIPTextModel(config)
        self.text_projection = nn.Linear(config.hidden_size, config.projection_dim, bias=False)
        normal(self.text_projection.weight, config.initializer_factor * config.hidden_size**-0.5)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> CLIPTextModelOutput:
        """The arguments are `CLIPTextModel.forward`'s."""
        options = self.options(output_attentions, output_hidden_states)
        out = self.text_model(input_ids, attention_mask, position_ids, **options)
        embeds = self.text_projection(out.pooler_output)
        outcome = CLIPTextModelOutput(embeds, out.last_hidden_state, out.hidden_states, out.attentions)
        return answer(outcome, return_dict, self.config)
