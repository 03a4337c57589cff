"""Adapters of `peft` in a model itself, by the reference's names: loaded, added, switched, saved.

`peft.get_peft_model` and `peft.PeftModel` work as well: our modules have the names that they look for.
"""

import importlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from torch import Tensor, nn
from torch.nn.modules.module import _IncompatibleKeys

from sightline.checkpoint.weights import write_weights
from sightline.distribution import install
from sightline.errors import CheckpointError, UsageError
from sightline.models.suggestions import check_names

_BEGIN = "base_model.model."  # before all names in an adapter's file
_WHERE = ("revision", "token", "subfolder", "cache_dir", "force_download", "use_safetensors")


class Adapters(nn.Module):
    """A model that adapters can be put into. A base of `PretrainedModel`."""

    name_or_path: str

    def add_adapter(self, adapter_config: Any, adapter_name: str | None = None) -> None:
        """Puts a new adapter, a `peft` config's, into the model and makes it the active one, to be trained: all else is
        frozen. Raises `UsageError` for a name that is taken."""
        peft, name = import_peft(), self._new(adapter_name)
        if not isinstance(adapter_config, peft.PeftConfig):
            raise UsageError(f"add_adapter takes a config such as peft.LoraConfig, not {type(adapter_config).__name__}")
        adapter_config.base_model_name_or_path = self.name_or_path
        peft.inject_adapter_in_model(adapter_config, self, name)
        self.set_adapter(name)

    def load_adapter(
        self,
        peft_model_id: str | os.PathLike[str] | None = None,
        adapter_name: str | None = None,
        peft_config: Any = None,
        adapter_state_dict: Mapping[str, Tensor] | None = None,
        low_cpu_mem_usage: bool = False,
        is_trainable: bool = False,
        hotswap: bool | str = "auto",
        local_files_only: bool = False,
        adapter_kwargs: Mapping[str, Any] | None = None,
        **where: Any,
    ) -> Any:
        """Opens an adapter's folder, or its name on the Hub, and makes it the active one; with `is_trainable` it is
        trained further. `peft_config` and `adapter_state_dict`: in place of a folder. `where` and `adapter_kwargs`:
        `revision`, `token`, `subfolder`, `cache_dir`, `force_download`.

        Returns the names that the file lacks, `missing_keys`, and those that the model lacks, which is an error. Raises
        `CheckpointError`, after which the model is as before, and `UsageError`.
        """
        peft, name = import_peft(), self._new(adapter_name)
        options = {"local_files_only": local_files_only, **where, **(adapter_kwargs or {})}
        check_names(options, (*_WHERE, "local_files_only"), "argument")
        if hotswap is True:
            raise UsageError("hotswap: delete_adapter, then load_adapter of the new one")
        if peft_model_id is None and (peft_config is None or adapter_state_dict is None):
            raise UsageError("load_adapter takes a folder's or the Hub's name, or peft_config and adapter_state_dict")
        place = "adapter_state_dict" if peft_model_id is None else os.fspath(peft_model_id)
        options.pop("use_safetensors", None)
        try:
            config = peft.PeftConfig.from_pretrained(place, **options) if peft_config is None else peft_config
            state = adapter_state_dict
            if state is None:
                state = peft.load_peft_weights(place, device="cpu", **options)
        except (ValueError, OSError) as error:
            raise CheckpointError(f"{place}: no adapter that can be opened: {error}") from error
        config = peft.PeftConfig.from_peft_type(**config) if isinstance(config, Mapping) else config
        config.inference_mode = not is_trainable
        return self._put(peft, name, config, dict(state), place)

    def _put(self, peft: Any, name: str, config: Any, state: dict[str, Tensor], place: str) -> Any:
        peft.inject_adapter_in_model(config, self, name)
        expected = peft.get_peft_model_state_dict(self, adapter_name=name).keys()
        given = {key.removeprefix(_BEGIN): tensor for key, tensor in state.items()}
        try:
            if unknown := sorted(given.keys() - expected):
                raise CheckpointError(f"{place}: the model has no place for {', '.join(unknown[:3])} ({len(unknown)})")
            peft.set_peft_model_state_dict(self, given, adapter_name=name)
        except (CheckpointError, RuntimeError, KeyError) as error:
            self.delete_adapter(name)
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(f"{place}: the adapter does not fit a {type(self).__name__}: {error}") from error
        if config.inference_mode:
            self.eval()
        return _IncompatibleKeys(sorted(expected - given.keys()), [])

    def set_adapter(self, adapter_name: str | list[str]) -> None:
        """Makes these adapters the active ones, to be trained. Raises `UsageError` for unknown names."""
        known = self._adapter_configs()
        names = [adapter_name] if isinstance(adapter_name, str) else adapter_name
        if unknown := [name for name in names if name not in known]:
            raise UsageError(f"no adapter {', '.join(unknown)}; there is {', '.join(known)}")
        for layer in self._adapter_layers():
            layer.set_adapter(adapter_name)

    def active_adapters(self) -> list[str]:
        """The names of those that compute."""
        self._adapter_configs()
        active = next(self._adapter_layers()).active_adapter
        return [active] if isinstance(active, str) else list(active)

    def enable_adapters(self) -> None:
        """Undoes `disable_adapters`."""
        self._switch(True)

    def disable_adapters(self) -> None:
        """From now on the model computes as it did before it had adapters."""
        self._switch(False)

    def _switch(self, enabled: bool) -> None:
        self._adapter_configs()
        for layer in self._adapter_layers():
            layer.enable_adapters(enabled)

    def delete_adapter(self, adapter_names: list[str] | str) -> None:
        """Takes adapters out; after the last one the model is as it was before, but for what is frozen."""
        names, known = [adapter_names] if isinstance(adapter_names, str) else adapter_names, self._adapter_configs()
        if unknown := [name for name in names if name not in known]:
            raise UsageError(f"no adapter {', '.join(unknown)}; there is {', '.join(known)}")
        functional = importlib.import_module("peft.functional")
        for name in names:
            functional.delete_adapter(self, adapter_name=name, prefix=f"{known[name].peft_type.value.lower()}_")
            del known[name]
        if not known:
            for path, found in adapters(self):
                owner, _, part = path.rpartition(".")
                layer: Any = found
                inner = layer.base_layer if hasattr(layer, "base_layer") else layer.original_module
                setattr(self.get_submodule(owner), part, inner)
            del self.peft_config

    def get_adapter_state_dict(
        self, adapter_name: str | None = None, state_dict: Mapping[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """An adapter's tensors by the names of its file, without "base_model.model."; None: the active one's."""
        name = self.active_adapters()[0] if adapter_name is None else adapter_name
        found: dict[str, Tensor] = import_peft().get_peft_model_state_dict(self, state_dict, adapter_name=name)
        return found

    def save_adapter(self, folder: Path, state_dict: Mapping[str, Tensor] | None = None) -> None:
        """Writes `adapter_config.json` and `adapter_model.safetensors` of the active adapter, as `peft` does. Raises
        `UsageError` where several are active."""
        names = self.active_adapters()
        if len(names) > 1:
            raise UsageError(f"{len(names)} adapters are active: set_adapter to the one that is to be saved")
        tensors = self.get_adapter_state_dict(names[0], state_dict)
        config = self._adapter_configs()[names[0]]
        trains, config.inference_mode = config.inference_mode, True
        try:
            config.save_pretrained(folder)
        finally:
            config.inference_mode = trains
        found = {f"{_BEGIN}{name}": tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        write_weights(folder / "adapter_model.safetensors", found)

    def _adapter_layers(self) -> Iterator[Any]:
        layers: list[nn.Module] = [layer for _, layer in adapters(self)]
        return (layer for layer in layers if hasattr(layer, "set_adapter") and hasattr(layer, "enable_adapters"))

    def _adapter_configs(self) -> dict[str, Any]:
        """The adapters' configs by name. Raises `UsageError` where there is none."""
        found: dict[str, Any] = getattr(self, "peft_config", {})
        if not found:
            raise UsageError("the model has no adapter; load_adapter or add_adapter gives it one")
        return found

    def _new(self, adapter_name: str | None) -> str:
        name = "default" if adapter_name is None else adapter_name
        if name in getattr(self, "peft_config", {}):
            raise UsageError(f"there is an adapter {name!r}; choose another adapter_name, or delete_adapter first")
        return name

    @property
    def has_adapters(self) -> bool:
        """Whether there is at least one."""
        return bool(getattr(self, "peft_config", {}))

    @classmethod
    def _of_adapter(cls, folder: Path, **options: Any) -> Self:
        """The model that an adapter's folder was made for, with the adapter."""
        base = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8")).get("base_model_name_or_path")
        if not base:
            raise CheckpointError(f"{folder}: the adapter names no model: open one, then model.load_adapter(folder)")
        opening: Any = cls
        model: Self = opening.from_pretrained(base, **options)
        model.load_adapter(folder)
        return model


def adapters(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """The layers of `peft` in the model, by their paths, without those in others."""
    found: list[tuple[str, nn.Module]] = []
    for path, module in model.named_modules():
        is_inside = bool(found) and path.startswith(f"{found[-1][0]}.")
        if path and not is_inside and type(module).__module__.startswith("peft."):
            found.append((path, module))
    return found


def adapter_alone(name: str | os.PathLike[str], subfolder: str = "") -> Path | None:
    """The folder of this name if it holds an adapter and no model."""
    folder = Path(name) / subfolder
    return folder if (folder / "adapter_config.json").is_file() and not (folder / "config.json").exists() else None


def import_peft() -> Any:
    """`peft`. Raises `UsageError` if it is missing."""
    try:
        return importlib.import_module("peft")
    except ImportError as error:
        raise UsageError(f"adapters need peft: {install('train')}") from error
