"""GroupViT: images that fall into groups, and groups that words can name. Xu et al. (2022), figure 2.

Shapes: B pictures, T texts, G groups, P projection.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.models.groupvit.config import GroupViTConfig
from sightline.models.groupvit.grouping import soft_groups
from sightline.models.groupvit.head import ProjectionHead
from sightline.models.groupvit.layouts import TABLES
from sightline.models.groupvit.text import GroupViTTextModel
from sightline.models.groupvit.vision import GroupViTVisionModel
from sightline.models.pairs import PairEmbeddings, ProjectedImages, ProjectedTexts
from sightline.nn.calls import answer
from sightline.nn.outputs import BaseModelOutputWithPooling, ModelOutput, absent


@dataclass
class GroupViTModelOutput(ModelOutput):
    """Scaled cosines (B, T) and (T, B), unit vectors (T, P) and (B, P); the loss and, for each picture, text and pixel,
    the segmentation's logits (B, T, H, W), if asked for. The towers' outputs are pooled, not projected.
    """

    loss: Tensor | None = None
    logits_per_image: Tensor = absent
    logits_per_text: Tensor = absent
    segmentation_logits: Tensor | None = None
    text_embeds: Tensor = absent
    image_embeds: Tensor = absent
    text_model_output: BaseModelOutputWithPooling = absent
    vision_model_output: BaseModelOutputWithPooling = absent


class GroupViTModel(ProjectedTexts, ProjectedImages):
    """Both towers with their projections and the learned scale of the logits."""

    base_model_prefix: ClassVar[str] = "groupvit"
    config_class = GroupViTConfig
    tables = TABLES
    hub_task: ClassVar[str] = "image-segmentation"
    lora_targets: ClassVar[tuple[str, ...]] = (*ProjectedTexts.lora_targets, "proj")
    batch_modules: ClassVar[tuple[str, ...]] = ("text_projection", "visual_projection")
    config: GroupViTConfig
    visual_projection: ProjectionHead

    def __init__(self, config: GroupViTConfig) -> None:
        super().__init__()
        self.config = config
        text, vision = config.text_config, config.vision_config
        hidden, out = config.projection_intermediate_dim, config.projection_dim
        self.text_embed_dim = text.hidden_size
        self.vision_embed_dim = vision.hidden_size
        self.projection_dim = out
        self.projection_intermediate_dim = hidden
        self.text_model = GroupViTTextModel(text)
        self.vision_model = GroupViTVisionModel(vision)
        self.text_projection = ProjectionHead(text.hidden_size, hidden, out)
        self.visual_projection = ProjectionHead(vision.hidden_size, hidden, out)
        self.logit_scale = nn.Parameter(torch.tensor(config.logit_scale_init_value))

    def forward(
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        return_loss: bool | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        output_segmentation: bool | None = None,
        return_dict: bool | None = None,
        interpolate_pos_encoding: bool = False,
    ) -> GroupViTModelOutput:
        """`input_ids` (T, L) and `pixel_values` (B, C, H, W) -> similarities of all pairs.

        The loss takes the i-th text and the i-th picture as a pair, so B = T. `output_segmentation` asks for
        `segmentation_logits` (None: as the config says), and with them for the attentions. The other arguments are
        the towers'.
        """
        input_ids, pixel_values = self.check_inputs(input_ids, pixel_values)
        segments = self.config.output_segmentation if output_segmentation is None else output_segmentation
        options = self.options(output_attentions, output_hidden_states)
        vision: BaseModelOutputWithPooling = self.vision_model(
            pixel_values,
            interpolate_pos_encoding=interpolate_pos_encoding,
            **options | ({"output_attentions": True} if segments else {}),
        )
        text: BaseModelOutputWithPooling = self.text_model(input_ids, attention_mask, position_ids, **options)
        pairs = self.match(PairEmbeddings((vision.pooler_output,), (text.pooler_output,)))
        loss, logits = self.loss(pairs) if return_loss else None, pairs.logits_per_image
        segmentation = None
        if segments:
            groups = _unit(self.visual_projection.of_each(vision.last_hidden_state))
            segmentation = self._segmentation(groups @ pairs.text_embeds.t(), vision.attentions, pixel_values.shape)
        out = GroupViTModelOutput(
            loss, logits, logits.t(), segmentation, pairs.text_embeds, pairs.image_embeds, text, vision
        )
        return answer(out, return_dict, self.config)

    def encode(self, pixel_values: Tensor, input_ids: Tensor, attention_mask: Tensor | None = None) -> PairEmbeddings:
        images = self.vision_model(pixel_values, return_dict=True).pooler_output
        return PairEmbeddings((images,), (self.text_model.pool(input_ids),))

    def project_batch(self, embeddings: PairEmbeddings) -> PairEmbeddings:
        """Both projections, whose batch norms need the whole batch."""
        (images,), (texts,) = embeddings.images, embeddings.texts
        return PairEmbeddings((self.visual_projection(images),), (self.text_projection(texts),))

    def _segmentation(self, cosines: Tensor, attentions: tuple[Tensor, ...] | None, shape: torch.Size) -> Tensor:
        """Cosines (B, G, T) of groups and texts -> logits (B, T, H, W), by the share of each group in each pixel."""
        height, width = shape[-2:]
        rows, columns = (side // self.config.vision_config.patch_size for side in (height, width))
        with torch.no_grad():  # as the reference has it
            shares = soft_groups(attentions or (), rows, columns)
        # The reference multiplies by the scale once for the cosines and once more for the pixels.
        logits = (cosines * self.scale).transpose(1, 2) @ shares.flatten(2) * self.scale
        # Interpolating the few patches' logits is interpolating their shares, for less work.
        grid = logits.view(*logits.shape[:2], rows, columns)
        pixels: Tensor = F.interpolate(grid, (height, width), mode="bilinear")
        return pixels


def _unit(x: Tensor) -> Tensor:
    return x / x.norm(dim=-1, keepdim=True)  # type: ignore[no-any-return]
