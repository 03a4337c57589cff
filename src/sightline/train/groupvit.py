"""What GroupViT learns from beside captions: nouns, and masks where there are any. Xu et al., "GroupViT: Semantic
Segmentation Emerges from Text Supervision" (2022), section 3.3.

Shapes: B pictures, T texts, N of them nouns' prompts, K different nouns, G groups, P projection.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from sightline.errors import UsageError
from sightline.models.groupvit.grouping import soft_groups
from sightline.models.groupvit.model import GroupViTModel
from sightline.models.pairs import Halves, Met
from sightline.train.batch import Batch
from sightline.train.loss import contrastive
from sightline.train.nouns import CAPTION

UNKNOWN = -1
"""In a mask: nobody knows what this pixel shows."""
BACKGROUND = -2
"""In a mask: this pixel shows none of the nouns."""


def multi_label(met: Met, owner: Tensor, noun: Tensor) -> Tensor:
    """The contrastive loss of pictures and the nouns' prompts, of which a picture has several; `noun` (T,) bool.

    Of a picture the logarithm of its prompts' summed probability among all prompts of the batch, of a prompt its
    picture's among all pictures: the mean of both directions, where the paper adds them. Pictures without nouns are
    wrong answers, and ask for none.
    """
    own = owner[noun]
    logits = met.logits_per_image[:, noun]
    if not len(own):
        return logits.sum()
    mine = torch.zeros_like(logits, dtype=torch.bool)
    mine[own, torch.arange(len(own), device=own.device)] = True
    asks = mine.any(1)
    forth = logits.log_softmax(1)[asks].masked_fill(~mine[asks], -torch.inf).logsumexp(1)
    return (F.cross_entropy(logits.t(), own) - forth.mean()) / 2


@dataclass(frozen=True)
class Grouped(Met):
    """Also the groups' unit vectors (B, G, P), the share of each group in each patch (B, G, rows, columns), with their
    gradients, and the logits' scale."""

    groups: Tensor
    shares: Tensor
    scale: Tensor


class MaskedGroupViT(GroupViTModel):
    """A GroupViT that is told in training what its groups are, and is saved as any other."""

    @property
    def architecture(self) -> str:
        return GroupViTModel.__name__

    def halves(self, pixel_values: Tensor, input_ids: Tensor, attention_mask: Tensor | None = None) -> Halves:
        seen = self.vision_model(pixel_values, output_attentions=True)
        rows, columns = (side // self.config.vision_config.patch_size for side in pixel_values.shape[-2:])
        shares = soft_groups(seen.attentions or (), rows, columns)
        return Halves((seen.pooler_output, seen.last_hidden_state, shares), (self.text_model.pool(input_ids),))

    def together(self, halves: Halves) -> Halves:
        if len(halves.pictures) == 1:  # of `forward`
            return super().together(halves)
        pooled, groups, shares = halves.pictures
        (texts,) = halves.texts
        # A picture and its groups go through one batch norm together, as they will through its means.
        tokens = self.visual_projection.of_each(torch.cat([pooled[:, None], groups], 1))
        return Halves((tokens[:, 0], tokens[:, 1:], shares), (self.text_projection(texts),))

    def compare(self, halves: Halves) -> Met:
        if len(halves.pictures) == 1:
            return super().compare(halves)
        pictures, groups, shares = halves.pictures
        (texts,) = halves.texts
        met = self.cosines(pictures, texts)
        return Grouped(
            met.logits_per_image, met.image_embeds, met.text_embeds, F.normalize(groups, dim=-1), shares, self.scale
        )


def segmentation(met: Grouped, nouns: Tensor, masks: Tensor, background: float = 0.0) -> Tensor:
    """The cross entropy of what each pixel shows.

    `nouns` (T,): the numbers of the texts' nouns; `masks` (B, H, W): those of the pixels', `UNKNOWN` or `BACKGROUND`.
    All K nouns of the batch are possible answers in every picture, each by the mean of its prompts' vectors; a pixel
    of another noun counts as unknown. The logits are the model's `segmentation_logits`, the shares of groups here with
    their gradient, and but once times the scale, by which the reference multiplies twice. `background`: the cosine from
    which a pixel is a noun's rather than none's.
    """
    kinds, place = torch.unique(nouns[nouns != CAPTION], return_inverse=True)
    if not len(kinds):  # the only answer is the right one
        return met.groups.sum() * 0
    # Sums of unit vectors point where their means do.
    vectors = met.text_embeds.new_zeros(len(kinds), met.text_embeds.shape[1])
    vectors = F.normalize(vectors.index_add(0, place, met.text_embeds[nouns != CAPTION]), dim=-1)
    cosines = torch.einsum("bgp,kp,bgyx->bkyx", met.groups, vectors, met.shares)
    pixels = F.interpolate(cosines, masks.shape[-2:], mode="bilinear")
    logits = torch.cat([pixels, pixels.new_full((len(pixels), 1, *pixels.shape[2:]), background)], 1) * met.scale
    found = torch.searchsorted(kinds, masks).clamp(max=len(kinds) - 1)
    target = torch.where(kinds[found] == masks, found, torch.where(masks == BACKGROUND, len(kinds), UNKNOWN))
    total = F.cross_entropy(logits, target, ignore_index=UNKNOWN, reduction="sum")
    return total / (target != UNKNOWN).sum().clamp(min=1)


@dataclass(frozen=True, kw_only=True)
class NounsAndMasks:
    """Captions, nouns and masks together: an objective for a `Recipe`.

    The batch's `extras` hold `nouns` (T,), the number of each text's noun or `CAPTION`, as the `Loader` makes them,
    and where there are masks `masks` (B, H, W); the model is then a `MaskedGroupViT`. Raises `UsageError`.
    """

    nouns: float = 1.0
    """What the nouns' loss is multiplied with."""
    masks: float = 1.0
    background: float = 0.0

    def __call__(self, met: Met, batch: Batch) -> Tensor:
        if "nouns" not in batch.extras:
            raise UsageError('the batch has no extras["nouns"]: give the Loader nouns=Nouns(...)')
        nouns = batch.extras["nouns"]
        said = nouns == CAPTION
        captions = replace(met, logits_per_image=met.logits_per_image[:, said], text_embeds=met.text_embeds[said])
        loss = contrastive(captions, batch.owner[said]) + self.nouns * multi_label(met, batch.owner, ~said)
        if "masks" in batch.extras:
            if not isinstance(met, Grouped):
                raise UsageError("masks need a model that tells its groups: MaskedGroupViT")
            loss = loss + self.masks * segmentation(met, nouns, batch.extras["masks"], self.background)
        return loss
