"""How weights move: which of them decay, and how fast they go at each step."""

import math
from typing import Any

import torch
from torch import nn

from sightline.models.pairs import PairModel
from sightline.train.recipe import Recipe


def optimiser(model: PairModel, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW over what is trained: matrices decay; norms, biases and the scale don't (Radford et al., 2021, 2.5)."""
    groups: dict[float, list[nn.Parameter]] = {}
    for parameter in model.parameters():
        if parameter.requires_grad:
            groups.setdefault(recipe.decay if parameter.ndim > 1 else 0.0, []).append(parameter)
    told: list[dict[str, Any]] = [{"params": own, "weight_decay": decay} for decay, own in groups.items()]
    return torch.optim.AdamW(told, lr=recipe.rate, betas=recipe.betas, eps=recipe.eps, fused=True)


def rate(step: int, steps: int, recipe: Recipe) -> float:
    """The learning rate of step `step` from 0: a straight warm-up, then half a cosine to 0."""
    warm = min(1.0, (step + 1) / (recipe.warm_up + 1))
    done = max(0, step - recipe.warm_up) / max(1, steps - recipe.warm_up)
    return recipe.rate * warm * 0.5 * (1 + math.cos(math.pi * done))
