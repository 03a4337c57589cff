"""Unstructured pruning: weights of linear maps that become 0. The shapes stay, and with them the time that products
take; what is gained is a file that compresses well, and weights for kernels that skip zeros.

Linear maps are `nn.Linear`, the fused maps of attention, and convolutions of single pixels. Tables of tokens and
places, the map of patches, norms and biases stay whole: they are small, and what they lose no later layer makes good.
"""

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from sightline.errors import UsageError
from sightline.nn.slices import Fused, Slice
from sightline.optimize.inputs import Inputs, batches

METHODS = ("magnitude", "random", "activation")
_KEYS = ("method", "amount", "global_pruning")

Model = TypeVar("Model", bound=nn.Module)


@dataclass(frozen=True)
class Sparsity:
    """How many weights of each linear map are 0: `maps` has (zeros, weights) by the map's name. Printed, a table."""

    maps: Mapping[str, tuple[int, int]]

    @property
    def zeros(self) -> int:
        """The weights that are 0, of all maps."""
        return sum(zeros for zeros, _ in self.maps.values())

    @property
    def weights(self) -> int:
        """The weights of all maps."""
        return sum(weights for _, weights in self.maps.values())

    def __str__(self) -> str:
        wide = max(map(len, self.maps), default=0)
        rows = [(name, *counts) for name, counts in self.maps.items()] + [("all", self.zeros, self.weights)]
        lines = [f"{'linear map':<{wide}}  {'zeros':>11}  {'weights':>11}  share"]
        lines += [f"{name:<{wide}}  {zeros:>11,}  {of:>11,}  {zeros / max(of, 1):>5.1%}" for name, zeros, of in rows]
        return "\n".join(lines)


def prune_model(
    model: Model, pruning_config: Mapping[str, Any], calibration: Inputs | Iterable[Inputs] | None = None
) -> Model:
    """A copy of the model in which a share of the linear maps' weights is 0; the model itself stays as it is.

    `pruning_config`: "amount", the share of the weights from 0 to below 1, those that are 0 already counted; "method",
    which go first; "global_pruning": True (the default) compares all maps' weights with each other, False those of each
    map alone.

    | method | the weights that go first |
    |---|---|
    | "magnitude" (the default) | the smallest |
    | "random" | drawn by torch's generator, which `torch.manual_seed` sets |
    | "activation" | the smallest weight times the size of its input, the root of the mean square over `calibration` |

    "activation" is that of Sun et al., "A Simple and Effective Pruning Approach for Large Language Models" (2023),
    equation 1; with global_pruning False, each row of a map loses the same share, as there.
    `calibration`: what the model is called with, such as `processor(images=..., text=..., padding=True,
    return_tensors="pt")`, or several such batches; padding counts as other tokens do. Saving and opening keep the
    zeros; for training see `keep_zeros`, for a count `sparsity`. Raises `UsageError`.
    """
    method, amount, compares_all = _settings(pruning_config)
    if method == "activation" and calibration is None:
        raise UsageError(
            'method "activation" measures the inputs of each map: give calibration=processor(images=..., text=..., '
            'return_tensors="pt", padding=True), or a list of such batches'
        )
    if method != "activation" and calibration is not None:
        raise UsageError(f'method "{method}" looks at no inputs: leave calibration out, or choose "activation"')
    _linear_maps(model)  # what cannot be pruned cannot always be copied
    pruned = copy.deepcopy(model)
    maps = _linear_maps(pruned)
    scores = {name: part.weight.detach().abs().float() for name, part in maps.items()}
    if method == "random":
        scores = {name: torch.rand_like(score).masked_fill_(score == 0, -1) for name, score in scores.items()}
    if calibration is not None:
        sizes = _input_sizes(model, batches(calibration))
        for name, score in scores.items():
            score *= sizes[name].to(score.device).view(1, -1, *[1] * (score.ndim - 2))
    weights = {name: part.weight for name, part in maps.items()}
    if compares_all:
        _clear(list(weights.values()), list(scores.values()), amount)
    for name, score in () if compares_all else scores.items():
        if method == "activation":
            _clear_in_rows(weights[name], score, amount)
        else:
            _clear([weights[name]], [score], amount)
    return pruned


def sparsity(model: nn.Module) -> Sparsity:
    """How many weights of each linear map are 0. Raises `UsageError` for a model without linear maps."""
    found = _linear_maps(model)
    return Sparsity({name: (int((part.weight == 0).sum()), part.weight.numel()) for name, part in found.items()})


def keep_zeros(model: nn.Module) -> list[RemovableHandle]:
    """Weights that are 0 now stay 0 in training: their gradients become 0. The handles' `remove()` ends it.

    Call it before the first step: what an optimizer has gathered until then would still move them. A model that is
    opened again, or copied, needs the call again. Raises `UsageError` for a model without linear maps.
    """
    handles = []
    for part in _linear_maps(model).values():
        kept = part.weight.detach() != 0

        def masked(gradient: Tensor, kept: Tensor = kept) -> Tensor:
            return gradient * kept.to(gradient.device)

        if not kept.all():
            handles.append(part.weight.register_hook(masked))
    return handles


def _settings(pruning_config: Mapping[str, Any]) -> tuple[str, float, bool]:
    if not isinstance(pruning_config, Mapping):
        raise UsageError(
            f'pruning_config is {pruning_config!r:.60}: give a dictionary, {{"method": "magnitude", "amount": 0.2}} say'
        )
    if unknown := sorted(map(str, pruning_config.keys() - set(_KEYS))):
        raise UsageError(f"pruning_config knows no {', '.join(unknown)}; there is {', '.join(_KEYS)}")
    method, amount = pruning_config.get("method", "magnitude"), pruning_config.get("amount")
    compares_all = pruning_config.get("global_pruning", True)
    if method not in METHODS:
        raise UsageError(f"pruning_config: method is {method!r}; there is {', '.join(METHODS)}")
    if isinstance(amount, bool) or not isinstance(amount, int | float) or not 0 <= amount < 1:
        given = "missing" if amount is None else repr(amount)
        raise UsageError(
            f"pruning_config: amount is {given}; give a share of the weights from 0 to below 1, such as 0.2"
        )
    if not isinstance(compares_all, bool):
        raise UsageError(f"pruning_config: global_pruning is {compares_all!r}; give True or False")
    return method, float(amount), compares_all


def _linear_maps(model: nn.Module) -> dict[str, Any]:
    """The linear maps by name. Raises `UsageError` where there are none, and for weights that cannot be set to 0."""
    found = {name: part for name, part in model.named_modules() if _is_linear(part)}
    for name, part in found.items():
        weight = part._parameters.get("weight")
        if weight is None:
            raise UsageError(
                f"{name}.weight is computed from other tensors, as after torch.nn.utils.prune: make it a weight again, "
                "by torch.nn.utils.prune.remove(module, 'weight')"
            )
        if type(weight) is not nn.Parameter or not weight.is_floating_point():
            raise UsageError(f"{name}.weight is quantised: prune the model before it is quantised")
    if not found:
        raise UsageError(f"this {type(model).__name__} has no linear maps whose weights could be pruned")
    return found


def _is_linear(part: nn.Module) -> bool:
    if isinstance(part, nn.Conv2d):
        return part.kernel_size == (1, 1) and part.groups == 1
    return isinstance(part, nn.Linear | Fused) and not isinstance(part, Slice)


def _input_sizes(model: nn.Module, batches: list[Inputs]) -> dict[str, Tensor]:
    """The root of the mean square of each input of each map, (in_features,)."""
    sums: dict[str, Tensor] = {}
    counts: dict[str, int] = {}
    maps = _linear_maps(model)

    def measuring(name: str, channels: int) -> Any:
        def measure(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            x = inputs[0].detach()
            rows = x.movedim(channels, -1).flatten(0, -2).double()
            sums[name] = sums.get(name, 0) + rows.square().sum(0)
            counts[name] = counts.get(name, 0) + len(rows)

        return measure

    hooks = [
        part.register_forward_pre_hook(measuring(name, 1 if isinstance(part, nn.Conv2d) else -1))
        for name, part in maps.items()
    ]
    was_training = model.training
    try:
        model.eval()
        with torch.no_grad():
            for batch in batches:
                model(**batch)
    finally:
        model.train(was_training)
        for hook in hooks:
            hook.remove()
    if left := [name for name in maps if name not in counts]:
        raise UsageError(
            f"calibration reached no {left[0]}"
            + (f" and {len(left) - 1} other maps" if len(left) > 1 else "")
            + ": give images and texts, as the model takes them"
        )
    return {name: (total / counts[name]).sqrt().float() for name, total in sums.items()}


def _clear(weights: list[Tensor], scores: list[Tensor], amount: float) -> None:
    """Sets the share `amount` of all weights to 0, those with the lowest scores, of equals the first."""
    sizes = [score.numel() for score in scores]
    flat = torch.cat([score.flatten().cpu() for score in scores])
    count = round(amount * flat.numel())
    if not count:
        return
    limit = flat.kthvalue(count).values
    chosen = flat < limit
    equals = (flat == limit).nonzero().flatten()
    chosen[equals[: count - int(chosen.sum())]] = True
    with torch.no_grad():
        for weight, part in zip(weights, torch.split(chosen, sizes), strict=True):
            weight.masked_fill_(part.view(weight.shape).to(weight.device), 0)


def _clear_in_rows(weight: Tensor, score: Tensor, amount: float) -> None:
    """As `_clear`, for each row of the weight alone."""
    rows = score.flatten(1)
    lowest = rows.argsort(dim=1, stable=True)[:, : round(amount * rows.shape[1])]
    chosen = torch.zeros_like(rows, dtype=torch.bool).scatter_(1, lowest, True)
    with torch.no_grad():
        weight.masked_fill_(chosen.view(weight.shape), 0)
