"""Time and memory of what a device computes."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

if sys.platform != "win32":
    import resource

_STATUS = Path("/proc/self/status")


class Clock:
    """Seconds on a device. A GPU works on while Python goes ahead: before the time is read, it is waited for."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._wait: Callable[[], Any] | None = None
        if device.type != "cpu":
            self._wait = torch.get_device_module(device).synchronize

    def __call__(self) -> float:
        if self._wait is not None:
            self._wait()
        return time.perf_counter()


class Memory:
    """What this process (on a processor) or torch (on a GPU) holds, in bytes, and the most since `start`."""

    def __init__(self, device: torch.device) -> None:
        self._gpu = None if device.type == "cpu" else torch.get_device_module(device)

    def start(self) -> None:
        """The most is counted from here on, where the system can do that; else from the process's beginning."""
        if self._gpu is not None:
            if hasattr(self._gpu, "reset_peak_memory_stats"):
                self._gpu.reset_peak_memory_stats()
            return
        try:
            Path("/proc/self/clear_refs").write_text("5")
        except OSError:
            return

    def now(self) -> int:
        """Held now."""
        if self._gpu is not None:
            name = "memory_allocated" if hasattr(self._gpu, "memory_allocated") else "current_allocated_memory"
            return int(getattr(self._gpu, name)())
        return _of_status("VmRSS") or _most_of_process()

    def most(self) -> int:
        """The most that was held."""
        if self._gpu is not None:
            return int(self._gpu.max_memory_allocated()) if hasattr(self._gpu, "max_memory_allocated") else self.now()
        return _of_status("VmHWM") or _most_of_process()


def _of_status(name: str) -> int | None:
    """A line of Linux's file about this process, in bytes; None elsewhere."""
    try:
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    except (OSError, StopIteration):
        return None
    return int(line.split()[1]) << 10


def _most_of_process() -> int:
    """The most that the process ever held; 0 where the system does not say."""
    if sys.platform == "win32":
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most << 10


def device_of(inputs: Any, model: Any) -> torch.device:
    """Where a model computes: where its first tensor is, else that of its inputs, else the processor."""
    owner = model if isinstance(model, torch.nn.Module) else getattr(model, "__self__", None)
    if isinstance(owner, torch.nn.Module):
        for tensor in (*owner.parameters(), *owner.buffers()):
            return tensor.device
    for tensor in torch.utils._pytree.tree_leaves(inputs):
        if isinstance(tensor, torch.Tensor):
            return tensor.device
    return torch.device("cpu")
