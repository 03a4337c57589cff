"""First values of fresh weights."""

from torch import Tensor, nn


def normal(tensor: Tensor, std: float) -> None:
    """Normal numbers around 0, in place. On "meta" nothing: a checkpoint's tensors come there, and torch would take
    a second to find out that there is nothing to fill."""
    if not tensor.is_meta:
        nn.init.normal_(tensor, std=std)
