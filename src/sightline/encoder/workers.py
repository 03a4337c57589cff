"""Threads that prepare batches and run them through a model on one device."""

import os
from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager, closing, nullcontext
from threading import Lock
from typing import Any, TypeVar

import torch
from numpy.typing import NDArray

from sightline.encoder.hardware import cores, one_core_threads
from sightline.encoder.pipeline import ordered_map
from sightline.encoder.source import Vectors

T = TypeVar("T")
R = TypeVar("R")


class Workers:
    """On a processor each thread computes a batch on one core: that is quicker than all cores at one batch, where the
    steps between the matrix products wait for one another and for the threads that decode. On a GPU the threads read
    and decode side by side and take turns at the model."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        # A GPU has no use for two batches at once, and Apple's does not bear several threads.
        self.turn: AbstractContextManager[object] = nullcontext() if device.type == "cpu" else Lock()

    def __reduce__(self) -> tuple[type["Workers"], tuple[torch.device]]:
        return Workers, (self.device,)  # a lock cannot be pickled, and is of use in one process only

    @property
    def count(self) -> int:
        """How many threads there are."""
        return cores() if self.device.type == "cpu" else min(8, os.cpu_count() or 1)

    def share(self, count: int, largest: int) -> int:
        """How many of `count` items make a batch of at most `largest`, so that every thread gets a batch."""
        return max(1, min(largest, -(-count // self.count)))

    def map(self, work: Callable[[list[T]], R], groups: Iterable[list[T]]) -> Generator[tuple[list[T], R]]:
        """Each group with `work(group)`, in order. A list of one group is computed in this thread, on all cores."""
        if isinstance(groups, list) and len(groups) < 2:
            yield from ((group, work(group)) for group in groups)
            return
        count = self.count
        with closing(ordered_map(work, groups, one_core_threads(count), count + 1)) as done:
            yield from done

    def run(self, forward: Callable[..., Any], dtype: torch.dtype, *inputs: NDArray[Any]) -> list[Vectors]:
        """A batch through the model: what `forward` returns of the inputs as tensors of `dtype`, each in float32."""
        with torch.inference_mode(), self.turn:
            outputs = forward(*(torch.from_numpy(array).to(self.device, dtype) for array in inputs))
            outputs = outputs if isinstance(outputs, tuple) else (outputs,)
            return [tensor.float().cpu().numpy() for tensor in outputs]
