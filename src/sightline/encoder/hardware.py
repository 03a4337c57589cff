"""Which device and which precision: what "auto" means. How threads share the cores."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Lock

import torch

from sightline.errors import UsageError
from sightline.models.pretrained import float_dtype


def pick_device(device: str | torch.device) -> torch.device:
    """ "auto": a CUDA GPU, else Apple's, else the processor. Raises `UsageError` for one that is not there."""
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


def pick_dtype(dtype: str | torch.dtype, device: torch.device) -> torch.dtype:
    """ "auto": bfloat16 where the hardware has it, else float32. Raises `UsageError` for what is no float type."""
    if dtype == "auto":
        return torch.bfloat16 if _has_bfloat16(device) else torch.float32
    return float_dtype(dtype)


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        # torch computes bfloat16 on any processor; only with these instructions is it quicker than float32.
        features = torch.backends.cpu.get_cpu_capability()
        if features.startswith("AVX"):
            return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return False


_starting = Lock()
"""Held while torch's common number of threads is not what it is to be."""


def cores() -> int:
    """How many threads torch computes with here."""
    with _starting:
        return torch.get_num_threads()


def one_core_threads(count: int) -> ThreadPoolExecutor:
    """So many threads in which torch computes on one core each; everywhere else it goes on as before.

    What torch is told in a thread also counts for threads that it has not seen before. Therefore all are started here,
    and the old number is set again before anybody else asks.
    """
    pool, started = ThreadPoolExecutor(count, "sightline-compute"), Barrier(count)

    def alone(_: int) -> None:
        torch.get_num_threads()  # A thread's first look at the number takes the common one: this is it.
        torch.set_num_threads(1)
        started.wait()

    with _starting:
        everywhere = torch.get_num_threads()
        list(pool.map(alone, range(count)))
        torch.set_num_threads(everywhere)
    return pool
