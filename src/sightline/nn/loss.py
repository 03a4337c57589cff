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


def loss_of_rows_without_equals(
    per_image: Tensor,
    per_text: Tensor,
    owner: Tensor,
    kind: Tensor,
    image: int,
    text: int,
    label_smoothing: float = 0.0,
) -> Tensor:
    """As `loss_of_rows`, where another image's text that equals one of an image's own is no answer for that image,
    neither right nor wrong, nor the image one for that text ("elimination" of false negatives: Huynh et al., "Boosting
    Contrastive Self-Supervised Learning with False Negative Cancellation", 2022).

    `owner` (T,): places among all B images; `kind` (T,): equal numbers for equal texts. Where no two images have equal
    texts, this is `loss_of_rows`.
    """
    own = torch.arange(text, text + len(per_text), device=owner.device)
    owner_of_own = owner[own]
    mine, is_equal = owner_of_own - image, (kind[own, None] == kind).to(per_image.dtype)
    places = torch.arange(image, image + len(per_image), device=owner.device)
    is_said = torch.zeros_like(per_image).index_add_(0, mine, is_equal) > 0
    by_image, any_text = _log_probabilities(per_image, is_said & (owner != places[:, None]))
    has_it = torch.zeros_like(per_text).index_add_(1, owner, is_equal) > 0
    by_text, any_image = _log_probabilities(per_text, has_it.scatter(1, owner_of_own[:, None], False))

    counts = torch.bincount(mine, minlength=len(per_image))
    right_text = (by_image[mine, own] / counts[mine]).sum()
    right_image = by_text.gather(1, owner_of_own[:, None]).sum()
    of_images = -((1 - label_smoothing) * right_text + label_smoothing * (any_text * (counts > 0)).sum())
    of_texts = -((1 - label_smoothing) * right_image + label_smoothing * any_image.sum())
    return (of_texts / len(per_image.T) + of_images / len(per_text.T)) / 2


def _log_probabilities(logits: Tensor, is_left_out: Tensor) -> tuple[Tensor, Tensor]:
    """The log-probabilities of each row's answers, and their means, without the answers that are left out."""
    found = logits.masked_fill(is_left_out, -torch.inf).log_softmax(-1)
    return found, found.masked_fill(is_left_out, 0).sum(-1) / (~is_left_out).sum(-1)


def text_kinds(input_ids: Tensor, attention_mask: Tensor) -> Tensor:
    """Texts (T, L) -> int64 (T,): equal numbers for texts of the same tokens, whatever fills them up."""
    tokens = input_ids.masked_fill(attention_mask == 0, -1)
    kinds: Tensor = torch.unique(tokens, dim=0, return_inverse=True)[1]
    return kinds
