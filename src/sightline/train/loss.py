"""Losses that a recipe may have: a function of a step's similarities and its batch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor

from sightline.models.pairs import Similarities
from sightline.nn.loss import contrastive_loss
from sightline.train.batch import Batch

Loss: TypeAlias = Callable[[Similarities, Batch], Tensor]
"""The similarities of all images and texts of a step and their batch -> a scalar. The batch is that of all processes,
without its pixels (`pixel_values` is (B, 0)); of several processes each computes the whole loss."""


@dataclass(frozen=True)
class ContrastiveLoss:
    """The loss of a recipe that names no other. Of several processes each computes its rows' part of it."""

    label_smoothing: float = 0.0

    def __call__(self, similarities: Similarities, batch: Batch) -> Tensor:
        return contrastive_loss(similarities.logits_per_image, batch.owner, self.label_smoothing)
