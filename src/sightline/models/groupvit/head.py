"""The projection of both towers."""

from torch import Tensor, nn


class ProjectionHead(nn.Sequential):
    """(N, width) -> (N, out) by two linear maps with a batch norm between them. Xu et al. (2022), section 3.2.

    In training each call counts towards the norm's running mean and variance.
    """

    def __init__(self, width: int, hidden: int, out: int) -> None:
        super().__init__(nn.Linear(width, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, out))

    def of_each(self, x: Tensor) -> Tensor:
        """(B, N, width) -> (B, N, out), all of them one batch for the norm."""
        return self(x.flatten(0, 1)).unflatten(0, x.shape[:2])  # type: ignore[no-any-return]
