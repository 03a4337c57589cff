"""Whether hooks wait on a module, or a `forward` that a script gave it. Where none does, the module around it may use
its tensors at once, for speed, instead of calling it."""

from torch import Tensor, nn
from torch.nn.modules.module import _has_any_global_hook


def hooked(module: nn.Module) -> bool:
    """Whether a call of the module itself would run a hook, one for all modules counted, or a `forward` that was
    assigned to it.

    Those of torch by which processes divide a module's weights don't count: their methods beside `forward` have them.
    """
    if module._backward_hooks or module._backward_pre_hooks or "forward" in module.__dict__:
        return True
    if _has_any_global_hook():  # type: ignore[no-untyped-call]
        return True
    if not (module._forward_hooks or module._forward_pre_hooks):
        return False
    hooks = (*module._forward_hooks.values(), *module._forward_pre_hooks.values())
    return not all((getattr(hook, "__module__", None) or "").startswith("torch.distributed") for hook in hooks)


def plain(module: nn.Module, kind: type[nn.Module]) -> bool:
    """Whether a call computes what the `kind`'s tensors say and no more: it has no hook and no `forward` of
    its own, and it is not what stands in a `kind`'s place, such as an adapter or a layer with a quantised weight."""
    return type(module) is kind and not hooked(module) and is_plain_tensor(module._parameters.get("weight"))


def is_plain_tensor(tensor: Tensor | None) -> bool:
    """Whether a tensor, if there is one, is torch's own kind. Libraries that quantise put kinds of theirs in place."""
    return type(tensor) in _PLAIN


_PLAIN = (nn.Parameter, Tensor, type(None))
