"""A model without some of its blocks, hidden units or heads: a plain model of the same class, with a smaller config.
Tensors that are not cut are shared."""

import copy
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from sightline.models.pairs import PairModel
from sightline.optimize.tower_parts import TowerParts

Model = TypeVar("Model", bound=PairModel)


def keep_blocks(model: Model, tower: TowerParts, kept: Iterable[int]) -> Model:
    """`kept`: the numbers of the blocks that stay, counted over all stages."""
    kept, ends = set(kept), accumulate(count for _, count in tower.stages)
    new: dict[str, dict[int, int]] = {}  # stage -> number of a block that stays -> its new number
    for (stage, count), end in zip(tower.stages, ends, strict=True):
        numbers = [number for number in range(count) if end - count + number in kept]
        new[stage] = {number: place for place, number in enumerate(numbers)}
    pattern = re.compile(rf"({'|'.join(map(re.escape, new))})\.(\d+)\.(.+)")
    state = {}
    for name, tensor in model.state_dict().items():
        if found := pattern.fullmatch(name):
            stage, number, rest = found[1], int(found[2]), found[3]
            if number in new[stage]:
                state[f"{stage}.{new[stage][number]}.{rest}"] = tensor
        else:
            state[name] = tensor
    counts = [len(numbers) for numbers in new.values()]
    return _rebuilt(model, tower, {"depths": counts} if tower.has_depths else {"num_hidden_layers": counts[0]}, state)


def keep_units(model: Model, tower: TowerParts, kept: Sequence[Tensor]) -> Model:
    """`kept`: for each MLP the numbers of the hidden units that stay, as many in each."""
    state = dict(model.state_dict())
    for (first, second), units in zip(tower.mlps, kept, strict=True):
        for name in (f"{first}.weight", f"{first}.bias"):
            state[name] = state[name][units]
        state[f"{second}.weight"] = state[f"{second}.weight"][:, units]
    return _rebuilt(model, tower, {"intermediate_size": len(kept[0])}, state)


def keep_heads(model: Model, tower: TowerParts, kept: Sequence[Tensor], channels: Tensor) -> Model:
    """`kept`: for each attention the numbers of the heads that stay, as many in each; `channels`: those of the width
    that stay, as many as these heads have."""
    settings, state = tower.settings(model), dict(model.state_dict())
    size = settings.hidden_size // settings.num_attention_heads
    for attention, heads in zip(tower.attentions, kept, strict=True):
        rows = (heads[:, None] * size + torch.arange(size)).flatten()
        for name in (f"{attention}.qkv.weight", f"{attention}.qkv.bias"):
            state[name] = state[name].unflatten(0, (3, -1))[:, rows].flatten(0, 1)
        state[f"{attention}.out_proj.weight"] = state[f"{attention}.out_proj.weight"][:, rows]
    for name, tensor in state.items():
        if name in tower.reading:
            state[name] = tensor[:, channels]
        elif name in tower.writing:
            state[name] = tensor[channels]
    counts = {"hidden_size": len(channels), "num_attention_heads": len(kept[0])}
    return _rebuilt(model, tower, counts, state)


def _rebuilt(model: Model, tower: TowerParts, settings: Mapping[str, Any], state: Mapping[str, Tensor]) -> Model:
    config = copy.deepcopy(model.config)
    getattr(config, tower.config).update(settings)
    with torch.device("meta"):
        smaller = type(model)(config)
    tensors = {name: tensor.detach().contiguous() for name, tensor in state.items()}
    nn.Module.load_state_dict(smaller, tensors, strict=True, assign=True)
    smaller.name_or_path = model.name_or_path
    return smaller.train(model.training)
