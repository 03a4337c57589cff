"""The time, the multiplications and the memory of a model's parts, without a change in what it computes."""

import gc
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn

from sightline.errors import SightlineError
from sightline.nn.products import Watch
from sightline.optimize.profile_clock import Clock
from sightline.optimize.profile_places import Places
from sightline.optimize.profile_work import counted

_WIDTH = 512
"""Of the maps by which is seen what taking the time adds."""


@dataclass(kw_only=True)
class Part:
    """A part in a pass: the dotted `path` of its module ("" the model itself), how often it is called, its seconds,
    scalar multiplications, the bytes of its own tensors and of those that it makes, and the seconds of each operation.
    Parts in it are not counted in."""

    path: str
    calls: int = 0
    seconds: float = 0.0
    multiplications: int = 0
    weights: int = 0
    written: int = 0
    operations: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class _Step:
    """An operation: its name, the part that it belongs to, the parts that are called for it, and what it does."""

    name: str
    path: str
    called: list[str]
    multiplications: int
    written: int


class _Watch(Watch):
    """Within, each operation of torch is a step. Operations run as they would without it."""

    def __init__(self, places: Places, until: FrameType) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.steps: list[_Step] = []
        self._places, self._until = places, until

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = [*_tensors(args), *_tensors(kwargs.values())]
        path, called = self._places.find(sys._getframe(1), self._until, tensors)
        out, work = counted(function, args, kwargs)
        self.steps.append(_Step(_name(function), path, called, work, _written(tensors, out)))
        return out


class _Timed(Watch):
    """Within, each operation is timed: seconds since the one before, which includes the Python code between them."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.functions: list[Any] = []
        self.seconds: list[float] = []
        self._clock, self._last = clock, 0.0

    def __enter__(self) -> "_Timed":
        super().__enter__()  # type: ignore[no-untyped-call]
        self._last = self._clock()
        return self

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = function(*args, **kwargs) if kwargs else function(*args)
        now = self._clock()
        self.functions.append(function)
        self.seconds.append(now - self._last)
        self._last = now
        return out


def parts_of(model: Callable[[], Any], places: Places, clock: Clock, iterations: int) -> tuple[list[float], list[Part]]:
    """The seconds of whole passes, and the parts in a pass: of each operation the median of as many passes, which take
    turns with the whole ones. An operation's seconds are its own and those of the Python code before it, less what
    taking the time adds."""
    extra = _extra(clock)
    whole: list[float] = []
    passes: list[tuple[list[_Step], list[float]]] = []
    steps = _steps(model, places)
    with _without_collecting():
        for _ in range(iterations):
            start = clock()
            model()
            whole.append(clock() - start)
            with _Timed(clock) as timed:
                model()
            if [step.name for step in steps] != [_name(function) for function in timed.functions]:
                steps = _steps(model, places)  # what it computes is not always the same
            if len(steps) == len(timed.seconds):
                passes.append((steps, [max(0.0, seconds - extra) for seconds in timed.seconds]))
    if not passes:
        raise SightlineError("the model computes something else at each call: its parts cannot be measured")
    return whole, _parts(passes, places)


def _steps(model: Callable[[], Any], places: Places) -> list[_Step]:
    with _Watch(places, sys._getframe()) as watch:
        model()
    places.forget_calls()
    steps: list[_Step] = watch.steps
    return steps


def _parts(passes: Sequence[tuple[list[_Step], list[float]]], places: Places) -> list[Part]:
    parts: dict[str, Part] = {}
    for step in passes[-1][0]:
        part = parts.setdefault(step.path, Part(path=step.path))
        part.multiplications += step.multiplications
        part.written += step.written
        for path in step.called:
            parts.setdefault(path, Part(path=path)).calls += 1
    taken: list[dict[tuple[str, str], float]] = []
    for steps, seconds in passes:
        of_pass: dict[tuple[str, str], float] = defaultdict(float)
        for step, each in zip(steps, seconds, strict=True):
            of_pass[step.path, step.name] += each
        taken.append(of_pass)
    for path, name in dict.fromkeys(key for of_pass in taken for key in of_pass):
        operations = parts.setdefault(path, Part(path=path)).operations
        operations[name] = median(of_pass.get((path, name), 0.0) for of_pass in taken)
    for path, size in places.weights.items():
        parts.setdefault(path, Part(path=path)).weights = size
    for part in parts.values():
        part.seconds = sum(part.operations.values())
    return list(parts.values())


def _extra(clock: Clock, rounds: int = 31) -> float:
    """Seconds that taking the time adds to an operation, from a small model.

    Its weights are of a tower's size: they push Python's own data out of the caches, after which it takes longer."""
    layers = [layer for _ in range(10) for layer in (nn.LayerNorm(_WIDTH), nn.Linear(_WIDTH, _WIDTH), nn.GELU())]
    model, x = nn.Sequential(*layers).to(clock.device), torch.zeros(16, _WIDTH, device=clock.device)
    added = []
    for _ in range(rounds):
        start = clock()
        model(x)
        plain = clock() - start
        with _Timed(clock) as timed:
            model(x)
        added.append((sum(timed.seconds) - plain) / len(timed.seconds))
    return max(0.0, median(added))


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Python does not look for garbage while time is taken."""
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _tensors(values: Any) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


def _written(inputs: list[Tensor], out: Any) -> int:
    """Bytes of the tensors that an operation made: none for views of its inputs."""
    known = {_storage(tensor) for tensor in inputs}
    return sum(tensor.nbytes for tensor in _tensors([out]) if _storage(tensor) not in known)


def _storage(tensor: Tensor) -> int:
    try:
        return tensor.untyped_storage().data_ptr()
    except (RuntimeError, NotImplementedError):  # it has none of its own
        return id(tensor)


def _name(function: Any) -> str:
    """ "aten.addmm.default" -> "addmm", "onednn.qlinear_pointwise.default" -> "onednn.qlinear_pointwise"."""
    return str(function).removeprefix("aten.").rpartition(".")[0]
