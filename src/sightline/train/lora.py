"""LoRA: small matrices beside the large ones, which stay as they are. Hu et al., "LoRA: Low-Rank Adaptation of Large
Language Models" (2022), section 4.1. The adapters are `peft`'s.

What can have an adapter, by the names of the modules in ours:

| name | what it is | where |
|---|---|---|
| `qkv`, `out` | a self-attention's queries, keys and values as one map; its way out | all but ALIGN's pictures |
| `fc1`, `fc2` | the two maps of an MLP, over channels or tokens | all but ALIGN's pictures |
| `q`, `kv`, `out` | the attentions with which groups look at tokens and take them in | GroupViT's pictures |
| `message_fc` | what makes a frame's message | X-CLIP's frames |
| `conv` | convolutions of all channels: the stem, expansions, projections, not the depthwise ones | ALIGN's pictures |
| `reduce`, `expand` | squeeze and excitation | ALIGN's pictures |
"""

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sightline.checkpoint.rules import write
from sightline.checkpoint.weights import write_weights
from sightline.distribution import install
from sightline.errors import UsageError
from sightline.models.pairs import PairModel

TARGETS = ("qkv", "out", "fc1", "fc2", "q", "kv", "message_fc", "conv", "reduce", "expand")
_NAME = "default"  # of the only adapter that a model has here


@dataclass(frozen=True, kw_only=True)
class Lora:
    """Which adapters: to each weight of `targets` in `towers` comes alpha / rank times B A, where A has `rank` rows."""

    rank: int = 8
    alpha: float = 16.0
    dropout: float = 0.0
    """Of what goes into the adapters."""
    towers: tuple[str, ...] = ("image", "text")
    targets: tuple[str, ...] = TARGETS
    also: tuple[str, ...] = ()
    """Modules that are trained whole beside the adapters, such as the "text_projection" of new towers."""

    def __post_init__(self) -> None:
        if self.rank < 1 or not self.alpha > 0 or not 0 <= self.dropout < 1:
            raise UsageError(f"{self}: the rank is 1 or more, alpha above 0, dropout in [0, 1)")
        if unknown := set(self.targets) - set(TARGETS):
            raise UsageError(f"{', '.join(sorted(unknown))} cannot have an adapter; there is {', '.join(TARGETS)}")


def attach(model: PairModel, lora: Lora) -> None:
    """Puts adapters into the model; they begin as nothing. All else is frozen, batch norms' statistics too, but for the
    logits' scale, which is as it was, and what `lora.also` names.

    Raises `UsageError` if nothing in the model is meant, or `peft` is missing.
    """
    names, scale = _targets(model, lora), model.scale_parameter.requires_grad
    also = [_submodule(model, name) for name in lora.also]
    peft = _peft("peft")
    peft.inject_adapter_in_model(_config(lora, names), model, _NAME)  # freezes what is no adapter
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
    for module in also:
        module.requires_grad_(True).train()
    model.scale_parameter.requires_grad_(scale)


def merged(model: PairModel) -> PairModel:
    """The model with its adapters added into plain weights, in `eval()` mode. The rest shares memory with `model`."""
    state = model.state_dict()
    for name, layer in _adapted(model):
        base = layer.get_base_layer()
        state[f"{name}.weight"] = base.weight.detach() + layer.get_delta_weight(_NAME).detach()
        if base.bias is not None:
            state[f"{name}.bias"] = base.bias.detach()
    with torch.device("meta"):
        plain = type(model)(model.config)
    plain.load_state_dict({name: state[name] for name in plain.state_dict()}, strict=True, assign=True)
    return plain.eval()


def save_adapter(model: PairModel, lora: Lora, folder: Path) -> None:
    """Writes `adapter_config.json` and `adapter_model.safetensors`, which `peft` puts onto the reference's model.

    The names are the reference's: where it has three maps for our one, each gets its rows of B and the whole of A.
    The scale, which is no module, has no place there.
    """
    state: dict[str, Tensor] = {}
    modules = []
    for name, layer in _adapted(model):
        for key, rows in _files(model, {f"{name}.weight": layer.lora_B[_NAME].weight}):
            module = key.removesuffix(".weight")
            modules.append(module)
            state[f"{module}.lora_A.weight"] = layer.lora_A[_NAME].weight.detach().cpu().clone()
            state[f"{module}.lora_B.weight"] = rows
    own = model.state_dict()
    whole = {name: tensor for name, tensor in own.items() if name.startswith(tuple(f"{one}." for one in lora.also))}
    trained = dict(_files(model, whole))
    config = _config(lora, modules)
    config.modules_to_save = sorted({key.rpartition(".")[0] for key in trained}) or None
    config.inference_mode = True
    folder.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(folder)
    write_weights(
        folder / "adapter_model.safetensors", {f"base_model.model.{key}": x for key, x in (state | trained).items()}
    )


@dataclass(frozen=True)
class Adapted:
    """A model with adapters as a run saves it: one like any other, and its adapters beside it in `adapter/`."""

    model: PairModel
    lora: Lora

    def save_pretrained(self, folder: Path) -> None:
        """Writes both."""
        merged(self.model).save_pretrained(folder)
        save_adapter(self.model, self.lora, folder / "adapter")


def _targets(model: PairModel, lora: Lora) -> list[str]:
    if unknown := set(lora.towers) - model.towers.keys():
        raise UsageError(f"{', '.join(sorted(unknown))} is no tower; there is {', '.join(model.towers)}")
    towers = tuple(f"{module}." for tower in lora.towers for module in model.towers[tower])
    found = [
        name
        for name, module in model.named_modules()
        if name.startswith(towers)
        and name.rpartition(".")[2] in lora.targets
        and (isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.groups == 1))
    ]
    if not found:
        raise UsageError(f"nothing in the {' and '.join(lora.towers)} tower is called {', '.join(lora.targets)}")
    return found


def _submodule(model: PairModel, name: str) -> nn.Module:
    try:
        return model.get_submodule(name)
    except AttributeError:
        raise UsageError(f"lora.also: {type(model).__name__} has no module {name!r}") from None


def _config(lora: Lora, names: list[str]) -> Any:
    return _peft("peft").LoraConfig(r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=names)


def _adapted(model: PairModel) -> Iterator[tuple[str, Any]]:
    """Modules with an adapter, by name."""
    kind = _peft("peft.tuners.lora").LoraLayer
    return ((name, module) for name, module in model.named_modules() if isinstance(module, kind))


def _files(model: PairModel, state: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Tensors under the names that they have in the model's files."""
    found = write(model.layout, {name: tensor.detach().cpu() for name, tensor in state.items()})
    return ((key, tensor.clone()) for key, tensor in found.items())


def _peft(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UsageError(f"LoRA needs peft: {install('train')}") from error
