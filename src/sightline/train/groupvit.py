"""GroupViT's losses beside the captions': on nouns, and on masks where there are any. Xu et al., "GroupViT: Semantic
Segmentation Emerges from Text Supervision" (2022), section 3.3.

Shapes: B images, T texts, N of them nouns' prompts, K different nouns, G groups, P projection.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from sightline.errors import UsageError
from sightline.models.groupvit.masked import GroupedSimilarities
from sightline.models.pairs import Similarities
from sightline.nn.loss import contrastive_loss
from sightline.train.batch import Batch
from sightline.train.nouns import CAPTION

UNKNOWN = -1
"""In a mask: a pixel that is not labelled."""
BACKGROUND = -2
"""In a mask: a pixel that shows none of the nouns."""


def multi_label(similarities: Similarities, owner: Tensor, is_noun: Tensor) -> Tensor:
    """The contrastive loss of images and the prompts of nouns, of which an image has several; `is_noun` (T,) bool.

    For an image the logarithm of its prompts' summed probability among all prompts of the batch, for a prompt its
    image's among all images: the mean of both directions, where the paper adds them. Images without nouns are negatives
    alone and have no term of their own.
    """
    owner = owner[is_noun]
    logits = similarities.logits_per_image[:, is_noun]
    if not len(owner):
        return logits.sum()
    is_right = torch.zeros_like(logits, dtype=torch.bool)
    is_right[owner, torch.arange(len(owner), device=owner.device)] = True
    has_noun = is_right.any(1)
    log_probabilities = logits.log_softmax(1)[has_noun].masked_fill(~is_right[has_noun], -torch.inf)
    return (F.cross_entropy(logits.t(), owner) - log_probabilities.logsumexp(1).mean()) / 2


def segmentation(similarities: GroupedSimilarities, nouns: Tensor, masks: Tensor, background: float = 0.0) -> Tensor:
    """The cross entropy of the noun of each pixel.

    `nouns` (T,): the numbers of the texts' nouns; `masks` (B, H, W): those of the pixels' nouns, `UNKNOWN` or
    `BACKGROUND`. All K nouns of the batch are possible answers in every image, each by the mean of its prompts'
    vectors; a pixel of a noun that no text has counts as unknown. The logits are the model's `segmentation_logits`,
    with the gradient of the groups' shares, and once times the scale, by which the reference multiplies twice.
    `background`: the cosine above which a pixel belongs to a noun.
    """
    kinds, kind_of_text = torch.unique(nouns[nouns != CAPTION], return_inverse=True)
    if not len(kinds):  # background is the only possible answer
        return similarities.groups.sum() * 0
    # Sums of unit vectors point where their means do.
    prompts = similarities.text_embeds[nouns != CAPTION]
    vectors = prompts.new_zeros(len(kinds), prompts.shape[1])
    vectors = F.normalize(vectors.index_add(0, kind_of_text, prompts), dim=-1)
    cosines = torch.einsum("bgp,kp,bgyx->bkyx", similarities.groups, vectors, similarities.shares)
    pixels = F.interpolate(cosines, masks.shape[-2:], mode="bilinear")
    of_background = pixels.new_full((len(pixels), 1, *pixels.shape[2:]), background)
    logits = torch.cat([pixels, of_background], 1) * similarities.scale
    kind = torch.searchsorted(kinds, masks).clamp(max=len(kinds) - 1)
    target = torch.where(kinds[kind] == masks, kind, torch.where(masks == BACKGROUND, len(kinds), UNKNOWN))
    total = F.cross_entropy(logits, target, ignore_index=UNKNOWN, reduction="sum")
    return total / (target != UNKNOWN).sum().clamp(min=1)


@dataclass(frozen=True, kw_only=True)
class NounsAndMasks:
    """Captions, nouns and masks together: a loss for a `Recipe`.

    The batch's `extras` hold `nouns` (T,), the number of each text's noun or `CAPTION`, as the `Loader` makes them,
    and where there are masks `masks` (B, H, W); the model is then a `MaskedGroupViT`. Raises `UsageError`.
    """

    nouns: float = 1.0
    """The weight of the nouns' loss."""
    masks: float = 1.0
    """The weight of the masks' loss."""
    background: float = 0.0
    """The cosine above which a pixel belongs to a noun."""

    def __call__(self, similarities: Similarities, batch: Batch) -> Tensor:
        if "nouns" not in batch.extras:
            raise UsageError('the batch has no extras["nouns"]: give the Loader nouns=Nouns(...)')
        nouns = batch.extras["nouns"]
        is_caption = nouns == CAPTION
        loss = contrastive_loss(similarities.logits_per_image[:, is_caption], batch.owner[is_caption])
        loss = loss + self.nouns * multi_label(similarities, batch.owner, ~is_caption)
        if "masks" in batch.extras:
            if not isinstance(similarities, GroupedSimilarities):
                raise UsageError("masks need a model that returns its groups: MaskedGroupViT")
            loss = loss + self.masks * segmentation(similarities, nouns, batch.extras["masks"], self.background)
        return loss
