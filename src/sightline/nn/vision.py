"""The vision tower that CLIP and X-CLIP share, a ViT with a norm before the blocks. Radford et al., "Learning
Transferable Visual Models From Natural Language Supervision" (2021), section 2.4.

Shapes: B pictures, C channels, L patches + 1, W width.
"""

from typing import Protocol

import torch
from torch import Tensor, nn

from sightline.nn.aliases import Aliased
from sightline.nn.calls import answer, asked, given
from sightline.nn.initial import normal
from sightline.nn.outputs import BaseModelOutputWithPooling, optional_tuple
from sightline.nn.patches import PatchEmbedding, interpolate_positions, patch_grid
from sightline.nn.transformer import Block, BlockConfig, Transformer, init_blocks


class VisionTransformerConfig(BlockConfig, Protocol):
    """The settings that `VisionTransformer` reads."""

    @property
    def num_channels(self) -> int: ...
    @property
    def image_size(self) -> int: ...
    @property
    def patch_size(self) -> int: ...
    @property
    def num_hidden_layers(self) -> int: ...
    @property
    def initializer_range(self) -> float: ...
    @property
    def initializer_factor(self) -> float: ...


class VisionTransformer(Aliased):
    """Transformer over patches; the class token's state, normalized, is the pooled state."""

    config: VisionTransformerConfig

    def __init__(self, config: VisionTransformerConfig) -> None:
        super().__init__()
        self.config = config
        width, factor = config.hidden_size, config.initializer_factor
        self.grid = config.image_size // config.patch_size
        self.class_embedding = nn.Parameter(torch.empty(width))
        self.patch_embedding = PatchEmbedding(config.num_channels, config.patch_size, width)
        self.position_embedding = nn.Parameter(torch.empty(self.grid**2 + 1, width))
        self.pre_norm = nn.LayerNorm(width, config.layer_norm_eps)
        self.transformer = Transformer([self.block() for _ in range(config.num_hidden_layers)])
        self.post_norm = nn.LayerNorm(width, config.layer_norm_eps)
        normal(self.class_embedding, width**-0.5 * factor)
        normal(self.patch_embedding.weight, config.initializer_range * factor)
        normal(self.position_embedding, config.initializer_range * factor)
        init_blocks(self.transformer.blocks, factor)

    def block(self) -> Block:
        """One of the tower's blocks."""
        return Block(self.config)

    def forward(
        self,
        pixel_values: Tensor | None = None,
        interpolate_pos_encoding: bool = False,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> BaseModelOutputWithPooling:
        """`pixel_values` (B, C, H, W) -> all states (B, L, W), not normalized, and the pooled one (B, W).

        H and W are the config's `image_size`; with `interpolate_pos_encoding` any size of at least one patch (a
        rest at the edges is cut off). Raises `UsageError` otherwise. What is None among the last three is as the config
        says.
        """
        config = self.config
        x = self._tokens(given(pixel_values, "pixel_values"), interpolate_pos_encoding)
        states: list[Tensor] | None = [] if asked(output_hidden_states, config, "output_hidden_states") else None
        weights: list[Tensor] | None = [] if asked(output_attentions, config, "output_attentions") else None
        x = self.transformer(x, None, False, states, weights)
        pooled = self.post_norm(x[:, 0])
        out = BaseModelOutputWithPooling(x, pooled, optional_tuple(states), optional_tuple(weights))
        return answer(out, return_dict, config)

    def pool(self, pixel_values: Tensor) -> Tensor:
        """`forward`'s `pooler_output` alone, for less work: (B, C, H, W) -> (B, W)."""
        x = self._tokens(pixel_values, False)
        return self.post_norm(self.transformer.at(x, x.new_zeros(x.shape[0], dtype=torch.long)))  # type: ignore[no-any-return]

    def _tokens(self, pixel_values: Tensor, interpolate_pos_encoding: bool) -> Tensor:
        config = self.config
        rows, columns = patch_grid(pixel_values, config.image_size, config.patch_size, interpolate_pos_encoding)
        patches = self.patch_embedding(pixel_values)
        x = torch.cat([self.class_embedding.expand(patches.shape[0], 1, -1), patches], dim=1)
        x = x + interpolate_positions(self.position_embedding, self.grid, rows, columns)
        return self.pre_norm(x)  # type: ignore[no-any-return]
