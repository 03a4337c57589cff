"""Structured pruning: whole blocks, hidden units, and heads with a part of the width are removed. What remains is a
plain model of the same class with a smaller config, which any program opens and which is faster everywhere.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sightline.errors import UsageError
from sightline.models.pairs import PairModel
from sightline.optimize.candidates import Candidate, Candidates
from sightline.optimize.importance import NAMES, inputs_of
from sightline.optimize.inputs import Inputs, batches
from sightline.optimize.tower_parts import CONFIGS, TowerParts
from sightline.progress import ProgressCallback, no_progress

Model = TypeVar("Model", bound=PairModel)


@dataclass(frozen=True)
class TowerCut:
    """What was removed of a tower: the numbers of its `blocks`; of hidden units, heads and the width how many there
    were and are; likewise the multiplications of one input; and how far the vectors moved, the mean of 1 - cosine."""

    tower: str
    blocks: tuple[int, ...]
    units: tuple[int, int]
    heads: tuple[int, int]
    width: tuple[int, int]
    multiplications: tuple[int, int]
    distance: float

    @property
    def removed(self) -> str:
        """What was removed, for people."""
        said = []
        if self.blocks:
            said.append(f"block{'s' * (len(self.blocks) > 1)} {', '.join(map(str, self.blocks))} (the first is 0)")
        if self.heads[0] > self.heads[1]:
            said.append(f"{self.heads[0] - self.heads[1]} of {self.heads[0]} heads, width {self.width[1]:,}")
        if self.units[0] > self.units[1]:
            said.append(f"{self.units[0] - self.units[1]:,} of {self.units[0]:,} hidden units")
        return "; ".join(said)


@dataclass(frozen=True)
class Pruned(Generic[Model]):
    """A pruned model, and what was removed of its towers. Printed, a table."""

    model: Model
    cuts: tuple[TowerCut, ...]

    def __str__(self) -> str:
        wide = max(len(cut.removed) for cut in self.cuts)
        lines = [f"tower  {'removed':<{wide}}  multiplications of one        now   less"]
        for cut in self.cuts:
            before, now = cut.multiplications
            counts = f"{before / 1e6:>20,.1f} M  {now / 1e6:>7,.1f} M  {1 - now / before:>5.1%}"
            lines.append(f"{cut.tower:<5}  {cut.removed:<{wide}}  {counts}")
        return "\n".join(lines)


def prune_structured(
    model: Model,
    amount: float,
    calibration: Inputs | Iterable[Inputs],
    *,
    towers: Sequence[str] = tuple(CONFIGS),
    progress: ProgressCallback = no_progress,
) -> Pruned[Model]:
    """A smaller model: the share `amount` of the multiplications of each of the `towers` ("image", "text") is removed,
    or a little more, as hidden units go in eights. The model itself stays as it is; what is not cut is shared with it.

    `calibration`: images and texts such as the model will see, a hundred or more, as `processor(images=..., text=...,
    padding=True, return_tensors="pt")`, or several such batches. All ways to remove the share are tried: each number of
    blocks, the least important gone first; each number of heads with their part of the width, where the family's config
    allows for it (CLIP's); and as many hidden units as are then too many. The one whose vectors stay nearest to the
    model's is taken. Training brings most of the quality back, best by distillation from the model, as
    `sightline optimize --prune --recover` does. Raises `UsageError`.
    """
    _check(model, amount, towers)
    given = batches(calibration)
    for tower in towers:
        TowerParts.of(model, tower)
        if not all(NAMES[tower][0] in batch for batch in given):
            raise UsageError(f"calibration lacks {NAMES[tower][0]}: give images and texts, as the model takes them")
    was_training = model.training
    small, cuts = model.eval(), list[TowerCut]()
    try:
        for tower in towers:
            candidates = Candidates(small, tower, list(inputs_of(tower, given)), amount, progress)
            best = min(candidates.found(), key=lambda candidate: candidate.distance)
            cuts.append(_told(candidates, best))
            small = best.model
    finally:
        model.train(was_training)
    return Pruned(small.train(was_training), tuple(cuts))


def _check(model: Any, amount: Any, towers: Any) -> None:
    if not isinstance(model, PairModel):
        raise UsageError(f"a {type(model).__name__} is no whole model of two towers, such as a CLIPModel")
    if isinstance(amount, bool) or not isinstance(amount, int | float) or not 0 < amount < 1:
        raise UsageError(f"amount is {amount!r}: give the share of the multiplications to be removed, such as 0.3")
    if isinstance(towers, str) or not towers or not set(towers) <= set(CONFIGS):
        raise UsageError(f'towers is {towers!r}: give ["image", "text"], or a list of one of them')


def _told(candidates: Candidates, best: Candidate) -> TowerCut:
    before, now = candidates.parts.settings(candidates.model), candidates.parts.settings(best.model)
    return TowerCut(
        candidates.tower,
        best.gone,
        (before.intermediate_size, now.intermediate_size),
        (before.num_attention_heads, now.num_attention_heads),
        (before.hidden_size, now.hidden_size),
        (candidates.before, best.multiplications),
        best.distance,
    )
