"""What a tower's parts add to its vectors, measured on images and texts.

A unit's or a head's importance is how much its output varies, times the size of the weights that read it: what remains
of it when its mean has gone into a bias (An et al., "Fluctuation-based Adaptive Structured Pruning for Large Language
Models", 2023, equation 5). A block's is how far the vectors move without it.
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
        found = [features(model, tower, **_on(batch, model.device)) for batch in inputs]
    return F.normalize(torch.cat(found).float(), dim=-1)


@dataclass(frozen=True)
class Importance:
    """Of the inputs of a tower's maps, by the maps' names: their means, and the importance of each."""

    tower: TowerParts
    means: Mapping[str, Tensor]
    of_inputs: Mapping[str, Tensor]

    @classmethod
    def measured(cls, model: PairModel, tower: TowerParts, inputs: Iterable[Mapping[str, Tensor]]) -> "Importance":
        """Of a model in evaluation, on these inputs of the tower. Tokens that are padding do not count."""
        names = [second for _, second in tower.mlps] + [f"{path}.out_proj" for path in tower.attentions]
        names += [name.removesuffix(".weight") for name in sorted(tower.reading)]
        found = {name: model.get_submodule(name) for name in names}
        maps: dict[str, Any] = {name: part for name, part in found.items() if not isinstance(part, nn.Embedding)}
        moments = {name: _Moments() for name in maps}
        hooks = [part.register_forward_pre_hook(moments[name]) for name, part in maps.items()]
        try:
            for batch in inputs:
                for of_map in moments.values():
                    of_map.mask = batch.get("attention_mask")
                vectors(model, tower.name, [batch])
        finally:
            for hook in hooks:
                hook.remove()
        sizes = {name: part.weight.detach().double().square().sum(0).cpu() for name, part in maps.items()}
        return cls(
            tower,
            {name: of_map.mean for name, of_map in moments.items()},
            {name: of_map.variance * sizes[name] for name, of_map in moments.items()},
        )

    def keep_units(self, model: Any, count: int) -> Any:
        """The model with the `count` most important hidden units of each MLP."""
        kept = [_most(self.of_inputs[second], count) for _, second in self.tower.mlps]
        return cut.keep_units(model, self.tower, kept, self.means)

    def keep_heads(self, model: Any, count: int) -> Any:
        """The model with the `count` most important heads of each attention, and as much of the width."""
        heads = self.tower.settings(model).num_attention_heads
        kept = [
            _most(self.of_inputs[f"{path}.out_proj"].unflatten(0, (heads, -1)).sum(1), count)
            for path in self.tower.attentions
        ]
        readers = [name.removesuffix(".weight") for name in sorted(self.tower.reading)]
        of_channels = [self.of_inputs[name] for name in readers if name in self.of_inputs]
        # Each map counts alike, whatever the size of its outputs.
        channels = torch.stack([each / each.sum() for each in of_channels]).sum(0)
        return cut.keep_heads(model, self.tower, kept, _most(channels, len(channels) // heads * count), self.means)


class _Moments:
    """Mean and variance of a map's inputs, as a hook before it."""

    mask: Tensor | None = None

    def __init__(self) -> None:
        self._count = 0
        self._sum: Any = 0.0
        self._squares: Any = 0.0

    def __call__(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        x = inputs[0].detach()
        rows = x[self.mask.bool()] if self.mask is not None and x.shape[:-1] == self.mask.shape else x.flatten(0, -2)
        rows = rows.double().cpu()
        self._count += len(rows)
        self._sum = self._sum + rows.sum(0)
        self._squares = self._squares + rows.square().sum(0)

    @property
    def mean(self) -> Tensor:
        found: Tensor = self._sum / self._count
        return found

    @property
    def variance(self) -> Tensor:
        found: Tensor = self._squares / self._count - self.mean.square()
        return found.clamp(min=0)


def _most(importance: Tensor, count: int) -> Tensor:
    """The numbers of the `count` most important, ascending."""
    return importance.argsort(descending=True, stable=True)[:count].sort().values


def _on(batch: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    return {name: tensor.to(device) for name, tensor in batch.items()}
