"""A file's tensors as a model's: each in its place, in the dtype that is asked for, or an error that names it."""

import re
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sightline.checkpoint.rules import Piece, first_names, read
from sightline.checkpoint.weights import Weights
from sightline.errors import CheckpointError
from sightline.models.quantizing import Quantization


@dataclass
class LoadingInfo:
    """What a file and a model do not share, by the file's names. `missing`: what got first values; `mismatched`: name,
    shape there, shape here."""

    missing: set[str] = field(default_factory=set)
    unexpected: set[str] = field(default_factory=set)
    mismatched: set[tuple[str, torch.Size, torch.Size]] = field(default_factory=set)

    def to_dict(self) -> dict[str, Any]:
        """As the reference returns it."""
        return {
            "missing_keys": self.missing,
            "unexpected_keys": self.unexpected,
            "mismatched_keys": self.mismatched,
            "error_msgs": [],
        }


@dataclass(frozen=True)
class Source:
    """A file's tensors and, by our names, the pieces that they make. `place` names the file in errors."""

    weights: Weights
    pieces: Mapping[str, Piece]
    place: str | Path

    def names(self, target: str) -> str:
        """The file's names for one of ours."""
        return " + ".join(self.pieces[target].sources)

    def tensor(self, target: str, slot: Tensor, dtype: torch.dtype) -> Tensor:
        """The tensor for `slot`, whose shape it need not have. Raises `CheckpointError` for quantised numbers."""
        tensor = read(self.pieces[target], self.weights.get, str(self.place))
        if slot.is_floating_point() and not tensor.is_floating_point():
            raise CheckpointError(
                f"{self.place}: {self.names(target)} holds {tensor.dtype}, quantised numbers; take "
                "the checkpoint that it was made of, in float32, float16 or bfloat16"
            )
        return tensor.to(dtype) if slot.is_floating_point() else tensor


def fill(
    slots: Mapping[str, Tensor],
    source: Source,
    parts: tuple[str, ...],
    fresh: Mapping[str, Tensor],
    dtype: torch.dtype,
    new: Callable[[], Mapping[str, Tensor]] | None,
    shorter: bool = False,
    quantization: Quantization | None = None,
) -> tuple[dict[str, Tensor], LoadingInfo]:
    """A tensor for each of a model's `slots`, and what was left over.

    `parts`: the beginnings of the names that the model takes; `fresh`: values for what the file lacks. `new` gives
    first values where shapes differ; None: that is an error. `shorter`: blocks behind the model's last one are left
    over. `quantization`: what fills the layers that it has put into the model. Raises `CheckpointError`.
    """
    stored = {target for target in source.pieces if target.startswith(parts) or target in slots}
    _refuse(source.place, "missing", set(slots) - stored - set(fresh))
    more = stored - set(slots)
    if shorter:
        more -= {target for target in more if _is_of_left_out(target, slots)}
    _refuse(source.place, "more than the config asks for:", more)
    info = LoadingInfo()
    for target in (set(source.pieces) - stored) | (stored - set(slots)):
        info.unexpected.update(source.pieces[target].sources)
    state = {}
    for target, slot in slots.items():
        if quantization is not None and target in quantization.layers and target not in fresh:
            state[target] = quantization.fill(target, source.pieces[target], source.weights, dtype)
            continue
        tensor = fresh[target].to(dtype) if target in fresh else source.tensor(target, slot, dtype)
        if tensor.shape != slot.shape:
            if new is None:
                raise CheckpointError(
                    f"{source.place}: {source.names(target)} has shape {tuple(tensor.shape)}, "
                    f"the config asks for {tuple(slot.shape)}"
                )
            info.mismatched.add((source.names(target), tensor.shape, slot.shape))
            continue
        state[target] = tensor
    if info.mismatched and new is not None:
        lacking = {target: tensor for target, tensor in new().items() if target not in state}
        state |= {target: tensor.to(dtype) for target, tensor in lacking.items()}
        shapes = ", ".join(f"{name} {tuple(there)} for {tuple(here)}" for name, there, here in sorted(info.mismatched))
        warnings.warn(f"{source.place}: of other shapes, new and to be trained: {shapes}", stacklevel=3)
    return state, info


def _is_of_left_out(target: str, slots: Collection[str]) -> bool:
    """Whether a tensor is of a block behind the last that the model has."""
    if not (block := re.match(r"(.*\.(?:layers?|blocks)\.)\d+\.", target)):
        return False
    begins = [slot for slot in slots if slot.startswith(block[1])]
    return bool(begins) and not any(slot.startswith(block[0]) for slot in begins)


def _refuse(place: str | Path, what: str, targets: Collection[str]) -> None:
    if targets:
        raise CheckpointError(
            f"{place}: {what} {first_names(sorted(targets))}; does the config belong to these weights?"
        )
