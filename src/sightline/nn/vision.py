"""The vision tower that CLIP and X-CLIP share, a ViT with a norm before the blocks. Radford et al., "Learning
Transferable Visual Models From Natural Language Supervision" (2021), section 2.4.

Shapes: B pictures, C channels, L patches + 1, W width.
"""

from math import isqrt
from typing import Any, ClassVar, Protocol, Self

import torch
from torch import Tensor, nn

from sightline.nn.aliases import Aliased, alias
from sightline.nn.calls import answer, asked, given
from sightline.nn.hooks import hooked, plain
from sightline.nn.ids import Ids, WithIds
from sightline.nn.initial import empty_embedding, normal
from sightline.nn.int8_patches import Int8Patches
from sightline.nn.outputs import BaseModelOutputWithPooling, optional_tuple
from sightline.nn.patches import PatchEmbedding, interpolate_positions, patch_grid
from sightline.nn.transformer import Encoder, EncoderConfig, init_blocks


class VisionTransformerConfig(EncoderConfig, Protocol):
    """The settings that `VisionTransformer` reads."""

    @property
    def num_channels(self) -> int: ...
    @property
    def image_size(self) -> int: ...
    @property
    def patch_size(self) -> int: ...
    @property
    def initializer_range(self) -> float: ...
    @property
    def initializer_factor(self) -> float: ...


class VisionEmbeddings(WithIds):
    """Patches and their places as vectors, a class token before them. `patches`: the map of patches, if made."""

    def __init__(self, config: VisionTransformerConfig, patches: PatchEmbedding | None = None) -> None:
        super().__init__()
        self.config = config
        self.embed_dim = width = config.hidden_size
        self.image_size, self.patch_size = config.image_size, config.patch_size
        self.num_patches = self.grid**2
        self.num_positions = self.num_patches + 1
        self.class_embedding = nn.Parameter(torch.empty(width))
        self.patch_embedding: Any = patches or PatchEmbedding(config.num_channels, config.patch_size, width)
        self.position_embedding = empty_embedding(self.num_positions, width)
        factor = config.initializer_factor
        normal(self.class_embedding, width**-0.5 * factor)
        normal(self.patch_embedding.weight, config.initializer_range * factor)
        normal(self.position_embedding.weight, config.initializer_range * factor)

    @property
    def grid(self) -> int:
        """Patches in a row."""
        return self.image_size // self.patch_size

    @Ids
    def position_ids(self) -> Tensor:
        """(1, positions), from 0 on: the class token's, then the patches', row by row."""
        return torch.arange(self.num_positions, device=self.position_embedding.weight.device)[None]

    def interpolate_pos_encoding(self, embeddings: Tensor, height: int, width: int) -> Tensor:
        """The places' vectors (1, L, W) for images of `height` x `width` pixels."""
        rows, columns = height // self.patch_size, width // self.patch_size
        if (rows, columns) == (self.grid, self.grid):
            return self._places()
        weight = self.position_embedding.weight
        return interpolate_positions(weight, isqrt(len(weight) - 1), rows, columns)[None]

    def forward(self, pixel_values: Tensor, interpolate_pos_encoding: bool = False) -> Tensor:
        """`pixel_values` (B, C, H, W) -> (B, L, W).

        H and W are `image_size`; with `interpolate_pos_encoding` any size of at least one patch (a rest at the edges is
        cut off). Raises `UsageError` otherwise.
        """
        patch_grid(pixel_values, self.image_size, self.patch_size, interpolate_pos_encoding)
        made = self.patch_embedding
        if isinstance(made, Int8Patches) or (plain(made, PatchEmbedding) and made.tiles):
            patches = made.rows(pixel_values)
        else:
            patches = made(pixel_values.to(made.weight.dtype))
            patches = patches.flatten(2).transpose(1, 2)
        x = torch.cat([self.class_embedding.expand(patches.shape[0], 1, -1), patches], dim=1)
        if interpolate_pos_encoding:
            return x + self.interpolate_pos_encoding(x, *pixel_values.shape[-2:])
        return x + self._places()

    def _places(self) -> Tensor:
        """The places' vectors, (1, L, W)."""
        if plain(self.position_embedding, nn.Embedding) and not self.has_own("position_ids"):
            return self.position_embedding.weight[None]
        return self.position_embedding(self.position_ids)  # type: ignore[no-any-return]


class VisionTransformer(Aliased):
    """Transformer over patches; the class token's state, normalized, is the pooled state."""

    # The reference spells the first norm in two ways: CLIP's and X-CLIP's.
    grid = alias("embeddings.grid")
    blocks: ClassVar[type[Encoder]] = Encoder
    config: VisionTransformerConfig

    def __init__(self, config: VisionTransformerConfig) -> None:
        super().__init__()
        self.config = config
        width = config.hidden_size
        # The order in which random numbers are drawn is not that of the parts: a seed's model stays what it is.
        patches = PatchEmbedding(config.num_channels, config.patch_size, width)
        transformer = self.blocks(config)
        self.embeddings = VisionEmbeddings(config, patches)
        self.pre_layrnorm = nn.LayerNorm(width, config.layer_norm_eps)
        self.encoder = transformer
        self.post_layernorm = nn.LayerNorm(width, config.layer_norm_eps)
        init_blocks(self.encoder.layers, config.initializer_factor)

    @property
    def vision_model(self) -> Self:
        """The tower itself: in the reference, or in its earlier releases, a class around it has it by this name."""
        return self

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
        x = self.encoder(inputs_embeds=x, states=states, weights=weights).last_hidden_state
        pooled = self.post_layernorm(x[:, 0])
        out = BaseModelOutputWithPooling(x, pooled, optional_tuple(states), optional_tuple(weights))
        return answer(out, return_dict, config)

    def pool(self, pixel_values: Tensor) -> Tensor:
        """`forward`'s `pooler_output` alone, for less work: (B, C, H, W) -> (B, W).

        Hooks on parts of the last block get the pooled states alone.
        """
        if hooked(self):
            return self(pixel_values, return_dict=True).pooler_output  # type: ignore[no-any-return]
        x = self._tokens(pixel_values, False)
        return self.post_layernorm(self.encoder.at(x, x.new_zeros(x.shape[0], dtype=torch.long)))  # type: ignore[no-any-return]

    def _tokens(self, pixel_values: Tensor, interpolate_pos_encoding: bool) -> Tensor:
        x = self.embeddings(pixel_values, interpolate_pos_encoding=interpolate_pos_encoding)
        return self.pre_layrnorm(x)  # type: ignore[no-any-return]
