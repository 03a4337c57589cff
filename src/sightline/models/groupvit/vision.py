"""GroupViT's vision tower: stages of blocks, each ending in fewer tokens. Xu et al. (2022), section 3.1, figure 2.

Shapes: B pictures, C channels, N patches, G groups of the last stage, W width, P projection.
"""

from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.models.groupvit.config import GroupViTConfig, GroupViTVisionConfig
from sightline.models.groupvit.grouping import GroupViTStage, soft_groups
from sightline.models.groupvit.head import ProjectionHead
from sightline.models.groupvit.layouts import TABLES
from sightline.models.pretrained import PretrainedModel
from sightline.models.tower import Segments, Tower
from sightline.nn.aliases import Aliased
from sightline.nn.calls import answer, asked, given
from sightline.nn.initial import normal
from sightline.nn.outputs import BaseModelOutput, BaseModelOutputWithPooling, optional_tuple
from sightline.nn.patches import PatchEmbedding, interpolate_positions, patch_grid
from sightline.nn.transformer import init_blocks


class GroupViTPatchEmbeddings(Aliased):
    """Patches through one linear map."""

    def __init__(
        self, image_size: int = 224, patch_size: int = 16, num_channels: int = 3, embed_dim: int = 768
    ) -> None:
        super().__init__()
        self.image_size = (image_size, image_size)
        self.patch_size = (patch_size, patch_size)
        self.num_patches = (image_size // patch_size) ** 2
        self.projection = PatchEmbedding(num_channels, patch_size, embed_dim, bias=True)

    def forward(self, pixel_values: Tensor, interpolate_pos_encoding: bool = False) -> Tensor:
        """(B, C, H, W) -> (B, N, W). Raises `UsageError` for another size, unless positions are interpolated."""
        patch_grid(pixel_values, self.image_size[0], self.patch_size[0], interpolate_pos_encoding)
        return self.projection(pixel_values).flatten(2).transpose(1, 2)  # type: ignore[no-any-return]


class GroupViTVisionEmbeddings(Aliased):
    """Patches, normalized, and their positions."""

    def __init__(self, config: GroupViTVisionConfig) -> None:
        super().__init__()
        self.config = config
        self.patch_size = config.patch_size
        width = config.hidden_size
        self.patch_embeddings = GroupViTPatchEmbeddings(
            config.image_size, config.patch_size, config.num_channels, width
        )
        self.position_embeddings = nn.Parameter(torch.zeros(1, self.patch_embeddings.num_patches, width))
        self.layernorm = nn.LayerNorm(width, config.layer_norm_eps)
        self.dropout = nn.Dropout(config.dropout)

    def interpolate_pos_encoding(self, embeddings: Tensor, height: int, width: int) -> Tensor:
        """The positions of a picture of these sides in pixels, (1, N, W)."""
        grid, patch = self.config.image_size // self.patch_size, self.patch_size
        return interpolate_positions(self.position_embeddings[0], grid, height // patch, width // patch)[None]

    def forward(self, pixel_values: Tensor, interpolate_pos_encoding: bool = False) -> Tensor:
        """(B, C, H, W) -> (B, N, W)."""
        x = self.layernorm(self.patch_embeddings(pixel_values, interpolate_pos_encoding))
        return self.dropout(x + self.interpolate_pos_encoding(x, *pixel_values.shape[-2:]))  # type: ignore[no-any-return]


class GroupViTVisionEncoder(Aliased):
    """The stages, one after another."""

    def __init__(self, config: GroupViTVisionConfig) -> None:
        super().__init__()
        self.config = config
        counts = zip(
            config.depths,
            (0, *config.num_output_groups[:-1]),
            config.num_group_tokens,
            config.num_output_groups,
            strict=True,
        )
        self.stages = nn.ModuleList([GroupViTStage(config, *numbers) for numbers in counts])

    @property
    def gradient_checkpointing(self) -> bool:
        """Whether training keeps each block's input alone and computes the rest again."""
        return all(stage.gradient_checkpointing for stage in self.stages)

    @gradient_checkpointing.setter
    def gradient_checkpointing(self, on: bool) -> None:
        for stage in self.stages:
            stage.gradient_checkpointing = on  # type: ignore[assignment]

    def forward(
        self,
        hidden_states: Tensor,
        output_hidden_states: bool = False,
        output_attentions: bool = False,
        return_dict: bool = True,
    ) -> Any:
        """(B, N, W) -> the last stage's groups (B, G, W), not normalized, the stages' inputs and the last one's output,
        and the soft assignments (B, groups, tokens) of those stages that group. As a tuple if `return_dict` is false.
        """
        x, group_tokens = hidden_states, None
        states: list[Tensor] | None = [x] if output_hidden_states else None
        weights: list[Tensor] | None = [] if output_attentions else None
        for stage in self.stages:
            x, group_tokens, *soft = stage(x, group_tokens, output_attentions)
            if states is not None:
                states.append(x)
            if weights is not None:
                weights += [share for share in soft if share is not None]
        out = BaseModelOutput(x, optional_tuple(states), optional_tuple(weights))
        return out if return_dict else out.to_tuple()


class GroupViTVisionModel(PretrainedModel):
    """Stages over patches; the mean of the last one's groups stands for the picture."""

    base_model_prefix: ClassVar[str] = "groupvit"
    main_input_name: ClassVar[str] = "pixel_values"
    input_layer: ClassVar[str] = "embeddings.patch_embeddings"
    config_class = GroupViTVisionConfig
    tables = TABLES
    parts: ClassVar[tuple[str, ...]] = ("vision_model.",)
    prefix: ClassVar[str] = "vision_model."
    config: GroupViTVisionConfig

    def __init__(self, config: GroupViTVisionConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = GroupViTVisionEmbeddings(config)
        self.encoder = GroupViTVisionEncoder(config)
        self.layernorm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        normal(self.embeddings.position_embeddings, config.initializer_range * config.initializer_factor)
        blocks = [block for stage in self.encoder.stages for block in stage.layers]  # type: ignore[union-attr]
        init_blocks(blocks, config.initializer_factor)

    @property
    def vision_model(self) -> Self:
        """The tower itself: in the reference this class holds it under this name."""
        return self

    def forward(
        self,
        pixel_values: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        interpolate_pos_encoding: bool = False,
    ) -> BaseModelOutputWithPooling:
        """`pixel_values` (B, C, H, W) -> the last stage's groups (B, G, W), normalized, and their mean (B, W).

        `hidden_states` and `attentions` are `GroupViTVisionEncoder.forward`'s. H and W are the config's `image_size`;
        with `interpolate_pos_encoding` any size of at least one patch (a rest at the edges is cut off).
        Raises `UsageError` otherwise. What is None is as the config says.
        """
        config = self.config
        out = self.encoder(
            hidden_states=self.embeddings(given(pixel_values, "pixel_values"), interpolate_pos_encoding),
            output_hidden_states=asked(output_hidden_states, config, "output_hidden_states"),
            output_attentions=asked(output_attentions, config, "output_attentions"),
        )
        x = self.layernorm(out.last_hidden_state)
        outcome = BaseModelOutputWithPooling(x, x.mean(dim=1), out.hidden_states, out.attentions)
        return answer(outcome, return_dict, config)


class GroupViTImageTower(Tower):
    """The vision tower and its projection."""

    config_class = GroupViTConfig
    tables = TABLES
    parts: ClassVar[tuple[str, ...]] = ("vision_model.", "visual_projection.", "logit_scale")
    head: ClassVar[str | None] = "visual_projection"
    main_input_name: ClassVar[str] = "pixel_values"
    input_layer: ClassVar[str] = "vision_model.embeddings.patch_embeddings"
    config: GroupViTConfig

    def __init__(self, config: GroupViTConfig) -> None:
        super().__init__()
        self.config = config
        self.vision_model = GroupViTVisionModel(config.vision_config)
        self.visual_projection = ProjectionHead(
            config.vision_config.hidden_size, config.projection_intermediate_dim, config.projection_dim
        )
        self.logit_scale = nn.Parameter(torch.tensor(config.logit_scale_init_value))

    def state(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """The mean of the last stage's groups."""
        return self.vision_model(inputs, return_dict=True).pooler_output  # type: ignore[no-any-return]

    def segments(self, inputs: Tensor) -> Segments:
        """`pixel_values` (B, C, H, W) of any size -> the pictures' groups. Raises `UsageError` if no stage groups."""
        out: BaseModelOutputWithPooling = self.vision_model(
            inputs, output_attentions=True, return_dict=True, interpolate_pos_encoding=True
        )
        patch = self.config.vision_config.patch_size
        shares = soft_groups(out.attentions or (), inputs.shape[-2] // patch, inputs.shape[-1] // patch)
        images = F.normalize(self.visual_projection(out.pooler_output).float(), dim=-1)
        groups = F.normalize(self.visual_projection.of_each(out.last_hidden_state).float(), dim=-1)
        return Segments(images, groups, shares.float(), float(self.logit_scale.exp()))

    def embed_with_extras(self, pixel_values: Tensor) -> tuple[Tensor, Tensor]:
        """`pixel_values` (B, C, H, W) -> the images' unit vectors (B, P) and their regions in rows (B, R, P), packed as
        `sightline.models.regions` describes: each group's unit vector, then each patch's group."""
        segments = self.segments(pixel_values)
        owners = segments.shares.flatten(2).argmax(1).to(segments.groups.dtype)
        width = self.config.projection_dim
        owners = F.pad(owners, (0, -owners.shape[1] % width)).view(owners.shape[0], -1, width)
        return segments.images, torch.cat([segments.groups, owners], dim=1)
