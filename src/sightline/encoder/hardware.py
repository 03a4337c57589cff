"""Which device and which precision "auto" stands for, and how threads share the cores."""

import platform
from concurrent.futures import ThreadPoolExecutor
from difflib import get_close_matches
from threading import Barrier, Lock
from typing import Any, get_args

import torch

import sightline.nn.threads  # noqa: F401 (a forked child can compute)
from sightline.encoder.precision import Precision
from sightline.errors import UsageError
from sightline.logger import LOGGER

DEVICES = ("auto", "cpu", "cuda", "mps", "xpu")
"""Kinds of devices; of several GPUs one is named with its number, "cuda:1"."""


def pick_device(device: str | torch.device) -> torch.device:
    """ "auto": a CUDA GPU, else Apple's or Intel's, else the processor. Raises `UsageError`, a line with the way out,
    for a device that is missing."""
    if str(device) == "auto":
        return torch.device(next((kind for kind in ("cuda", "mps", "xpu") if _is_usable(kind)), "cpu"))
    try:
        chosen = torch.device(device)
    except (RuntimeError, TypeError) as error:
        kind = str(device).lower().partition(":")[0]
        near = "cuda" if kind in ("gpu", "nvidia", "amd", "rocm") else (get_close_matches(kind, DEVICES, 1) or [""])[0]
        hint = f"did you mean {near!r}?" if near else f"choose {', '.join(DEVICES)}"
        raise UsageError(f"no device {str(device)!r}: {hint}") from error
    if chosen.type == "meta":
        raise UsageError("the device 'meta' computes nothing: choose cpu, or a GPU")
    if chosen.type in ("cuda", "mps", "xpu") and not _is_usable(chosen.type):
        raise UsageError(f"no device {str(device)!r} here: {_missing(chosen.type)}; --device cpu works everywhere")
    count = getattr(torch, chosen.type).device_count() if chosen.type in ("cuda", "xpu") else 1
    if chosen.index is not None and chosen.type in ("cuda", "xpu", "mps") and chosen.index >= count:
        names = f"{chosen.type}:0" + (f" to {chosen.type}:{count - 1}" if count > 1 else "")
        raise UsageError(f"no device {str(device)!r} here: there is {names}")
    try:
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
        raise UsageError(
            f"the device {str(device)!r} does not work ({reason}); --device cpu works everywhere"
        ) from error
    return chosen


def _is_usable(kind: str) -> bool:
    if kind == "mps":
        return torch.backends.mps.is_available()
    return bool(getattr(torch, kind).is_available())


def _missing(kind: str) -> str:
    """Why there is no GPU of this kind."""
    if kind == "mps":
        return "mps is for the GPU of a Mac"
    name = "CUDA" if kind == "cuda" else "support for Intel's GPUs"
    has_build = (torch.version.cuda or torch.version.hip) if kind == "cuda" else getattr(torch.version, "xpu", None)
    if not has_build:
        return f"this torch was built without {name}: install another by https://pytorch.org/get-started/locally"
    return (
        "torch finds no GPU: is its driver installed, and CUDA_VISIBLE_DEVICES not empty?"
        if kind == "cuda"
        else ("torch finds no GPU of Intel's: is its driver installed?")
    )


def pick_precision(precision: str, device: torch.device) -> str:
    """The `Precision`; for "auto" bfloat16 where the device has it in hardware, else float32. Raises `UsageError` for
    another name, and for one that the device cannot compute in."""
    names = get_args(Precision)
    if precision not in names:
        raise UsageError(f"precision {precision!r} is not known: choose {', '.join(names[:-1])} or {names[-1]}")
    if precision == "auto":
        return "bfloat16" if has_bfloat16(device) else "float32"
    if precision == "int8":
        check_int8(device)
    return precision


def pick_dtype(precision: str, device: torch.device) -> torch.dtype:
    """The type of the numbers that a model in this `Precision`, which is not "fast", takes."""
    return dtype_of(pick_precision(precision, device), device)


def dtype_of(precision: str, device: torch.device) -> torch.dtype:
    """The type of the numbers that a model in a precision, which is not "fast", takes: in int8 float32; in int4, which
    is of weights alone, as by "auto"."""
    if precision in ("auto", "int4"):
        precision = pick_precision("auto", device)
    dtype: torch.dtype = torch.float32 if precision == "int8" else getattr(torch, precision)
    return dtype


def is_int8_quick(device: torch.device) -> bool:
    """Whether the device is a processor with instructions for int8, so that it is quicker than float32."""
    is_x86 = torch.backends.cpu.get_cpu_capability().startswith("AVX")
    return device.type == "cpu" and is_x86 and torch.cpu._is_vnni_supported()


def check_int8(device: torch.device) -> None:
    """Raises `UsageError` where a model cannot be computed in int8. The logger is told where that is slow."""
    if device.type != "cpu":
        raise UsageError(f"int8 has no kernels on {device}: take --device cpu, or --precision bfloat16 or float16")
    if not torch.backends.cpu.get_cpu_capability().startswith("AVX"):
        raise UsageError("int8 has no quick kernels on this processor (x86 with AVX2): take --precision float32")
    if not is_int8_quick(device):
        LOGGER.warning("int8 is slow on this processor, which lacks the instructions for it (VNNI)")


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device has bfloat16 in hardware, so that it is quicker than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu" and torch.backends.cpu.get_cpu_capability().startswith("AVX"):
        # torch computes bfloat16 on any processor; only with these instructions is it quicker than float32.
        return bool(torch.cpu._is_avx512_bf16_supported() or has_amx(device))
    return False


def has_amx(device: torch.device) -> bool:
    """Whether the device is a processor that multiplies whole tiles of bfloat16."""
    return device.type == "cpu" and bool(torch.cpu._is_amx_tile_supported())


def machine(device: torch.device) -> str:
    """What decides which numbers are quick there, and their last bits: the device's model, its instructions, torch."""
    if device.type in ("cuda", "xpu"):
        return f"{device.type} {torch.get_device_module(device).get_device_name(device)} {torch.__version__}"
    facts: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    flags = sorted(name for name, value in facts.items() if value is True)
    kind = facts.get("cpu_name") or platform.processor() or platform.machine()
    return " ".join([device.type, str(kind), torch.backends.cpu.get_cpu_capability(), *flags, torch.__version__])


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
