"""What goes down in training: the symmetric contrastive loss, with any number of texts to a picture.

Shapes: B pictures, T texts; b and t of them are at hand.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from sightline.models.pairs import Met
from sightline.train.batch import Batch

Objective: TypeAlias = Callable[[Met, Batch], Tensor]
"""A loss of all pictures and texts of a step and their batch, a scalar. The batch is that of all processes, but without
its pictures (`pixel_values` is (B, 0)); of several processes each computes the whole loss."""


@dataclass(frozen=True)
class Contrastive:
    """The objective that a recipe has unless it brings its own; of several processes each computes its own rows."""

    label_smoothing: float = 0.0

    def __call__(self, met: Met, batch: Batch) -> Tensor:
        return contrastive(met, batch.owner, self.label_smoothing)


def contrastive(met: Met, owner: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """The mean of both directions' cross entropies; of pairs it is `nn.loss.contrastive_loss`.

    A text's right answer is its picture, `owner` (T,). A picture's right answers are all its texts, in equal parts:
    the mean of their log-probabilities, as Khosla et al., "Supervised Contrastive Learning" (2020), equation 2, and
    Yang et al., "Unified Contrastive Learning in Image-Text-Label Space" (2022), equation 3. The logarithm of the
    texts' summed probability (Miech et al., "End-to-End Learning of Visual Representations from Uncurated
    Instructional Videos", 2020) is content with one text that fits: right where texts may be wrong, but captions are
    all true. A picture without a text is a wrong answer for all texts, and asks for none itself.
    """
    return share(met.logits_per_image, met.logits_per_image.t(), owner, 0, 0, label_smoothing)


def share(
    pictures: Tensor, texts: Tensor, owner: Tensor, picture: int, text: int, label_smoothing: float = 0.0
) -> Tensor:
    """What b pictures and their t texts have in the loss of all: the shares of all processes add up to it.

    Logits of `pictures` (b, T) and `texts` (t, B). `owner` (t,): among the b pictures; `picture` and `text`: how many
    of all B and T stand before the first of them.
    """
    forth = F.cross_entropy(texts, owner + picture, label_smoothing=label_smoothing, reduction="sum") / len(pictures.T)
    chances, counts = pictures.log_softmax(-1), torch.bincount(owner, minlength=len(pictures))
    columns = torch.arange(text, text + len(owner), device=owner.device)
    right = (chances[owner, columns] / counts[owner]).sum()
    any_text = (chances.mean(-1) * (counts > 0)).sum() if label_smoothing else 0.0
    back = -((1 - label_smoothing) * right + label_smoothing * any_text) / len(texts.T)
    return (forth + back) / 2
