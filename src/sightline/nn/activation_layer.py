"""An activation as a module, so that it can be hooked and replaced."""

from torch import Tensor, nn

from sightline.nn.transformer import activation


class ActivationLayer(nn.Module):
    """The activation that a config calls `name`. Raises `CheckpointError` for an unknown name."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.function = activation(name)

    def forward(self, input: Tensor) -> Tensor:
        """(...) -> the same shape."""
        return self.function(input)
