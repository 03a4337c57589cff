"""Functions whose gradient is written by hand, and what torch does with functions beside asking for it."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def by_hand() -> bool:
    """Whether a gradient written by hand will do: where torch transforms a function (`torch.func`) or records it
    (`torch.jit.trace`), it has to see each operation."""
    traced = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    return not (traced or torch._C._are_functorch_transforms_active())


def twice(function: Callable[..., Tensor], inputs: Sequence[Tensor], gradient: Tensor) -> list[Tensor | None]:
    """Gradients that can be differentiated again: of `function(*inputs)`, with regard to those inputs that want one."""
    wanted = [each for each in inputs if each.requires_grad]
    found = iter(torch.autograd.grad(function(*inputs), wanted, gradient, create_graph=True))
    return [next(found) if each.requires_grad else None for each in inputs]
