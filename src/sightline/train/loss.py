"""Losses that a recipe may have: a function of a step's similarities and its batch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from torch import Tensor

from sightline.models.pairs import Similarities
from sightline.nn.loss import contrastive_loss, loss_of_rows_without_equals, text_kinds
from sightline.train.batch import Batch

Loss: TypeAlias = Callable[[Similarities, Batch], Tensor]
"""The similarities of all images and texts of a step and their batch -> a scalar. The batch is that of all processes,
without its pixels (`pixel_values` is (B, 0)); of several processes each computes the whole loss."""

EqualCaptions: TypeAlias = Literal["negatives", "ignored"]
"""What a caption is to other images of a batch that have an equal one: a wrong answer, or none at all."""


@dataclass(frozen=True)
class ContrastiveLoss:
    """The loss of a recipe that names no other. Of several processes each computes its rows' part of it."""

    label_smoothing: float = 0.0
    equal_captions: EqualCaptions = "negatives"

    def __call__(self, similarities: Similarities, batch: Batch) -> Tensor:
        logits = similarities.logits_per_image
        if self.equal_captions == "negatives":
            return contrastive_loss(logits, batch.owner, self.label_smoothing)
        kinds = text_kinds(batch.input_ids, batch.attention_mask)
        return loss_of_rows_without_equals(logits, logits.t(), batch.owner, kinds, 0, 0, self.label_smoothing)
