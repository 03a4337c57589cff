"""First values of fresh weights."""

import torch
from torch import Tensor, nn


def normal(tensor: Tensor, std: float) -> None:
    """Normal numbers around 0, in place. A tensor on "meta" is left alone: a checkpoint's will replace it, and torch
    would take a second for nothing."""
    if not tensor.is_meta:
        nn.init.normal_(tensor, std=std)


def empty_embedding(count: int, width: int) -> nn.Embedding:
    """A table (count, width) without numbers: torch would draw some, to be drawn again."""
    return nn.Embedding(count, width, _weight=torch.empty(count, width))
