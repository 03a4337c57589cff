"""Threads that prepare batches and run them through an engine."""

from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from typing import TypeVar

from sightline.encoder.engines.engine import Engine
from sightline.encoder.pipeline import ordered_map

T = TypeVar("T")
R = TypeVar("R")


class Workers:
    """On a processor each thread computes a batch on one core: that is quicker than all cores at one batch, where the
    steps between the matrix products wait for one another and for the threads that decode. On a GPU the threads read
    and decode side by side and take turns at the model."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def count(self) -> int:
        """How many threads there are."""
        return self._engine.threads

    def share(self, count: int, largest: int) -> int:
        """How many of `count` items make a batch of at most `largest`, so that every thread gets a batch."""
        return max(1, min(largest, -(-count // self.count)))

    def map(self, work: Callable[[list[T]], R], groups: Iterable[list[T]]) -> Generator[tuple[list[T], R]]:
        """Each group with `work(group)`, in order. A list of one group is computed in this thread, on all cores."""
        if isinstance(groups, list) and len(groups) < 2:
            yield from ((group, work(group)) for group in groups)
            return
        count = self.count
        with closing(ordered_map(work, groups, self._engine.pool(count), count + 1)) as done:
            yield from done
