"""First values of fresh weights."""

from torch import Tensor, nn


def normal(tensor: Tensor, std: float) -> None:
    """Normal numbers around 0, in place. A tensor on "meta" is left alone: a checkpoint's will replace it, and torch
    would take a second for nothing."""
    if not tensor.is_meta:
        nn.init.normal_(tensor, std=std)
