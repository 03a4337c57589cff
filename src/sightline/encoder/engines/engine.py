"""What an engine is: it opens the towers of a checkpoint on a device, and computes batches with them."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sightline.encoder.precision import Precision
from sightline.encoder.source import EncoderSource, Noun, Vectors
from sightline.vectors import unit

ROWS = 800
"""Tokens in a batch of images, for one core: enough for its matrix units, few enough for its cache, and few enough that
a large model's first batch comes soon."""
TOKENS = 640
"""Tokens in a batch of texts, padding included, for one core."""


class Engine(ABC):
    """Arrays in, arrays out. A tower that it opens has `embed`, as `sightline.models.tower.Tower` describes it, with
    the arrays that the engine computes on; `run` calls it, or another method of it, with numpy's.

    `device` is what `str` names. Memory that runs out is an error that `sightline.encoder.memory` recognizes.
    """

    name: ClassVar[str]
    """The engine's name in `export.json`; "torch" for checkpoints."""
    device: Any
    precision: Precision
    dtype: Any = np.float32
    """The type of the pixels that its tower for images takes, once that is open."""

    @abstractmethod
    def open(self, source: EncoderSource, noun: Noun, precision: str) -> Any:
        """The checkpoint's tower for images (or videos), or that for texts. `precision`: the engine's or, where that is
        "fast", what was chosen."""

    @abstractmethod
    def run(self, forward: Callable[..., Any], *inputs: NDArray[Any]) -> list[Vectors]:
        """A batch through a method of a tower: what it returns, each array in float32."""

    @abstractmethod
    def pool(self, count: int) -> ThreadPoolExecutor:
        """`count` threads that compute side by side, each on its share of the cores."""

    @property
    @abstractmethod
    def cores(self) -> int:
        """How many cores it computes on."""

    @property
    @abstractmethod
    def versions(self) -> tuple[str, ...]:
        """What decides the bits of its vectors beside the checkpoint, the precision, the device and the batch."""

    @property
    def is_on_processor(self) -> bool:
        """Whether it computes on the processor, so that threads which decode share its cores."""
        return str(self.device) == "cpu"

    @property
    def threads(self) -> int:
        """How many threads prepare batches and compute them."""
        return self.cores if self.is_on_processor else min(8, os.cpu_count() or 1)

    @property
    def rows(self) -> int:
        """Tokens in a batch of images, of which the size of a batch follows."""
        return ROWS if self.is_on_processor else 4 * ROWS

    @property
    def text_tokens(self) -> int:
        """Tokens in a batch of texts, padding included."""
        return TOKENS if self.is_on_processor else 4 * TOKENS

    def unit_rows(self, rows: Vectors) -> Vectors:
        """Each row scaled to length 1."""
        return unit(rows)

    @abstractmethod
    def free(self) -> None:
        """Gives the device's memory back that the engine keeps for later."""

    def segments(self, tower: Any, pixels: NDArray[Any]) -> Any:
        """`Tower.segments` of pixels, on the processor; of an engine that computes more than vectors."""
        raise NotImplementedError
