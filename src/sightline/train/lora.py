"""LoRA: low-rank adapters beside the large matrices, which are not trained. Hu et al., "LoRA: Low-Rank Adaptation of
Large Language Models" (2022), section 4.1. The adapters are `peft`'s.

A model's `lora_targets` name the modules that can have an adapter, by the last names of their paths in the reference:

| name | module | in |
|---|---|---|
| `q_proj`, `k_proj`, `v_proj`, `out_proj` | an attention's queries, keys, values and output | all but ALIGN |
| `fc1`, `fc2` | the two maps of an MLP, over channels or tokens | all but ALIGN |
| `query`, `key`, `value`, `output.dense`, `intermediate.dense` | the same maps in a BERT | ALIGN's and other BERTs |
| `proj` | the output of the assignment of tokens to groups | GroupViT's vision tower |
| `message_fc` | the map that makes a frame's message | X-CLIP's vision tower |
| `convolution`, `expand_conv`, `project_conv` | convolutions, not the depthwise | ALIGN's vision tower |
| `reduce`, `expand` | squeeze and excitation | ALIGN's vision tower |
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sightline.checkpoint.rules import write
from sightline.checkpoint.weights import write_weights
from sightline.errors import UsageError
from sightline.models.adapters import adapters, import_peft
from sightline.models.pairs import PairModel
from sightline.nn.slices import Slice

_ADAPTER = "default"  # the name of the only adapter of a model


@dataclass(frozen=True, kw_only=True)
class Lora:
    """Settings of the adapters: each weight of `targets` in `towers` gets alpha / rank times B A added, where A has
    `rank` rows. Raises `UsageError`."""

    rank: int = 8
    alpha: float = 16.0
    dropout: float = 0.0
    """The dropout of the adapters' inputs."""
    towers: tuple[str, ...] = ("image", "text")
    targets: tuple[str, ...] | None = None
    """Names of the modules that have an adapter; None: all of the model's `lora_targets`."""
    also: tuple[str, ...] = ()
    """Modules that are trained whole, such as the "text_projection" of new towers."""

    def __post_init__(self) -> None:
        if self.rank < 1 or not self.alpha > 0 or not 0 <= self.dropout < 1:
            raise UsageError(f"{self}: the rank is 1 or more, alpha above 0, dropout in [0, 1)")


def attach(model: PairModel, lora: Lora) -> None:
    """Puts adapters into the model; before training they add nothing. All else is frozen, batch norms' statistics too,
    except the logits' scale, which stays as it is, and the modules of `lora.also`.

    Raises `UsageError` for modules or towers that the model does not have, or if `peft` is missing.
    """
    names, scale = _targets(model, lora), model.scale_parameter.requires_grad
    also = [_submodule(model, name) for name in lora.also]
    import_peft().inject_adapter_in_model(_config(lora, names), model, _ADAPTER)  # and freezes all other parameters
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
    for module in also:
        module.requires_grad_(True).train()
    model.scale_parameter.requires_grad_(scale)


def merged(model: PairModel) -> PairModel:
    """The model with its adapters added into plain weights, in `eval()` mode. The rest shares memory with `model`."""
    with torch.device("meta"):
        plain = type(model)(model.config)
    state = model.state_dict()
    found: list[tuple[str, Any]] = adapters(model)
    for path, layer in found:
        for name, tensor in layer.get_base_layer().state_dict().items():
            state[f"{path}.{name}"] = tensor
    for path, layer in found:
        _add(path, layer, state)
    plain.load_state_dict({name: state[name] for name in plain.state_dict()}, strict=True, assign=True)
    return plain.eval()


def _add(path: str, layer: Any, state: dict[str, Tensor]) -> None:
    """Adds an adapter to the weight that it is beside, or to the rows of a fused one."""
    base, delta = layer.get_base_layer(), layer.get_delta_weight(_ADAPTER).detach()
    if isinstance(base, Slice):
        key = f"{path.rpartition('.')[0]}.{base.fused_name}.weight"
        state[key] = state[key].clone()
        state[key][base.rows] += delta
    else:
        key = f"{path}.weight"
        state[key] = state[key] + delta


def save_adapter(model: PairModel, lora: Lora, folder: Path) -> None:
    """Writes `adapter_config.json` and `adapter_model.safetensors`, which `peft` puts onto the reference's model and
    onto ours, where `attach` goes on from them.

    The names are the reference's. The logits' scale is not a module, so it is left out.
    """
    state = import_peft().get_peft_model_state_dict(model, adapter_name=_ADAPTER)
    prefixes = tuple(f"{module}." for module in lora.also)
    whole = {name: tensor for name, tensor in model.state_dict().items() if name.startswith(prefixes)}
    trained = dict(_file_tensors(model, whole))
    config = _config(lora, [path for path, _ in adapters(model)])
    config.modules_to_save = sorted({key.rpartition(".")[0] for key in trained}) or None
    config.inference_mode = True
    folder.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(folder)
    found = {name: tensor.detach().cpu().clone() for name, tensor in state.items()} | trained
    write_weights(
        folder / "adapter_model.safetensors", {f"base_model.model.{key}": tensor for key, tensor in found.items()}
    )


@dataclass(frozen=True)
class Adapted:
    """A model with adapters as a run saves it: with merged weights, and the adapters beside it in `adapter/`."""

    model: PairModel
    lora: Lora

    def save_pretrained(self, folder: Path) -> None:
        """Writes both."""
        merged(self.model).save_pretrained(folder)
        save_adapter(self.model, self.lora, folder / "adapter")


def _targets(model: PairModel, lora: Lora) -> list[str]:
    targets = model.lora_targets if lora.targets is None else lora.targets
    if unknown := set(targets) - set(model.lora_targets):
        known = ", ".join(model.lora_targets)
        raise UsageError(f"{', '.join(sorted(unknown))} cannot have an adapter; there is {known}")
    if unknown := set(lora.towers) - model.towers.keys():
        raise UsageError(f"{', '.join(sorted(unknown))} is no tower; there is {', '.join(model.towers)}")
    towers = tuple(f"{module}." for tower in lora.towers for module in model.towers[tower])
    ends = tuple(f".{target}" for target in targets)
    names = [
        name
        for name, module in model.named_modules()
        if name.startswith(towers)
        and f".{name}".endswith(ends)
        and (isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.groups == 1))
    ]
    if not names:
        raise UsageError(f"nothing in the {' and '.join(lora.towers)} tower is called {', '.join(targets)}")
    return names


def _submodule(model: PairModel, name: str) -> nn.Module:
    try:
        return model.get_submodule(name)
    except AttributeError:
        raise UsageError(f"lora.also: {type(model).__name__} has no module {name!r}") from None


def _config(lora: Lora, names: list[str]) -> Any:
    return import_peft().LoraConfig(r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=names)


def _file_tensors(model: PairModel, state: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Tensors by their names in the model's files."""
    renamed = write(model.layout, {name: tensor.detach().cpu() for name, tensor in state.items()})
    return ((key, tensor.clone()) for key, tensor in renamed.items())
