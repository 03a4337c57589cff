"""Checkpoints in torch."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext, suppress
from threading import Lock
from typing import Any, ClassVar, cast

import torch
from numpy.typing import NDArray

from sightline.encoder.engines.engine import Engine
from sightline.encoder.hardware import cores, dtype_of, is_int8_quick, one_core_threads, pick_device, pick_precision
from sightline.encoder.opening import open_tower
from sightline.encoder.precision import Precision
from sightline.encoder.source import EncoderSource, Noun, Vectors
from sightline.models.tower import Segments, Tower


class TorchEngine(Engine):
    """On a processor each thread computes on one core. On a GPU threads take turns at the model."""

    name: ClassVar[str] = "torch"

    def __init__(self, source: EncoderSource, device: str | torch.device, precision: str) -> None:
        self.device: torch.device = pick_device(device)
        if precision == "auto" and source.grids and is_int8_quick(self.device):
            precision = "int8"
        self.precision = cast(Precision, pick_precision(precision, self.device))
        self.dtype = dtype_of("auto" if self.precision == "fast" else self.precision, self.device)
        self._take_turns()

    def _take_turns(self) -> None:
        # A GPU has no use for two batches at once, and Apple's does not bear several threads.
        self._turn: AbstractContextManager[object] = nullcontext() if self.is_on_processor else Lock()

    def __getstate__(self) -> dict[str, Any]:
        """For `pickle` and `copy`: a lock is of use in one process only."""
        return {name: value for name, value in self.__dict__.items() if name != "_turn"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state
        self._take_turns()

    @property
    def is_on_processor(self) -> bool:
        return self.device.type == "cpu"

    @property
    def cores(self) -> int:
        return cores()

    @property
    def versions(self) -> tuple[str, ...]:
        return (f"torch {torch.__version__}",)

    def open(self, source: EncoderSource, noun: Noun, precision: str) -> Tower:
        """Raises `UsageError` for a tower that cannot be computed in the precision."""
        dtype = dtype_of(precision, self.device)
        if noun == "images":
            self.dtype = dtype
        return open_tower(source, noun, precision, dtype).to(self.device)

    def run(self, forward: Callable[..., Any], *inputs: NDArray[Any]) -> list[Vectors]:
        with torch.inference_mode(), self._turn:
            outputs = forward(*map(self._tensor, inputs))
            outputs = outputs if isinstance(outputs, tuple) else (outputs,)
            return [tensor.float().cpu().numpy() for tensor in outputs]

    def _tensor(self, array: NDArray[Any]) -> torch.Tensor:
        """Pixels in the model's dtype, token ids as they are."""
        tensor = torch.from_numpy(array)
        return tensor.to(self.device, self.dtype if tensor.is_floating_point() else tensor.dtype)

    def pool(self, count: int) -> ThreadPoolExecutor:
        return one_core_threads(count)

    def unit_rows(self, rows: Vectors) -> Vectors:
        """As torch sums them: indexes hold these bits."""
        unit: Vectors = torch.nn.functional.normalize(torch.from_numpy(rows), dim=-1).numpy()
        return unit

    def free(self) -> None:
        if not self.is_on_processor:
            with suppress(AttributeError):
                torch.get_device_module(self.device).empty_cache()

    def segments(self, tower: Tower, pixels: NDArray[Any]) -> Segments:
        with torch.inference_mode(), self._turn:
            segments = tower.segments(self._tensor(pixels))
            return Segments(segments.images.cpu(), segments.groups.cpu(), segments.shares.cpu(), segments.scale)
