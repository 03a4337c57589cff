"""The parts of a model's towers that its config counts: blocks, hidden units of MLPs, and heads with the width."""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from sightline.errors import UsageError
from sightline.models.pairs import PairModel
from sightline.nn.bert_layers import BertLayer
from sightline.nn.transformer import Block, Mlp

CONFIGS = {"image": "vision_config", "text": "text_config"}
"""The towers' names, and the names of their configs in the whole model's."""


@dataclass(frozen=True)
class TowerParts:
    """A tower's parts, by the model's names of modules and tensors.

    `stages`: the lists of blocks with their lengths; most towers have one. `mlps`: the first and the second map of each
    MLP with as many hidden units as the config says. Where the config allows for fewer heads with a smaller width, as
    CLIP's does: `attentions`, `reading`, the tensors with a column for each channel of the width, and `writing`, those
    with a row for each.
    """

    name: str
    config: str
    stages: tuple[tuple[str, int], ...]
    mlps: tuple[tuple[str, str], ...]
    attentions: tuple[str, ...] = ()
    reading: frozenset[str] = frozenset()
    writing: frozenset[str] = frozenset()

    @classmethod
    def of(cls, model: PairModel, name: str) -> "TowerParts":
        """The "image" or "text" tower's. Raises `UsageError` for a tower whose config counts no blocks."""
        module = model.towers[name][0]
        tower = model.get_submodule(module)
        parts = {f"{module}.{path}": part for path, part in tower.named_modules()}
        stages = tuple((path, len(part)) for path, part in parts.items() if _is_stage(part))
        if not stages:
            raise UsageError(
                f"the {name} tower of an {type(model).__name__} has no blocks or hidden units that a config counts one "
                f"by one; prune_structured(..., towers=[{_other(name)!r}]) prunes the other tower alone"
            )
        pairs = [pair for path, part in parts.items() for pair in _mlp(path, part)]
        other = _with_a_unit_more(model, CONFIGS[name])
        mlps = tuple(pair for pair in pairs if parts[pair[0]].out_features != other.get_submodule(pair[0]).out_features)
        if model.config.model_type != "clip":
            return cls(name, CONFIGS[name], stages, mlps)
        attentions = tuple(path for path in parts if path.endswith(".self_attn"))
        reading = {f"{path}.qkv.weight" for path in attentions} | {f"{first}.weight" for first, _ in mlps}
        reading |= {f"{model.towers[name][1]}.weight"}
        reading |= {f"{path}.weight" for path, part in parts.items() if isinstance(part, nn.Embedding)}
        inner = {f"{path}.qkv.bias" for path in attentions} | {f"{first}.bias" for first, _ in mlps}
        tensors = {key for key in model.state_dict() if key.startswith(f"{module}.")}
        writing = frozenset(tensors - reading - inner)
        return cls(name, CONFIGS[name], stages, mlps, attentions, frozenset(reading), writing)

    @property
    def blocks(self) -> int:
        """How many blocks there are."""
        return sum(count for _, count in self.stages)

    @property
    def has_depths(self) -> bool:
        """Whether the config counts the blocks of each stage, as GroupViT's does."""
        return len(self.stages) > 1

    @property
    def removable(self) -> list[int]:
        """The numbers of the blocks that are not the only one of their stage."""
        counts = [count for _, count in self.stages for _ in range(count)]
        return [number for number, count in enumerate(counts) if count > 1]

    def settings(self, model: PairModel) -> Any:
        """The tower's config."""
        return getattr(model.config, self.config)


def _with_a_unit_more(model: PairModel, config: str) -> PairModel:
    """A model without numbers. Not all MLPs that have as many hidden units as the config says have them by it."""
    changed = copy.deepcopy(model.config)
    settings = getattr(changed, config)
    settings.intermediate_size += 1
    with torch.device("meta"):
        return type(model)(changed)


def _other(name: str) -> str:
    return next(each for each in CONFIGS if each != name)


def _is_stage(part: nn.Module) -> bool:
    return (
        isinstance(part, nn.ModuleList)
        and len(part) > 0
        and all(isinstance(block, Block | BertLayer) for block in part)
    )


def _mlp(name: str, part: nn.Module) -> list[tuple[str, str]]:
    if isinstance(part, Mlp):
        return [(f"{name}.fc1", f"{name}.fc2")]
    return [(f"{name}.intermediate.dense", f"{name}.output.dense")] if isinstance(part, BertLayer) else []
