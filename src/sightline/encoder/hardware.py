"""Which device and which precision: what "auto" means. How threads share the cores."""

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


def take_cores(count: int) -> None:
    """What the calling thread computes from here on, torch spreads over so many threads.

    torch also gives that number to threads that it has not seen before: who started this one sets the old number again.
    """
    torch.get_num_threads()  # A thread's first look at the number takes the common one: this is it.
    torch.set_num_threads(count)
