"""CLIP's vision tower, a ViT with a norm before the blocks. Radford et al. (2021), section 2.4.

Shapes: B pictures, C channels, L patches + 1, W width, P projection.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from sightline.errors import UsageError
from sightline.models.clip.config import CLIPVisionConfig
from sightline.models.clip.layouts import TABLES
from sightline.models.pretrained import PretrainedModel, Tower
from sightline.nn.initial import normal
from sightline.nn.outputs import Output, TowerOutput, optional_tuple
from sightline.nn.patches import PatchEmbedding, interpolate_positions
from sightline.nn.transformer import Block, Transformer, init_blocks


@dataclass
class CLIPVisionModelOutput(Output):
    """`image_embeds` (B, P), not of unit length, and the tower's outputs."""

    image_embeds: Tensor
    last_hidden_state: Tensor
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


class CLIPVisionModel(PretrainedModel):
    """Transformer over patches; the class token's state, normalised, stands for the picture."""

    config_class = CLIPVisionConfig
    tables = TABLES
    parts: ClassVar[tuple[str, ...]] = ("vision_model.",)
    prefix: ClassVar[str] = "vision_model."
    config: CLIPVisionConfig

    def __init__(self, config: CLIPVisionConfig) -> None:
        super().__init__()
        self.config = config
        width, factor = config.hidden_size, config.initializer_factor
        self.grid = config.image_size // config.patch_size
        self.class_embedding = nn.Parameter(torch.empty(width))
        self.patch_embedding = PatchEmbedding(config.num_channels, config.patch_size, width)
        self.position_embedding = nn.Parameter(torch.empty(self.grid**2 + 1, width))
        self.pre_norm = nn.LayerNorm(width, config.layer_norm_eps)
        self.transformer = Transformer([Block(config) for _ in range(config.num_hidden_layers)])
        self.post_norm = nn.LayerNorm(width, config.layer_norm_eps)
        normal(self.class_embedding, width**-0.5 * factor)
        normal(self.patch_embedding.weight, config.initializer_range * factor)
        normal(self.position_embedding, config.initializer_range * factor)
        init_blocks(self.transformer.blocks, factor)

    def forward(
        self,
        pixel_values: Tensor,
        interpolate_pos_encoding: bool = False,
        output_hidden_states: bool = False,
        output_attentions: bool = False,
    ) -> TowerOutput:
        """`pixel_values` (B, C, H, W) -> all states (B, L, W), not normalised, and the pooled one (B, W).

        H and W are the config's `image_size`; with `interpolate_pos_encoding` any size of at least one patch (what
        is left of a patch at the edges is not seen). Raises `UsageError` otherwise.
        """
        x = self._tokens(pixel_values, interpolate_pos_encoding)
        states: list[Tensor] | None = [] if output_hidden_states else None
        weights: list[Tensor] | None = [] if output_attentions else None
        x = self.transformer(x, None, False, states, weights)
        return TowerOutput(x, self.post_norm(x[:, 0]), optional_tuple(states), optional_tuple(weights))

    def pool(self, pixel_values: Tensor) -> Tensor:
        """`forward`'s `pooler_output` alone, for less work: (B, C, H, W) -> (B, W)."""
        x = self._tokens(pixel_values, False)
        return self.post_norm(self.transformer.at(x, x.new_zeros(len(x), dtype=torch.long)))  # type: ignore[no-any-return]

    def _tokens(self, pixel_values: Tensor, interpolate_pos_encoding: bool) -> Tensor:
        height, width = pixel_values.shape[-2:]
        size = self.config.image_size
        if not interpolate_pos_encoding and (height, width) != (size, size):
            raise UsageError(
                f"pictures of {height} x {width} pixels, but the model was made for {size} x {size}; "
                "pass interpolate_pos_encoding=True or resize them"
            )
        rows, columns = height // self.config.patch_size, width // self.config.patch_size
        if not rows or not columns:
            raise UsageError(f"a picture of {height} x {width} pixels is smaller than one patch")
        patches = self.patch_embedding(pixel_values)
        x = torch.cat([self.class_embedding.expand(len(patches), 1, -1), patches], dim=1)
        x = x + interpolate_positions(self.position_embedding, self.grid, rows, columns)
        return self.pre_norm(x)  # type: ignore[no-any-return]


class CLIPVisionModelWithProjection(Tower):
    """The vision tower and its way into the space that it shares with texts."""

    config_class = CLIPVisionConfig
    tables = TABLES
    parts: ClassVar[tuple[str, ...]] = ("vision_model.", "visual_projection.")
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

    @property
    def rows(self) -> int:
        """Patches, and the class token."""
        return self.vision_model.grid**2 + 1

    def embed(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """`pixel_values` (B, C, H, W) -> `forward`'s `image_embeds` (B, P) alone, for less work."""
        return self.visual_projection(self.vision_model.pool(inputs))  # type: ignore[no-any-return]
