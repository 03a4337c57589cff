"""The optimizer, its parameter groups and the learning-rate schedule."""

import math
from typing import Any

import torch
from torch import nn

from sightline.models.pairs import PairModel
from sightline.train.freeze import lr_scales
from sightline.train.recipe import Recipe


def optimizer(model: PairModel, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW over the parameters that are trained. Matrices have weight decay; norms, biases and the logit scale have
    none (Radford et al., 2021, 2.5).

    The learning rate of a group is that of the step times the group's "lr_scale".
    """
    parameters: dict[tuple[float, float, type], list[nn.Parameter]] = {}
    scales = lr_scales(model, recipe.layer_decay)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            # Tensors that are divided among processes and tensors that are not cannot be in one group.
            key = (recipe.weight_decay if parameter.ndim > 1 else 0.0, scales[name], type(parameter.data))
            parameters.setdefault(key, []).append(parameter)
    groups: list[dict[str, Any]] = [
        {"params": params, "weight_decay": weight_decay, "lr_scale": scale}
        for (weight_decay, scale, _), params in parameters.items()
    ]
    return torch.optim.AdamW(groups, lr=recipe.lr, betas=recipe.betas, eps=recipe.eps, fused=True)


def learning_rate(step: int, steps: int, recipe: Recipe) -> float:
    """The learning rate of step `step` from 0: it rises in a straight line, then falls to 0 as half a cosine."""
    warmup_steps = steps // 20 if recipe.warmup_steps is None else recipe.warmup_steps
    warmup = min(1.0, (step + 1) / (warmup_steps + 1))
    progress = max(0, step - warmup_steps) / max(1, steps - warmup_steps)
    return recipe.lr * warmup * 0.5 * (1 + math.cos(math.pi * progress))
