"""What a profile holds, as a file, and its parts put together by kind."""

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import torch

from sightline.distribution import VERSION
from sightline.errors import JsonError, UsageError
from sightline.files import json_text, read_json, write_text
from sightline.optimize.profile_parts import Part
from sightline.optimize.profile_places import kind
from sightline.optimize.profile_stages import Stage, Stages

FORMAT = 1
STARTS = b'{"profile"'
"""How the file of a profile begins."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """A tower's profile. `reads`: "images", "videos" or "texts". `shape`: of what it is given, `count` inputs. `times`:
    seconds of whole passes, in which nothing else was measured, `seconds` their median. `peak`: multiplications a
    second of large matrix products in its dtype, in the same run. `memory`, `peak_memory`: bytes (see `ModelProfiler`).
    `pipeline`: what an encoder's threads do from files or strings to vectors."""

    reads: str
    shape: list[int]
    dtype: str
    seconds: float
    times: list[float]
    peak: float
    memory: float
    peak_memory: float
    parts: list[Part]
    pipeline: Stages

    @property
    def count(self) -> int:
        """Inputs in a pass."""
        return self.shape[0]

    @property
    def sum_of_parts(self) -> float:
        """Seconds."""
        return sum(part.seconds for part in self.parts)

    @property
    def between(self) -> float:
        """Seconds of a whole pass that no part has; below 0 where the parts, measured one by one, took longer."""
        return self.seconds - self.sum_of_parts


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The profile of a checkpoint on a machine."""

    model: str
    fingerprint: str
    device: str
    precision: str
    threads: int
    inputs: str
    sides: list[Side]
    machine: str = field(default_factory=lambda: machine())
    date: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    versions: dict[str, str] = field(default_factory=lambda: _versions())

    def side(self, reads: str) -> Side | None:
        """The tower that reads this; None where there is none."""
        return next((side for side in self.sides if side.reads == reads), None)

    def save(self, path: Path) -> None:
        """Writes JSON, whole or not at all. Raises `UsageError` where it cannot be written."""
        try:
            write_text(path, json_text({"profile": FORMAT, **asdict(self)}) + "\n")
        except OSError as error:
            raise UsageError(f"{path}: cannot be written there ({error.strerror or error})") from error

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """What `save` wrote. Raises `UsageError` for any other file."""
        try:
            data = read_json(Path(path))
            if (format := data.pop("profile", None)) != FORMAT:
                raise UsageError(_no_profile(path) if format is None else f"{path}: a profile of a later version")
            sides = [_side(side) for side in data.pop("sides")]
            return cls(**data, sides=sides)
        except FileNotFoundError as error:
            raise UsageError(f"{path}: no such file or folder") from error
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror or error}") from error
        except (JsonError, TypeError, KeyError, AttributeError, ValueError) as error:
            raise UsageError(_no_profile(path)) from error


def _no_profile(path: object) -> str:
    return f"{path}: no profile; `sightline profile MODEL --json FILE` writes one"


def _side(data: dict[str, Any]) -> Side:
    pipeline = data.pop("pipeline")
    stages = [Stage(**stage) for stage in pipeline.pop("stages")]
    parts = [Part(**part) for part in data.pop("parts")]
    return Side(**data, parts=parts, pipeline=Stages(**pipeline, stages=stages))


def by_kind(parts: Sequence[Part]) -> list[Part]:
    """One part for all of a kind (see `profile_places.kind`) and what is in them, those that take longest first. A kind
    is called as often as its outermost modules."""
    groups: dict[str, Part] = {}
    depths: dict[str, int] = {}
    for part in sorted(parts, key=lambda part: part.path.count(".")):
        name, depth = kind(part.path), part.path.count(".")
        group = groups.setdefault(name, Part(path=name))
        if depth == depths.setdefault(name, depth):
            group.calls += part.calls
        for of in ("seconds", "multiplications", "weights", "written"):
            setattr(group, of, getattr(group, of) + getattr(part, of))
        for operation, seconds in part.operations.items():
            group.operations[operation] = group.operations.get(operation, 0.0) + seconds
    return longest_first(groups.values())


def longest_first(parts: Any) -> list[Part]:
    """The parts that compute something, those that take longest first."""
    return sorted((part for part in parts if part.seconds), key=lambda part: -part.seconds)


def machine() -> str:
    """The processor's name, and what torch uses of it."""
    name = ""
    if (file := Path("/proc/cpuinfo")).exists():
        lines = file.read_text(errors="replace").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return f"{name or platform.processor() or platform.machine()} ({torch.backends.cpu.get_cpu_capability()})"


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), "sightline": VERSION, "torch": str(torch.__version__)}
