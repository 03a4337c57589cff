"""Products and convolutions of inference by that kernel of torch's which is quickest on this processor (decision 0043).

torch multiplies float32 by Intel's MKL, which takes AVX-512 on Intel's processors alone: on AMD's, oneDNN is more than
twice as fast. Its operations stand in torch under `torch.ops.mkldnn`, where compiled programs call them. They have no
gradient, so all else takes the usual way: training, tracing, compiling, other devices and types.
"""

from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode, _get_current_dispatch_mode_stack as dispatch_modes

from sightline.nn.gradients import by_hand
from sightline.nn.hooks import plain

LEAST_ROWS = 8
"""Fewer rows take as long either way: then the weights' way through memory counts."""


class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A mode that looks at operations, whichever they are, and changes none: with it the same kernels are taken as
    without. By any other mode torch's own are, which it may count or trace."""


@cache
def is_amd() -> bool:
    """Whether the processor is AMD's, with AVX-512, and this torch has oneDNN's operations."""
    found = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    wide = torch.backends.cpu.get_cpu_capability() == "AVX512" and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return wide and "AMD" in str(found.get("cpu_name", "")) and hasattr(torch.ops.mkldnn, "_linear_pointwise")


@cache
def multiplies_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 in vectors, and has no matrix unit: torch's fused attention has
    kernels for the latter alone."""
    if not torch.backends.cpu.get_cpu_capability().startswith("AVX512"):
        return False
    return torch.cpu._is_avx512_bf16_supported() and not torch.cpu._is_amx_tile_supported()


def infers(x: Tensor) -> bool:
    """Whether a plain tensor on the processor is computed with, and nothing watches the operations."""
    if (
        torch.compiler.is_compiling()
        or not torch.is_inference_mode_enabled()  # without gradients alone, checkpointing computes, too
        or type(x) is not Tensor
        or not x.is_cpu
        or not by_hand()
    ):
        return False
    if torch._C._len_torch_dispatch_stack() and not all(isinstance(mode, Watch) for mode in dispatch_modes()):
        return False
    return not torch.is_autocast_enabled("cpu")


def by_onednn(x: Tensor, weight: Tensor) -> bool:
    """Whether `linear` takes oneDNN's operation."""
    if not (x.dtype == weight.dtype == torch.float32 and infers(x) and is_amd()):
        return False
    return x.numel() >= LEAST_ROWS * x.shape[-1]


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`F.linear`: (..., in), (out, in), (out,) -> (..., out)."""
    if by_onednn(x, weight):
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")  # type: ignore[no-any-return]
    return F.linear(x, weight, bias)


def mapped(module: nn.Module, x: Tensor) -> Tensor:
    """`module(x)`, of a linear map as `linear` computes it."""
    if plain(module, nn.Linear):
        return linear(x, module.weight, module.bias)  # type: ignore[arg-type]
    return module(x)  # type: ignore[no-any-return]


def convolution(conv: nn.Conv2d, x: Tensor, silu: bool) -> Tensor | None:
    """`conv(x)`, and SiLU of it if asked for: (B, C, H, W) -> (B, C', H', W'). None where torch's own is as fast."""
    half = x.dtype == torch.bfloat16
    if x.dtype != conv.weight.dtype or not infers(x):
        return None
    if not (multiplies_bfloat16() if half else x.dtype == torch.float32 and is_amd()):
        return None
    padding = [side // 2 for side in conv.kernel_size] if conv.padding == "same" else conv.padding
    after = "swish" if silu and half else "none"  # in float32 no gain, and for some shapes a loss
    y: Tensor = torch.ops.mkldnn._convolution_pointwise(
        x, conv.weight, conv.bias, padding, conv.stride, conv.dilation, conv.groups, after, [], ""
    )
    return F.silu(y, inplace=True) if silu and not half else y


def attention(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor | None:
    """Softmax attention without a mask as two batched products, (B, H, L, D) -> (B, H, L, D); None where the fused
    kernel is as fast."""
    if not (q.dtype == torch.bfloat16 and infers(q) and multiplies_bfloat16()):
        return None
    batch, heads, length, size = q.shape
    q, k, v = (each.reshape(batch * heads, -1, size) for each in (q, k, v))
    hidden = q.new_empty(1, 1, 1)
    if causal:
        hidden = torch.full_like(q[:1, :1, :1], -torch.inf).expand(1, length, length).triu(1)
    weights = torch.baddbmm(hidden, q, k.transpose(1, 2), beta=int(causal), alpha=size**-0.5).softmax(-1)
    return torch.bmm(weights, v).view(batch, heads, length, size)
