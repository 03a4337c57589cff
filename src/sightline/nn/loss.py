"""The contrastive objective, once for all families."""

import torch
from torch import Tensor
from torch.nn import functional as F


def contrastive_loss(logits: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """`logits` (N, N), scaled similarities of N matching pairs -> the mean of both directions' cross entropies.

    CLIP (Radford et al., 2021), figure 3; with smoothing ALIGN (Jia et al., 2021), section 4.2.
    """
    target = torch.arange(len(logits), device=logits.device)
    forth = F.cross_entropy(logits, target, label_smoothing=label_smoothing)
    back = F.cross_entropy(logits.T, target, label_smoothing=label_smoothing)
    return (forth + back) / 2
