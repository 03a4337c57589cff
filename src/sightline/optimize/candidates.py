"""All ways to remove a share of a tower's multiplications, and how far each moves the tower's vectors."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sightline.errors import UsageError
from sightline.models.pairs import PairModel
from sightline.optimize.cut import keep_blocks
from sightline.optimize.importance import NAMES, Importance, vectors
from sightline.optimize.multiplications import multiplications
from sightline.optimize.tower_parts import TowerParts
from sightline.progress import Progress, ProgressCallback

UNITS = 8
"""Hidden units stay in multiples of this, which suits vector instructions."""


@dataclass(frozen=True)
class Candidate:
    """A smaller model; the numbers of the tower's blocks that it lacks, in the whole model's count; the multiplications
    of one input of the tower; and how far its vectors are from the whole model's, the mean of 1 - cosine."""

    model: Any
    gone: tuple[int, ...]
    multiplications: int
    distance: float


class Candidates:
    """The ways to remove at least the share `amount` from a tower of a model in evaluation, measured on `inputs`.

    Raises `UsageError` where there is none.
    """

    def __init__(
        self,
        model: PairModel,
        tower: str,
        inputs: Sequence[Mapping[str, Tensor]],
        amount: float,
        progress: ProgressCallback,
    ) -> None:
        self.model, self.tower, self.inputs, self.progress = model, tower, inputs, progress
        self.parts = TowerParts.of(model, tower)
        self._shape = _shape(tower, inputs)
        self.before = self._cost(model.config)
        self._limit = int(self.before * (1 - amount))
        if (least := self._least()) > self._limit:
            heads = ", one head" if self.parts.attentions else ""
            raise UsageError(
                f"{amount:g} of the multiplications cannot be removed from the {tower} tower: with one block in a "
                f"stage{heads} and {UNITS} hidden units {least / self.before:.0%} are left"
            )
        self._whole = vectors(model, tower, inputs)
        self._done = 0

    def found(self) -> list[Candidate]:
        """For each number of blocks less, the least important one gone after the other, those with the heads and hidden
        units that are then too many."""
        model: Any = self.model
        left, candidates = list(range(self.parts.blocks)), list[Candidate]()
        while True:
            gone = tuple(sorted(set(range(self.parts.blocks)) - set(left)))
            candidates += self._narrower(model, gone)
            is_small = self._cost(model.config) <= self._limit
            shorter = (
                [] if is_small else [(self._distance(each), number, each) for number, each in self._shorter(model)]
            )
            if not shorter:
                return candidates
            _, number, model = min(shorter, key=lambda each: each[:2])
            del left[number]

    def _least(self) -> int:
        """The multiplications with as little of everything as there can be."""
        before, stages = self.parts.settings(self.model), len(self.parts.stages)
        least: dict[str, Any] = {"intermediate_size": min(UNITS, before.intermediate_size)}
        least |= {"depths": [1] * stages} if self.parts.has_depths else {"num_hidden_layers": 1}
        if self.parts.attentions:
            least |= {"hidden_size": before.hidden_size // before.num_attention_heads, "num_attention_heads": 1}
        return self._cost(self._changed(self.model, least))

    def _shorter(self, model: Any) -> Iterator[tuple[int, Any]]:
        """The model without a block, for each that it can lack."""
        parts = TowerParts.of(model, self.tower)
        for number in parts.removable:
            yield number, keep_blocks(model, parts, set(range(parts.blocks)) - {number})

    def _narrower(self, model: Any, gone: tuple[int, ...]) -> Iterator[Candidate]:
        """For each number of heads, with as many hidden units as the limit allows."""
        parts = TowerParts.of(model, self.tower)
        importance = Importance.measured(model, parts, self.inputs)
        heads, before = parts.settings(model).num_attention_heads, parts.settings(model).intermediate_size
        for count in range(heads, 0, -1):
            narrow = model if count == heads else importance.keep_heads(model, count)
            if units := self._units(narrow):
                small = narrow if units == before else importance.keep_units(narrow, units)
                yield Candidate(small, gone, self._cost(small.config), self._distance(small))
            if not parts.attentions or units == before:
                return

    def _units(self, model: Any) -> int:
        """How many hidden units of each MLP the limit allows; 0 where none would do."""
        before = self.parts.settings(model).intermediate_size
        few = min(UNITS, before)
        most, least = self._cost(model.config), self._cost(self._changed(model, {"intermediate_size": few}))
        if most <= self._limit:
            return int(before)
        if least > self._limit or before == few:
            return 0
        allowed = few + (before - few) * (self._limit - least) // (most - least)
        return int(allowed // UNITS * UNITS)

    def _changed(self, model: Any, settings: Mapping[str, Any]) -> Any:
        config = copy.deepcopy(model.config)
        getattr(config, self.parts.config).update(settings)
        return config

    def _cost(self, config: Any) -> int:
        return multiplications(type(self.model), config, self.tower, self._shape)

    def _distance(self, model: Any) -> float:
        self._done += 1
        self.progress(Progress(f"trying cuts of the {self.tower} tower", self._done))
        return float(1 - (vectors(model, self.tower, self.inputs) * self._whole).sum(-1).mean())


def _shape(tower: str, inputs: Sequence[Mapping[str, Tensor]]) -> tuple[int, ...]:
    """The shape of an input; of texts one that is as long as they are in the mean."""
    first = NAMES[tower][0]
    if tower == "image":
        return tuple(inputs[0][first].shape[1:])
    masks = [batch.get("attention_mask", torch.ones_like(batch[first])) for batch in inputs]
    return (round(float(torch.cat([mask.sum(1) for mask in masks]).double().mean())),)
