"""Random weights that hide nothing (fresh norms are 1 and 0, and swapped ones would go unseen); equal weights."""

import torch
from torch import nn


def randomise(model: nn.Module, seed: int) -> nn.Module:
    """Every parameter and every floating-point buffer random, at a scale that keeps activations in range; batch norms
    have counted some batches. Other whole numbers (positions) stay."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            if not tensor.is_floating_point():
                if name.endswith("num_batches_tracked"):
                    tensor.fill_(seed + 3)
                continue
            noise = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
            if tensor.ndim < 2:
                # Around 1 for what multiplies (norms), around 0 for what adds, both plainly away from it.
                norm = "norm" in name.lower() or "bn." in name
                value = (1.0 if norm and name.endswith("weight") else 0.0) + 0.3 * noise
            else:
                value = noise * (tensor[0].numel() ** -0.5 if "embedding" not in name else 0.5)
            if name.endswith("logit_scale"):
                value = 1.0 + 0.5 * noise
            if name.endswith(("temperature", "running_var")):
                value = 0.5 + 0.5 * noise.abs()
            tensor.copy_(value.to(tensor.dtype))
    return model


def same_weights(a, b):
    """Whether two models, or two dictionaries of tensors, have the same names and the same numbers."""
    x, y = (one.state_dict() if isinstance(one, nn.Module) else one for one in (a, b))
    return x.keys() == y.keys() and all(torch.equal(x[key], y[key]) for key in x)
