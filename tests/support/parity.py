"""Ours against the reference's: outputs in float32, gradients in float64, files both ways."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sightline.checkpoint.rules import Rule, write
from sightline.models.pretrained import PretrainedModel

# float32 has 24 bits; a few hundred additions a number and a few layers leave five digits.
VALUES = 1e-5
# float64; what is zero by theory (a key's bias) is noise of the size of the rounding in all gradients.
GRADIENTS, GRADIENT_FLOOR = 1e-9, 1e-12


def close(a: Tensor, b: Tensor, relative: float = VALUES, floor: float = 0.0) -> None:
    """The same shape and dtype, and the difference's norm within `relative` of the norm of `b`."""
    difference, size = (a.double() - b.double()).norm().item(), b.double().norm().item()
    assert a.shape == b.shape
    assert a.dtype == b.dtype
    assert difference <= relative * size + floor, f"{difference / max(size, 1e-300):.2e} of its norm"


def compare(mine: object, reference: object, names: list[str], relative: float = VALUES) -> None:
    """The fields `names` of two outputs, those that are tuples of tensors one by one."""
    for name in names:
        a, b = getattr(mine, name), getattr(reference, name)
        if isinstance(b, tuple):
            assert len(a) == len(b)
            for x, y in zip(a, b, strict=True):
                close(x, y, relative)
        else:
            close(a, b, relative)


def both_ways(reference: Any, ours: type[PretrainedModel], folder: Path, **options: Any) -> PretrainedModel:
    """The reference's model as ours, through files; and back, to the last bit, with the same config."""
    reference.save_pretrained(folder / "theirs")
    model = ours.from_pretrained(folder / "theirs", **options)
    model.save_pretrained(folder / "ours")
    again = type(reference).from_pretrained(folder / "ours")
    configs = (type(reference.config).from_pretrained(folder / name) for name in ("ours", "theirs"))
    mine, theirs = (_without_tower_dtypes(config.to_dict()) for config in configs)
    assert mine == theirs
    state = again.state_dict()
    assert state.keys() == reference.state_dict().keys()
    for key, tensor in reference.state_dict().items():
        assert torch.equal(state[key], tensor), key
    return model


def _without_tower_dtypes(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings; a model that was opened notes its towers' dtype too, in both libraries, a new one does not."""
    towers = {key: value for key, value in settings.items() if isinstance(value, dict)}
    return settings | {key: {k: v for k, v in tower.items() if k != "dtype"} for key, tower in towers.items()}


def gradients_of(model: nn.Module, loss: Callable[[nn.Module], Tensor]) -> dict[str, Tensor]:
    """The gradient of each parameter that has one."""
    model.zero_grad()
    loss(model).backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def compare_gradients(
    mine: Mapping[str, Tensor], reference: Mapping[str, Tensor], table: tuple[Rule, ...], relative: float = GRADIENTS
) -> None:
    """Ours, under the names that `table` gives them in the reference's files, against the reference's."""
    found = write(table, mine)
    assert found.keys() == reference.keys()
    floor = GRADIENT_FLOOR * torch.cat([g.flatten() for g in reference.values()]).norm().item()
    for name, gradient in reference.items():
        close(found[name], gradient, relative, floor)
