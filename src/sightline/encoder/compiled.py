"""Towers compiled by torch for batches of images of one shape (decision 0043)."""

import os
from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from typing import Any

import platformdirs
import torch

from sightline.encoder.memory import is_out_of_memory
from sightline.logger import LOGGER
from sightline.nn.products import is_amd, multiplies_bfloat16

Forward = Callable[..., Any]


def helps(device: torch.device) -> bool:
    """Whether a compiled tower can be quicker than ours: not on processors for which ours picks its own kernels."""
    return device.type != "cpu" or not (is_amd() or multiplies_bfloat16())


class Compiled:
    """A tower's function, compiled on its first batch, for which the other threads wait: all its results are one
    program's. Where it cannot be compiled, the logger is told why, and the function is called as it is.

    What was compiled is kept in the user's cache: the next process needs no C++ compiler's time.
    """

    def __init__(self, forward: Forward, name: str) -> None:
        self._forward, self._name = forward, name
        self._chosen: Forward | None = None
        self._choosing = Lock()

    def __call__(self, *inputs: Any) -> Any:
        """As the function."""
        with self._choosing:
            chosen = self._chosen
            if chosen is None:
                return self._choose(inputs)
        return chosen(*inputs)

    def _choose(self, inputs: tuple[Any, ...]) -> Any:
        LOGGER.warning(f"{self._name}: compiling its tower for images, up to a minute; the next time it takes seconds")
        _keep()
        options: dict[str, Any] = {"compile_threads": 1}  # no processes of torch's stay behind
        if inputs[0].device.type == "cpu":
            options |= {"freezing": True, "cpp.threads": 1}  # each batch runs on one core
        try:
            compiled = torch.compile(self._forward, dynamic=False, options=options)
            outputs = compiled(*inputs)
        except Exception as error:
            if is_out_of_memory(error):
                raise
            outputs = self._forward(*inputs)  # which raises what is wrong with the inputs
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
            LOGGER.warning(f"{self._name}: its tower cannot be compiled here, and runs as it is ({reason})")
            compiled = self._forward
        self._chosen = compiled
        return outputs


class Programs:
    """An encoder's compiled functions. They are not pickled: another process compiles its own, from the cache."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._made: dict[str, Compiled] = {}

    def __reduce__(self) -> tuple[type["Programs"], tuple[str]]:
        return Programs, (self._name,)

    def of(self, forward: Forward, key: str) -> Forward:
        """The function, to be compiled; the same one for the same `key`."""
        return self._made.setdefault(key, Compiled(forward, self._name))


def _keep() -> None:
    """Tells torch to keep what it compiles in the user's cache, if nobody said where."""
    with suppress(RuntimeError):  # no home folder
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(platformdirs.user_cache_path("sightline") / "compiled"))
