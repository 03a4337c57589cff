"""What the engines of exports share: towers that are files, opened for one thread or for several side by side."""

import os
from abc import abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from threading import Lock, local
from typing import Any, cast

from numpy.typing import NDArray

from sightline.checkpoint.exported import ENGINES, Exported
from sightline.distribution import install
from sightline.encoder.engines.engine import Engine
from sightline.encoder.precision import Precision
from sightline.encoder.source import EncoderSource, Noun, Vectors
from sightline.errors import CheckpointError, UsageError

Compute = Callable[[dict[str, NDArray[Any]]], Vectors]
"""Inputs by their names in the graph -> the embeddings (B, P), float32."""

INPUTS = {"vision": ("pixel_values",), "text": ("input_ids", "attention_mask")}
"""The names of each tower's inputs, in the order of `Tower.embed`'s arguments."""


class ExportEngine(Engine):
    """On a processor each thread computes on one core; what is computed in the caller's own thread takes all of them.
    On another device threads take turns."""

    def __init__(self, exported: Exported, device: object, precision: str) -> None:
        self.exported = exported
        self.library = self.import_library()
        self.device = self.pick_device(str(device))
        self.precision = self.pick_precision(precision)
        self._cores, self._thread, self._turn = _cores(), local(), Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        """For `pickle` and `copy`: what is open is opened again."""
        return type(self), (self.exported, self.device, self.precision)

    @staticmethod
    @abstractmethod
    def import_library() -> Any:
        """The engine's library. Raises `UsageError` where it is missing."""

    @abstractmethod
    def pick_device(self, device: str) -> str:
        """The device that a name, or "auto", stands for. Raises `UsageError` for one that the library does not have."""

    @abstractmethod
    def compile(self, path: Path, cores: int, is_beside_others: bool) -> Compute:
        """A tower's file, opened for `cores` cores: for a thread alone, or for as many threads side by side. What it
        raises is turned into an error of ours by the caller."""

    def pick_precision(self, precision: str) -> Precision:
        """That of the export. Raises `UsageError` for another one."""
        if precision not in ("auto", self.exported.precision):
            raise UsageError(
                f"{self.exported.folder}: an export that computes in {self.exported.precision}, not in {precision}: "
                f"leave the precision out, or name the checkpoint that it was made of, {self.exported.source}"
            )
        return cast(Precision, self.exported.precision)

    @property
    def cores(self) -> int:
        return self._cores

    @property
    def versions(self) -> tuple[str, ...]:
        hashes = (f"{name} {tower['sha256']}" for name, tower in sorted(self.exported.towers.items()))
        return (f"{self.name} {self.library.__version__}", *hashes)

    @property
    def is_beside_others(self) -> bool:
        """Whether this thread is one of a `pool`."""
        return getattr(self._thread, "is_beside_others", False)

    def pool(self, count: int) -> ThreadPoolExecutor:
        mark = self._thread, "is_beside_others", self.is_on_processor
        return ThreadPoolExecutor(count, "sightline-compute", setattr, mark)

    def open(self, source: EncoderSource, noun: Noun, precision: str) -> "ExportTower":
        return ExportTower(self, "text" if noun == "texts" else "vision")

    def run(self, forward: Callable[..., Any], *inputs: NDArray[Any]) -> list[Vectors]:
        if self.is_on_processor:
            return [forward(*inputs)]
        with self._turn:
            return [forward(*inputs)]

    def free(self) -> None:
        """The libraries say no way to."""

    def error(self, path: Path, error: Exception) -> Exception:
        """The library's error as one of ours."""
        reason = " ".join(str(error).split())
        signs = "allocate memory", "bad_alloc", "out of memory", "BFCArena"
        if isinstance(error, MemoryError) or any(sign in reason for sign in signs):
            return MemoryError(reason)
        return CheckpointError(
            f"{path}: {ENGINES[self.name]} {self.library.__version__} cannot run it ({reason[:200]}): "
            f"{self.exported.again}"
        )


class ExportTower:
    """A tower of an export. It is opened when it is made for the thread that makes it, and once more when threads first
    compute side by side: what suits the one is slow for the other."""

    takes_bytes = False

    def __init__(self, engine: ExportEngine, name: str) -> None:
        self._engine, self._name, self._path = engine, name, engine.exported.tower(name)
        self._computes: dict[bool, Compute] = {}
        self._opening = Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        return ExportTower, (self._engine, self._name)

    def embed(self, *inputs: NDArray[Any]) -> Vectors:
        """A batch of B inputs -> (B, P), not of unit length. Arguments as those of `Tower.embed`, in numpy."""
        compute = self._compute()
        try:
            return compute(dict(zip(INPUTS[self._name], inputs, strict=True)))
        except Exception as error:  # the library's own kinds
            raise self._engine.error(self._path, error) from error

    def _compute(self) -> Compute:
        is_beside_others = self._engine.is_beside_others
        with self._opening:
            if is_beside_others not in self._computes:
                try:
                    opened = self._engine.compile(self._path, self._engine.cores, is_beside_others)
                except UsageError:
                    raise
                except Exception as error:
                    raise self._engine.error(self._path, error) from error
                self._computes[is_beside_others] = opened
            return self._computes[is_beside_others]


def imported(module: str, engine: str) -> Any:
    """The library of an engine. Raises `UsageError` where it is missing."""
    try:
        return import_module(module)
    except ImportError as error:
        raise UsageError(f"exports for {ENGINES[engine]} need {module}: {install(engine)} ({error})") from error


def _cores() -> int:
    """How many cores this process may use: OMP_NUM_THREADS, as for torch, or all of its own."""
    with suppress(KeyError, ValueError):
        if (count := int(os.environ["OMP_NUM_THREADS"])) > 0:
            return count
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
