"""One training run in several processes."""

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

import torch
from torch import Tensor

from sightline.encoder.hardware import pick_device
from sightline.models.pairs import PairModel


class Parallel:
    """The process alone: all rows are its own, and there is nobody to wait for."""

    rank = 0
    world = 1

    def __init__(self) -> None:
        self.device = pick_device("auto")

    @classmethod
    def start(cls) -> "Parallel":
        """What the environment asks for: the process alone, or one of those that `torchrun` started."""
        return cls()

    @property
    def is_main(self) -> bool:
        """Of all processes, the one that writes files and reports."""
        return self.rank == 0

    def wrap(self, model: PairModel) -> PairModel:
        """The model, on its device, made ready for `backward`. Once a run, before there is an optimiser."""
        return model.to(self.device)

    def whole(self, model: PairModel) -> PairModel:
        """The model with all its weights in this process, to be saved. All processes call it, the main one saves."""
        return model

    def backward(self, work: Callable[[], Sequence[Tensor]], gradients: Sequence[Tensor | None], last: bool) -> None:
        """Computes `work()` and adds the gradients of its tensors, times `gradients`, to the parameters' `.grad`.

        With the `last` of a step's calls they become the mean over all processes.
        """
        outputs = [pair for pair in zip(work(), gradients, strict=True) if pair[0].requires_grad]
        torch.autograd.backward([tensor for tensor, _ in outputs], [gradient for _, gradient in outputs])

    def counts(self, *numbers: int) -> list[tuple[int, ...]]:
        """These numbers of every process, by rank."""
        return [numbers]

    def gather(self, tensor: Tensor, counts: Sequence[int]) -> Tensor:
        """Rows of all processes, (counts[rank], ...) -> (sum(counts), ...); gradients go back to where rows came from,
        added up over the processes."""
        return tensor

    def total(self, tensor: Tensor) -> Tensor:
        """The sum over all processes, without gradient."""
        return tensor.detach()

    def any(self, flag: bool) -> bool:
        """Whether any process says so. All call it."""
        return flag

    def barrier(self) -> None:
        """Waits until all processes are here."""

    def close(self) -> None:
        """Lets go of the other processes."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        self.close()
