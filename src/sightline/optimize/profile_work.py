"""Scalar multiplications of operations, and how many a second the machine can do at most."""

import time
from collections.abc import Callable
from functools import cache
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import flop_registry, sdpa_flop_count

from sightline.nn.products import Watch, linear
from sightline.optimize.profile_clock import Clock

PEAK_SECONDS = 0.4
"""How long each size of matrices is multiplied."""
_PEAK_SIDES = (1024, 2048)
"""Of the square matrices whose product is the peak, on a processor."""
_PEAK_SIDES_GPU = (4096, 8192)


def counted(function: Any, args: Any, kwargs: Any) -> tuple[Any, int]:
    """What an operation gives, and its multiplications: of those that multiply matrices, convolve or attend; 0 of
    others, which multiply number by number. In inference mode an operation may be made of several: then of those.

    torch's counter of floating-point operations takes an addition with each multiplication."""
    count = flop_registry.get(function._overloadpacket) or _further().get(str(function._overloadpacket))
    if count is not None:
        out = function(*args, **kwargs)
        return out, int(count(*args, **kwargs, out_val=out)) // 2
    with Counting() as inner:
        out = function.decompose(*args, **kwargs)
    return (function(*args, **kwargs), 0) if out is NotImplemented else (out, inner.multiplications)


class Counting(Watch):
    """Within, the multiplications of all operations are added up."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.multiplications = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out, more = counted(function, args, kwargs or {})
        self.multiplications += more
        return out


@cache
def _further() -> dict[str, Callable[..., int]]:
    """Operations that torch's counter does not know."""
    return {
        "aten._scaled_dot_product_flash_attention_for_cpu": _attention,
        "aten._scaled_dot_product_fused_attention_overrideable": _attention,
        "aten._scaled_dot_product_attention_math_for_mps": _attention,
        "mkldnn._convolution_pointwise": _convolution,
        "mkldnn._linear_pointwise": _linear,
        "onednn.qlinear_pointwise": _linear,
        "quantized.linear_dynamic": _linear,
        "aten._int_mm": _linear,
        "aten._weight_int8pack_mm": _linear,
        "aten._weight_int4pack_mm_for_cpu": _linear,
        "bitsandbytes.gemm_4bit": _linear,
        "bitsandbytes.gemv_4bit": _linear,
        "bitsandbytes.int8_linear_matmul": _linear,
        "bitsandbytes.int8_mixed_scaled_mm": _linear,
        "bitsandbytes.int8_scaled_mm": _linear,
    }


def _attention(query: Tensor, key: Tensor, value: Tensor, *args: Any, out_val: Any = None, **kwargs: Any) -> int:
    return int(sdpa_flop_count(query.shape, key.shape, value.shape))  # type: ignore[no-untyped-call]


def _convolution(x: Tensor, weight: Tensor, *args: Any, out_val: Any = None, **kwargs: Any) -> int:
    return 2 * int(prod(out_val.shape)) * weight[0].numel()


def _linear(x: Tensor, *args: Any, out_val: Any = None, **kwargs: Any) -> int:
    out_val = out_val[0] if isinstance(out_val, tuple) else out_val
    return 2 * int(prod(out_val.shape)) * int(x.shape[-1])


@torch.inference_mode()
def peak(clock: Clock, dtype: torch.dtype) -> float:
    """Multiplications a second in products of large matrices of this type: the best of several."""
    best, end = 0.0, time.perf_counter() + PEAK_SECONDS
    for side in _PEAK_SIDES if clock.device.type == "cpu" else _PEAK_SIDES_GPU:
        a = torch.ones(side, side, dtype=dtype, device=clock.device)
        b = torch.ones(side, side, dtype=dtype, device=clock.device)
        linear(a, b)
        while True:
            start = clock()
            linear(a, b)
            best = max(best, side**3 / (clock() - start))
            if time.perf_counter() > end:
                break
        end += PEAK_SECONDS
    return best
