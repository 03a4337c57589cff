"""The activations that configs name."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.errors import CheckpointError


class Activation(NamedTuple):
    """x -> f(slope x) / slope. The linear maps before and after multiply and divide by the slope at no cost.

    `back`: the gradient of f(x), and x -> the gradient of x. `onednn`: oneDNN's names of f and of its algorithm.
    """

    f: Callable[[Tensor], Tensor]
    back: Callable[[Tensor, Tensor], Tensor]
    onednn: tuple[str, str]
    slope: float = 1.0

    def __call__(self, x: Tensor) -> Tensor:
        """(...) -> the same shape."""
        return self.f(x) if self.slope == 1 else self.f(self.slope * x) / self.slope


# Functions of this module, as torch's operations cannot be pickled, and a model with them could not be either.
def _gelu_back(gradient: Tensor, x: Tensor, approximate: str = "none") -> Tensor:
    back: Tensor = torch.ops.aten.gelu_backward(gradient, x, approximate=approximate)
    return back


def _silu_back(gradient: Tensor, x: Tensor) -> Tensor:
    back: Tensor = torch.ops.aten.silu_backward(gradient, x)
    return back


def _relu_back(gradient: Tensor, x: Tensor) -> Tensor:
    back: Tensor = torch.ops.aten.threshold_backward(gradient, x, 0)
    return back


_TANH = Activation(partial(F.gelu, approximate="tanh"), partial(_gelu_back, approximate="tanh"), ("gelu", "tanh"))
ACTIVATIONS = {
    # x * sigmoid(1.702 x), the approximation of Hendrycks & Gimpel (2016) with which OpenAI trained CLIP.
    "quick_gelu": Activation(F.silu, _silu_back, ("swish", ""), 1.702),
    "gelu": Activation(F.gelu, _gelu_back, ("gelu", "none")),
    "gelu_new": _TANH,
    "gelu_pytorch_tanh": _TANH,
    "relu": Activation(F.relu, _relu_back, ("relu", "")),
    "silu": Activation(F.silu, _silu_back, ("swish", "")),
    "swish": Activation(F.silu, _silu_back, ("swish", "")),
}


def activation(name: str) -> Activation:
    """The activation that a config calls `name`. Raises `CheckpointError` for an unknown name."""
    try:
        return ACTIVATIONS[name]
    except KeyError:
        raise CheckpointError(f"unknown activation {name!r}; known are {', '.join(ACTIVATIONS)}") from None


class ActivationLayer(nn.Module):
    """An activation as a module, which can have hooks."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.kind = activation(name)

    def forward(self, x: Tensor) -> Tensor:
        """(...) -> the same shape."""
        return self.kind(x)
