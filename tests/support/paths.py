"""The parts of two models by their paths: ours beside the reference's."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from support.parity import close

# float32, and the reference adds in another order.
VALUES = 1e-4


def kinds(names: Iterable[str]) -> list[str]:
    """One path of each kind: of the numbered parts of a list the last one."""
    return list({re.sub(r"\d+", "*", name): name for name in names if name}.values())


def paths(model: nn.Module) -> list[str]:
    """A module of each kind in `model`."""
    return kinds(name for name, _ in model.named_modules())


def same_parameters(mine: nn.Module, reference: nn.Module) -> None:
    """Each parameter of the reference is reached on ours by its path, with its numbers."""
    for name, parameter in reference.named_parameters():
        assert torch.equal(mine.get_parameter(name), parameter), name


def copy_parameters(mine: nn.Module, reference: nn.Module) -> None:
    """Each parameter and buffer of the reference is copied into ours, by its path."""
    with torch.no_grad():
        for name, parameter in reference.named_parameters():
            mine.get_parameter(name).copy_(parameter)
        for name, buffer in reference.named_buffers():
            if name.rpartition(".")[2] not in ("position_ids", "token_type_ids"):
                mine.get_buffer(name).copy_(buffer)


def outcomes(model: nn.Module, names: Iterable[str], call: Callable[[Any], object]) -> dict[str, Any]:
    """What each of the parts gives while `call(model)` runs, by its path, as hooks see it."""
    seen: dict[str, Any] = {}

    def keep(name: str) -> Callable[..., None]:
        return lambda module, inputs, out: seen.__setitem__(name, _cloned(out))

    handles = [model.get_submodule(name).register_forward_hook(keep(name)) for name in names]
    with torch.no_grad():
        call(model)
    for handle in handles:
        handle.remove()
    return seen


def halved(model: nn.Module, name: str, call: Callable[[Any], Tensor]) -> Tensor:
    """What `call(model)` gives where a hook halves what the part `name` gives, which must run."""
    ran = []

    def halve(module: nn.Module, inputs: object, out: Any) -> Any:
        ran.append(name)
        return _halved(out)

    handle = model.get_submodule(name).register_forward_hook(halve)
    with torch.no_grad():
        found = call(model)
    handle.remove()
    assert ran, f"{name} did not run"
    return found


def replaced(model: nn.Module, name: str, call: Callable[[Any], Tensor]) -> Tensor:
    """What `call(model)` gives where the linear map `name` is assigned another one, always the same."""
    owner, _, attribute = name.rpartition(".")
    part = model.get_submodule(name)
    torch.manual_seed(0)
    setattr(
        model.get_submodule(owner), attribute, nn.Linear(part.in_features, part.out_features, part.bias is not None)
    )
    with torch.no_grad():
        return call(model)


def backward(model: nn.Module, names: Iterable[str], call: Callable[[Any], Tensor]) -> set[str]:
    """The parts whose backward hooks run in the gradient of `call(model)`."""
    ran: set[str] = set()

    def note(name: str) -> Callable[..., None]:
        return lambda module, inputs, outputs: ran.add(name)

    handles = [model.get_submodule(name).register_full_backward_hook(note(name)) for name in names]
    call(model).backward()
    for handle in handles:
        handle.remove()
    return ran


def _cloned(out: Any) -> Any:
    # The reference changes some outputs in place afterwards.
    if isinstance(out, Tensor):
        return out.clone()
    if isinstance(out, tuple):
        return tuple(map(_cloned, out))
    return {name: _cloned(out[name]) for name in out.keys()} if hasattr(out, "to_tuple") else out  # noqa: SIM118


def _halved(out: Any) -> Any:
    if isinstance(out, Tensor):
        return out / 2
    if isinstance(out, tuple):
        return (out[0] / 2, *out[1:])
    for name in {"last_hidden_state", "pooler_output"} & set(out.keys()):
        setattr(out, name, getattr(out, name) / 2)
    return out


def alike(mine: Any, reference: Any) -> None:
    """Tensors, tuples and outputs of them, and None: of the same kind and near one another."""
    if isinstance(reference, dict):
        assert isinstance(mine, dict)
        for name in reference:
            alike(mine[name], reference[name])
    elif isinstance(reference, tuple):
        assert isinstance(mine, tuple)
        assert len(mine) == len(reference)
        for a, b in zip(mine, reference, strict=True):
            alike(a, b)
    elif reference is None:
        assert mine is None
    else:
        close(mine, reference, VALUES, 1e-6)


def compare_outcomes(mine: Mapping[str, Any], reference: Mapping[str, Any]) -> None:
    """The same parts ran, with the same outcomes."""
    assert mine.keys() == reference.keys()
    for name, out in reference.items():
        try:
            alike(mine[name], out)
        except AssertionError as error:
            error.add_note(name)
            raise
