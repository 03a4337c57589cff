"""What goes into a model's linear maps, watched while it computes."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from sightline.nn.slices import Fused, Slice


@contextmanager
def watched(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """The least and the greatest number so far of each channel, (2, inputs), that went into each linear map that has
    been called, by the map's name."""
    ranges: dict[str, Tensor] = {}

    def note(name: str, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        ends = torch.stack(torch.aminmax(inputs[0].detach().float().flatten(0, -2), dim=0))
        if name in ranges:
            low, high = zip(ranges[name], ends, strict=True)
            ends = torch.stack([torch.minimum(*low), torch.maximum(*high)])
        ranges[name] = ends

    hooks = [
        module.register_forward_pre_hook(partial(note, name))
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | Fused) and not isinstance(module, Slice)
    ]
    try:
        yield ranges
    finally:
        for hook in hooks:
            hook.remove()
