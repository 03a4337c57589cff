"""What a tower's parts add to its vectors, measured on images and texts: how far these move without the part, as
1 - cosine.

For a block this is tried. For hidden units, heads and channels of the width it is estimated to first order, by one
gradient for all (Molchanov et al., "Importance Estimation for Neural Network Pruning", 2019, method 1, with gates as in
their section 3.2). That paper takes the gradient of a loss; here it is that of the vectors, along random directions,
whose squares have the squared length of the movement as their mean.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.models.pairs import PairModel
from sightline.optimize import cut
from sightline.optimize.multiplications import features
from sightline.optimize.tower_parts import TowerParts

_AT_A_TIME = 32
"""Images or texts that are computed at a time."""
_DIRECTIONS = 4
"""Random directions for each vector, by which movements are measured."""
NAMES = {"image": ("pixel_values",), "text": ("input_ids", "attention_mask")}
"""The inputs of each tower."""


def inputs_of(tower: str, batches: Sequence[Mapping[str, Tensor]]) -> Iterator[dict[str, Tensor]]:
    """Those of the batches' inputs that the tower takes, a few at a time."""
    for batch in batches:
        own = {name: batch[name] for name in NAMES[tower] if name in batch}
        parts = zip(*(tensor.split(_AT_A_TIME) for tensor in own.values()), strict=True)  # type: ignore[no-untyped-call]
        yield from (dict(zip(own, part, strict=True)) for part in parts)


def vectors(model: PairModel, tower: str, inputs: Iterable[Mapping[str, Tensor]]) -> Tensor:
    """Unit vectors (N, P) of the inputs."""
    with torch.no_grad():
        return torch.cat([_vectors(model, tower, batch) for batch in inputs])


@dataclass(frozen=True)
class Importance:
    """How far a tower's vectors move without a part of what its maps read.

    `movements`: by a map's name (N, C), for each image or text and each channel of the map's input the movement along a
    random direction if that channel were 0. Of parts that go together the movements are added.
    """

    tower: TowerParts
    movements: Mapping[str, Tensor]

    @classmethod
    def measured(cls, model: PairModel, tower: TowerParts, inputs: Iterable[Mapping[str, Tensor]]) -> "Importance":
        """Of a model in evaluation, on these inputs of the tower."""
        names = [second for _, second in tower.mlps] + [f"{path}.out_proj" for path in tower.attentions]
        maps = {name: model.get_submodule(name) for name in names + _readers(model, tower)}
        found: dict[str, list[Tensor]] = {name: [] for name in maps}
        random = torch.Generator().manual_seed(0)
        gates = {name: _Gate() for name in maps}
        hooks = [part.register_forward_pre_hook(gates[name]) for name, part in maps.items()]
        try:
            for batch in inputs:
                with torch.enable_grad():
                    reached = _vectors(model, tower.name, batch)
                opened = [gate.opened for gate in gates.values()]
                for _ in range(_DIRECTIONS):
                    direction = torch.randn(reached.shape, generator=random).to(reached.device)
                    moved = torch.autograd.grad(reached, opened, direction, retain_graph=True)
                    for name, each in zip(maps, moved, strict=True):
                        # Frames of a video are inputs of their own inside; together they move its one vector.
                        found[name].append(each.view(len(reached), -1, each.shape[-1]).sum(1, dtype=torch.double).cpu())
        finally:
            for hook in hooks:
                hook.remove()
        return cls(tower, {name: torch.cat(parts) for name, parts in found.items()})

    def keep_units(self, model: Any, count: int) -> Any:
        """The model with the `count` most important hidden units of each MLP."""
        kept = [_most(self.movements[second], count) for _, second in self.tower.mlps]
        return cut.keep_units(model, self.tower, kept)

    def keep_heads(self, model: Any, count: int) -> Any:
        """The model with the `count` most important heads of each attention, and as much of the width."""
        heads = self.tower.settings(model).num_attention_heads
        kept = [
            _most(self.movements[f"{path}.out_proj"].unflatten(1, (heads, -1)).sum(2), count)  # type: ignore[no-untyped-call]
            for path in self.tower.attentions
        ]
        channels = torch.stack([self.movements[name] for name in _readers(model, self.tower)]).sum(0)
        return cut.keep_heads(model, self.tower, kept, _most(channels, channels.shape[1] // heads * count))


class _Gate:
    """A hook before a map that multiplies each input's channels by ones, `opened` (B, 1, C): their gradient is how far
    the model's outputs move when a channel is taken away."""

    opened: Tensor

    def __call__(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor]:
        (x,) = inputs
        self.opened = x.new_ones(len(x), *[1] * (x.ndim - 2), x.shape[-1]).requires_grad_()
        return (x * self.opened,)


def _readers(model: Any, tower: TowerParts) -> list[str]:
    """The maps that read the width."""
    names = [name.removesuffix(".weight") for name in sorted(tower.reading)]
    return [name for name in names if not isinstance(model.get_submodule(name), nn.Embedding)]


def _vectors(model: PairModel, tower: str, batch: Mapping[str, Tensor]) -> Tensor:
    on_device = {name: tensor.to(model.device) for name, tensor in batch.items()}
    return F.normalize(features(model, tower, **on_device).float(), dim=-1)


def _most(movements: Tensor, count: int) -> Tensor:
    """The numbers of the `count` parts (columns) without which the vectors move most, ascending."""
    return movements.square().sum(0).argsort(descending=True, stable=True)[:count].sort().values
