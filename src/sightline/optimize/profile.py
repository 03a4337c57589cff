"""How long a model takes, how much memory, and which of its parts."""

from collections.abc import Callable, Mapping
from functools import partial
from statistics import fmean, median
from typing import Any

import numpy as np
import torch

from sightline.errors import UsageError
from sightline.optimize.profile_clock import Clock, Memory, device_of
from sightline.optimize.profile_parts import Part, parts_of
from sightline.optimize.profile_places import Places

MB = 1 << 20


class ModelProfiler:
    """Measures a model: a module of ours, of `transformers` or any other, a method of one, or a function of tensors.

    `inference_times` are the seconds of each pass of the last measurement, `memory_usage` the megabytes (2^20 bytes)
    after each: what this process holds, or what torch holds on a GPU.
    """

    def __init__(self, model: Callable[..., Any]) -> None:
        if not callable(model):
            raise UsageError(f"{type(model).__name__} is no model: give a module or a function")
        self.model = model
        self.memory_usage: list[float] = []
        self.inference_times: list[float] = []

    def profile_inference(self, inputs: Any, iterations: int = 10) -> dict[str, Any]:
        """Passes without gradients, after one that is not counted. Within `torch.inference_mode()` they are passes in
        it, as an encoder makes them, for which our models have other kernels.

        `inputs`: a mapping of arguments by name (what a processor returns), a tuple or list of them, or one tensor. A
        GPU is waited for after each pass. Returns, in seconds a pass and in megabytes:
        `avg_inference_time`, `median_inference_time`, `p95_inference_time`; `memory_usage_mb` at the end,
        `peak_memory_mb` (the most during the passes; on systems other than Linux, the most that the process ever held);
        `outputs_shape`, of the outputs' form: a mapping for outputs with names, a list for a tuple or list, a
        `torch.Size` for a tensor, for anything else the name of its type. Raises `UsageError` for no passes.
        """
        call, device = _call(self.model, inputs, iterations), device_of(inputs, self.model)
        clock, memory = Clock(device), Memory(device)
        times: list[float] = []
        held: list[float] = []
        with torch.no_grad():
            call()
            memory.start()
            for _ in range(iterations):
                start = clock()
                outputs = call()
                times.append(clock() - start)
                held.append(memory.now() / MB)
        self.inference_times, self.memory_usage = times, held
        return {
            "avg_inference_time": fmean(times),
            "median_inference_time": median(times),
            "p95_inference_time": float(np.percentile(times, 95)),
            "memory_usage_mb": held[-1],
            "peak_memory_mb": max(memory.most() / MB, *held),
            "outputs_shape": shapes(outputs),
        }

    def profile_parts(self, inputs: Any, iterations: int = 10) -> list[Part]:
        """What each part has in a pass; `inputs` and `iterations` as in `profile_inference`, which this does as well,
        in turn: `inference_times` are those of whole passes in which nothing else was measured."""
        call, device = _call(self.model, inputs, iterations), device_of(inputs, self.model)
        memory = Memory(device)
        with torch.no_grad():
            call()
            self.inference_times, parts = parts_of(call, Places(self.model), Clock(device), iterations)
        self.memory_usage = [memory.now() / MB]
        return parts


def _call(model: Callable[..., Any], inputs: Any, iterations: int) -> Callable[[], Any]:
    if not isinstance(iterations, int) or iterations < 1:
        raise UsageError(f"iterations is {iterations!r}: give a whole number of at least 1")
    if isinstance(inputs, Mapping):
        return partial(model, **inputs)
    return partial(model, *inputs) if isinstance(inputs, tuple | list) else partial(model, inputs)


def shapes(outputs: Any) -> Any:
    """The shapes of tensors and arrays, in the form that they are in; for what has no shape, the name of its type."""
    if hasattr(outputs, "shape"):
        return outputs.shape
    if isinstance(outputs, Mapping) or hasattr(outputs, "items"):
        return {name: shapes(value) for name, value in outputs.items()}
    if isinstance(outputs, tuple | list):
        return [shapes(value) for value in outputs]
    return type(outputs).__name__
