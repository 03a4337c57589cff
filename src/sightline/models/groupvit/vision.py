"""GroupViT's vision tower: stages of blocks, each ending in fewer tokens. Xu et al. (2022), section 3.1, figure 2.

Shapes: B pictures, C channels, N patches, G groups of the last stage, W width, P projection.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.models.groupvit.config import GroupViTConfig, GroupViTVisionConfig
from sightline.models.groupvit.grouping import GroupViTStage, soft_groups
from sightline.models.groupvit.head import ProjectionHead
from sightline.models.groupvit.layouts import TABLES
from sightline.models.pretrained import PretrainedModel
from sightline.models.tower import Segments, Tower
from sightline.nn.initial import normal
from sightline.nn.outputs import TowerOutput, optional_tuple
from sightline.nn.patches import PatchEmbedding, interpolate_positions, patch_grid
from sightline.nn.transformer import init_blocks


class GroupViTVisionModel(PretrainedModel):
    """Stages over patches; the mean of the last one's groups stands for the picture."""

    config_class = GroupViTVisionConfig
    tables = TABLES
    parts: ClassVar[tuple[str, ...]] = ("vision_model.",)
    prefix: ClassVar[str] = "vision_model."
    config: GroupViTVisionConfig

    def __init__(self, config: GroupViTVisionConfig) -> None:
        super().__init__()
        self.config = config
        width, factor = config.hidden_size, config.initializer_factor
        self.grid = config.image_size // config.patch_size
        self.patch_embedding = PatchEmbedding(config.num_channels, config.patch_size, width, bias=True)
        self.position_embedding = nn.Parameter(torch.empty(1, self.grid**2, width))
        self.pre_norm = nn.LayerNorm(width, config.layer_norm_eps)
        self.dropout = nn.Dropout(config.dropout)
        self.stages = nn.ModuleList([GroupViTStage(config, i) for i in range(len(config.depths))])
        self.post_norm = nn.LayerNorm(width, config.layer_norm_eps)
        normal(self.position_embedding, config.initializer_range * factor)
        blocks = [block for stage in self.stages for block in stage.transformer.blocks]  # type: ignore[union-attr]
        init_blocks(blocks, factor)

    def forward(
        self,
        pixel_values: Tensor,
        interpolate_pos_encoding: bool = False,
        output_hidden_states: bool = False,
        output_attentions: bool = False,
    ) -> TowerOutput:
        """`pixel_values` (B, C, H, W) -> the last stage's groups (B, G, W), normalized, and their mean (B, W).

        `hidden_states` are the stages' inputs and the last one's output, not normalized; `attentions` the soft
        assignments (B, groups, tokens) of those stages that group. H and W are the config's `image_size`; with
        `interpolate_pos_encoding` any size of at least one patch (a rest at the edges is cut off).
        Raises `UsageError` otherwise.
        """
        x = self.dropout(self._tokens(pixel_values, interpolate_pos_encoding))
        states: list[Tensor] | None = [x] if output_hidden_states else None
        weights: list[Tensor] | None = [] if output_attentions else None
        group_tokens = None
        for stage in self.stages:
            x, group_tokens = stage(x, group_tokens, weights)
            if states is not None:
                states.append(x)
        x = self.post_norm(x)
        return TowerOutput(x, x.mean(dim=1), optional_tuple(states), optional_tuple(weights))

    def _tokens(self, pixel_values: Tensor, interpolate_pos_encoding: bool) -> Tensor:
        config = self.config
        rows, columns = patch_grid(pixel_values, config.image_size, config.patch_size, interpolate_pos_encoding)
        x = self.pre_norm(self.patch_embedding.rows(pixel_values))
        return x + interpolate_positions(self.position_embedding[0], self.grid, rows, columns)  # type: ignore[no-any-return]


class GroupViTImageTower(Tower):
    """The vision tower and its projection."""

    config_class = GroupViTConfig
    tables = TABLES
    parts: ClassVar[tuple[str, ...]] = ("vision_model.", "visual_projection.", "logit_scale")
    head: ClassVar[str | None] = "visual_projection"
    config: GroupViTConfig

    def __init__(self, config: GroupViTConfig) -> None:
        super().__init__()
        self.config = config
        self.vision_model = GroupViTVisionModel(config.vision_config)
        self.visual_projection = ProjectionHead(
            config.vision_config.hidden_size, config.projection_intermediate_dim, config.projection_dim
        )
        self.logit_scale = nn.Parameter(torch.tensor(config.logit_scale_init_value))

    @property
    def rows(self) -> int:
        """Patches and group tokens of the first stage, which does most of the work, as rows of a ViT-B's width: for
        products half as wide a batch takes twice as many."""
        vision = self.config.vision_config
        tokens = self.vision_model.grid**2 + vision.num_group_tokens[0]
        return max(1, tokens * vision.hidden_size // 768)

    def state(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """The mean of the last stage's groups."""
        return self.vision_model(inputs).pooler_output  # type: ignore[no-any-return]

    def segments(self, inputs: Tensor) -> Segments:
        """`pixel_values` (B, C, H, W) of any size -> the pictures' groups. Raises `UsageError` if no stage groups."""
        out: TowerOutput = self.vision_model(inputs, interpolate_pos_encoding=True, output_attentions=True)
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
