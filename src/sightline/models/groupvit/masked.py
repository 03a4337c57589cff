"""A GroupViT that also returns its groups in training, for a loss on masks.

Shapes: B images, T texts, G groups, P projection.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from sightline.models.groupvit.grouping import soft_groups
from sightline.models.groupvit.model import GroupViTModel
from sightline.models.pairs import PairEmbeddings, Similarities


@dataclass(frozen=True)
class GroupedSimilarities(Similarities):
    """Also the groups' unit vectors (B, G, P), the share of each group in each patch (B, G, rows, columns), both with
    their gradients, and the logits' scale."""

    groups: Tensor
    shares: Tensor
    scale: Tensor


class MaskedGroupViT(GroupViTModel):
    """A GroupViT whose groups are trained with masks. It is saved as any other GroupViT."""

    @property
    def architecture(self) -> str:
        return GroupViTModel.__name__

    def encode(self, pixel_values: Tensor, input_ids: Tensor, attention_mask: Tensor | None = None) -> PairEmbeddings:
        out = self.vision_model(pixel_values, output_attentions=True)
        rows, columns = (side // self.config.vision_config.patch_size for side in pixel_values.shape[-2:])
        shares = soft_groups(out.attentions or (), rows, columns)
        return PairEmbeddings((out.pooler_output, out.last_hidden_state, shares), (self.text_model.pool(input_ids),))

    def project_batch(self, embeddings: PairEmbeddings) -> PairEmbeddings:
        if len(embeddings.images) == 1:  # from `forward`
            return super().project_batch(embeddings)
        pooled, groups, shares = embeddings.images
        (texts,) = embeddings.texts
        # An image and its groups go through one batch norm together, as they will through its means.
        projected = self.visual_projection.of_each(torch.cat([pooled[:, None], groups], 1))
        return PairEmbeddings((projected[:, 0], projected[:, 1:], shares), (self.text_projection(texts),))

    def similarities(self, embeddings: PairEmbeddings) -> Similarities:
        if len(embeddings.images) == 1:
            return super().similarities(embeddings)
        images, groups, shares = embeddings.images
        (texts,) = embeddings.texts
        pairs = self.cosines(images, texts)
        return GroupedSimilarities(
            pairs.logits_per_image,
            pairs.image_embeds,
            pairs.text_embeds,
            F.normalize(groups, dim=-1),
            shares,
            self.scale,
        )
