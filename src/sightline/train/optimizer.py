"""How weights move: which of them decay, and how fast they go at each step."""

import math
from typing import Any

import torch
from torch import nn

from sightline.models.pairs import PairModel
from sightline.train.freeze import shares
from sightline.train.recipe import Recipe


def optimizer(model: PairModel, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW over what is trained: matrices decay; norms, biases and the scale don't (Radford et al., 2021, 2.5).

    Each group's "share" is what the rate of a step is multiplied with for it.
    """
    groups: dict[tuple[float, float, type], list[nn.Parameter]] = {}
    share = shares(model, recipe.layer_rate)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            # Tensors that processes share and those that they don't share are not computed together.
            key = (recipe.decay if parameter.ndim > 1 else 0.0, share[name], type(parameter.data))
            groups.setdefault(key, []).append(parameter)
    told: list[dict[str, Any]] = [
        {"params": own, "weight_decay": decay, "share": share} for (decay, share, _), own in groups.items()
    ]
    return torch.optim.AdamW(told, lr=recipe.rate, betas=recipe.betas, eps=recipe.eps, fused=True)


def rate(step: int, steps: int, recipe: Recipe) -> float:
    """The learning rate of step `step` from 0: a straight warm-up, then half a cosine to 0."""
    warm_up = steps // 20 if recipe.warm_up is None else recipe.warm_up
    warm = min(1.0, (step + 1) / (warm_up + 1))
    done = max(0, step - warm_up) / max(1, steps - warm_up)
    return recipe.rate * warm * 0.5 * (1 + math.cos(math.pi * done))
