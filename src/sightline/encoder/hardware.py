"""Which device and which precision "auto" stands for, and how threads share the cores."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Lock
from typing import get_args

import torch

import sightline.nn.threads  # noqa: F401 (a forked child can compute)
from sightline.encoder.precision import Precision
from sightline.errors import UsageError


def pick_device(device: str | torch.device) -> torch.device:
    """ "auto": a CUDA GPU, else Apple's, else the processor. Raises `UsageError` for a device that is missing."""
    if str(device) != "auto":
        try:
            chosen = torch.device(device)
            torch.empty(0, device=chosen)
        except (RuntimeError, AssertionError) as error:
            raise UsageError(f'no device {device!r} here ({str(error).splitlines()[0]}); try device="cpu"') from error
        return chosen
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def pick_dtype(precision: str, device: torch.device) -> torch.dtype:
    """The type that a `Precision` names: for "auto" bfloat16 where the device has it in hardware, else float32. Raises
    `UsageError` for another name."""
    names = get_args(Precision)
    if precision not in names:
        raise UsageError(f"precision {precision!r} is not known: choose {', '.join(names[:-1])} or {names[-1]}")
    if precision == "auto":
        return torch.bfloat16 if _has_bfloat16(device) else torch.float32
    dtype: torch.dtype = getattr(torch, precision)
    return dtype


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu" and torch.backends.cpu.get_cpu_capability().startswith("AVX"):
        # torch computes bfloat16 on any processor; only with these instructions is it quicker than float32.
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return False


_starting = Lock()
"""Held while torch's common number of threads is changed for a moment."""


def cores() -> int:
    """How many threads torch computes with."""
    with _starting:
        return torch.get_num_threads()


def one_core_threads(count: int) -> ThreadPoolExecutor:
    """`count` threads in each of which torch computes on one core; in all other threads its number stays as it is.

    `torch.set_num_threads` in one thread also sets the number for threads that have not used torch yet. Therefore all
    threads are started here, and the old number is set again before another thread can read it.
    """
    pool, started = ThreadPoolExecutor(count, "sightline-compute"), Barrier(count)

    def start(_: int) -> None:
        torch.get_num_threads()  # a thread's first call takes over the common number; from here on it has its own
        torch.set_num_threads(1)
        started.wait()

    with _starting:
        common = torch.get_num_threads()
        list(pool.map(start, range(count)))
        torch.set_num_threads(common)
    return pool
