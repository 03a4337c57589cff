"""A pass of each tower as a trace, which Perfetto and Chrome's tracing open."""

import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch.autograd.profiler import record_function
from torch.profiler import ProfilerActivity, profile
from torch.utils._pytree import tree_leaves

from sightline.errors import UsageError
from sightline.files import replacing
from sightline.nn.products import Watch
from sightline.optimize.profile_encoder import Batch
from sightline.optimize.profile_places import Places

_ACTIVITIES = {
    "cpu": [ProfilerActivity.CPU],
    "cuda": [ProfilerActivity.CPU, ProfilerActivity.CUDA],
    "xpu": [ProfilerActivity.CPU, ProfilerActivity.XPU],
}


class _Scopes(Watch):
    """Within, the operations of each part lie in a scope of its name, and that in those of the parts around it."""

    def __init__(self, places: Places, root: str, until: FrameType) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._places, self._root, self._until = places, root, until
        self._open: list[tuple[str, record_function]] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        path, _ = self._places.find(sys._getframe(1), self._until, tree_leaves((args, kwargs)))
        self._enter([self._root, *(path.split(".") if path else [])])
        return function(*args, **kwargs)

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        self._enter([])  # outside: closing a scope is an operation too

    def _enter(self, names: list[str]) -> None:
        same = 0
        while same < min(len(names), len(self._open)) and names[same] == self._open[same][0]:
            same += 1
        while len(self._open) > same:
            self._open.pop()[1].__exit__(None, None, None)
        for name in names[same:]:
            scope = record_function(name)
            scope.__enter__()  # type: ignore[no-untyped-call]
            self._open.append((name, scope))


def write_trace(file: Path, batches: Sequence[Batch]) -> None:
    """Writes the operations of a pass of each batch, with their shapes and memory, whole or not at all.

    Raises `UsageError` where it cannot be written.
    """
    device = batches[0].inputs[0].device
    with (
        torch.inference_mode(),  # as the encoder computes
        profile(
            activities=_ACTIVITIES.get(device.type, _ACTIVITIES["cpu"]), record_shapes=True, profile_memory=True
        ) as run,
    ):
        for batch in batches:
            embed = batch.side.tower.embed
            with _Scopes(Places(embed), batch.reads, sys._getframe()):
                embed(*batch.inputs)
    try:
        with replacing(file) as temporary:
            run.export_chrome_trace(str(temporary))
    except (OSError, RuntimeError) as error:
        raise UsageError(f"{file}: the trace cannot be written there ({error})") from error
