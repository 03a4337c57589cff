"""The symmetric contrastive loss, with any number of texts to an image.

Shapes: B images, T texts; b and t of them are one process's rows.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def contrastive_loss(logits_per_image: Tensor, owner: Tensor | None = None, label_smoothing: float = 0.0) -> Tensor:
    """`logits_per_image` (B, T), scaled similarities -> the mean of both directions' cross entropies, a scalar.

    `owner` (T,): the image that each text belongs to, ascending. None: the i-th text belongs to the i-th image, B = T,
    as in CLIP (Radford et al., 2021, figure 3) and, with smoothing, ALIGN (Jia et al., 2021, section 4.2).

    The right answer for a text is its image. The right answers for an image are all of its texts, in equal parts: the
    mean of their log-probabilities, as Khosla et al., "Supervised Contrastive Learning" (2020), equation 2, and Yang et
    al., "Unified Contrastive Learning in Image-Text-Label Space" (2022), equation 3. The logarithm of the texts' summed
    probability (Miech et al., "End-to-End Learning of Visual Representations from Uncurated Instructional Videos",
    2020) is satisfied by one matching text: right where texts may be wrong, but all captions are true. An image without
    a text is a negative for all texts and has no term of its own.
    """
    if owner is None:
        target = torch.arange(logits_per_image.shape[0], device=logits_per_image.device)
        of_images = F.cross_entropy(logits_per_image, target, label_smoothing=label_smoothing)
        of_texts = F.cross_entropy(logits_per_image.t(), target, label_smoothing=label_smoothing)
        return (of_texts + of_images) / 2
    return loss_of_rows(logits_per_image, logits_per_image.t(), owner, 0, 0, label_smoothing)


def loss_of_rows(
    per_image: Tensor, per_text: Tensor, owner: Tensor, image: int, text: int, label_smoothing: float = 0.0
) -> Tensor:
    """What b images and their t texts add to the loss of the whole batch: over all processes it sums up to that.

    Logits `per_image` (b, T) and `per_text` (t, B). `owner` (t,): places among the b images. `image`, `text`: how many
    of all B images and T texts come before the first of these.
    """
    of_texts = F.cross_entropy(per_text, owner + image, label_smoothing=label_smoothing, reduction="sum")
    log_probabilities, counts = per_image.log_softmax(-1), torch.bincount(owner, minlength=len(per_image))
    columns = torch.arange(text, text + len(owner), device=owner.device)
    right = (log_probabilities[owner, columns] / counts[owner]).sum()
    any_text = (log_probabilities.mean(-1) * (counts > 0)).sum() if label_smoothing else 0.0
    of_images = -((1 - label_smoothing) * right + label_smoothing * any_text)
    return (of_texts / len(per_image.T) + of_images / len(per_text.T)) / 2
