"""Where memory runs out: how that is recognized, and batches that are halved until they fit."""

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, TypeVar

from sightline.encoder.engines.engine import Engine
from sightline.logger import LOGGER

R = TypeVar("R")

_SIGNS = ("allocate memory", "out of memory", "ALLOC_FAILED", "not enough memory")
"""Parts of the messages of torch's plain RuntimeErrors: the processor's allocator, Apple's, CUDA's libraries."""
_WHOLE = ("could not create a primitive", "could not create a memory object", "std::bad_alloc")
"""Whole messages of such errors on the processor; where words follow them, they are of other faults."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on the processor or on a device."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's, without importing it
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and (text in _WHOLE or any(sign in text for sign in _SIGNS))


def way_out(engine: Engine) -> str:
    """What to do where not even one input, or not even the model, fits."""
    if engine.is_on_processor:
        return "end other programs, or take a smaller model"
    return "end other programs on it, or take --precision bfloat16 or --device cpu (in Python: precision=, device=)"


class TooLarge(Exception):
    """A single input does not fit into memory: the one at `position`."""

    def __init__(self, position: int) -> None:
        super().__init__(position)
        self.position = position


class BatchLimit:
    """The most inputs that a tower is given at a time, None while it is unknown. Several threads may share it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._most: int | None = None
        self._changing = Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {"_engine": self._engine, "_most": self._most}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state | {"_changing": Lock()}

    def split(self, inputs: Sequence[Any] | Any, largest: int, forward: Callable[[Any, int], R]) -> list[R]:
        """`forward(part, size)` of the inputs' parts, in order, each of `size` inputs but for a shorter last one.

        `size` is `largest`; where memory runs out it is halved and all parts are computed again, so that these inputs
        all go through batches of one size. Later calls keep to the smaller size. Raises `TooLarge` where a single input
        is too much.
        """
        while True:
            size = largest if self._most is None else min(largest, self._most)
            start = 0
            try:
                outputs = []
                for start in range(0, len(inputs), size):
                    outputs.append(forward(inputs[start : start + size], size))
                return outputs
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                if size == 1:
                    raise TooLarge(start) from error
            outputs = []
            self._halve(size)

    def _halve(self, size: int) -> None:
        with self._changing:
            if self._most is None or self._most >= size:  # else another thread was first
                self._most = size // 2
                LOGGER.warning(
                    f"not enough memory on {self._engine.device} for a batch of {size}: going on with batches of "
                    f"{self._most}, whose vectors may differ from those of larger ones in their last bits"
                )
        self._engine.free()
