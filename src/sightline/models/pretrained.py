"""The base of every model: opening and saving checkpoints, device and dtype."""

import os
import warnings
from collections import Counter
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, overload

import torch
from torch import Tensor, nn

import sightline.nn.threads  # noqa: F401 (a forked child can compute)
from sightline.checkpoint.hub import resolve
from sightline.checkpoint.rules import Piece, Rule, backwards, first_names, has_rule, plan
from sightline.checkpoint.weight_files import weight_files, weight_paths
from sightline.checkpoint.weights import Weights
from sightline.errors import CheckpointError, NoWeights, UsageError
from sightline.models.adapters import adapter_alone
from sightline.models.arguments import changed, given_config, model_dtype, one_device, settings_in
from sightline.models.config import Config
from sightline.models.loading import LoadingInfo, Source, fill
from sightline.models.quantizing import Quantization, check_device, flags_as_config, wanted_quantization
from sightline.models.reference import Reference
from sightline.models.saving import Saved
from sightline.nn.attention import ATTENTION, Attention, unknown_attention


class PretrainedModel(Saved, Reference):
    """A model with a config and, for each layout of files that it opens, a table of tensors.

    Tables name the tensors of the family's whole model. A class for a part of the model lists in `parts` the prefixes
    of the tensors that it needs, and in `prefix` the prefix that its names lack. A model of the caller's own needs no
    tables: see `StateDicts`.
    """

    config_class: ClassVar[type[Config]]
    # A key that only files of a layout have -> the layout's table. `save_pretrained` writes the first layout.
    tables: ClassVar[Mapping[str, tuple[Rule, ...]]] = {}
    parts: ClassVar[tuple[str, ...]] = ("",)
    prefix: ClassVar[str] = ""
    config: Config

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "config":
            value.validate()
            if getattr(value, "gradient_checkpointing", False):
                for part in value.sub_configs:
                    getattr(value, part).gradient_checkpointing = True
        super().__setattr__(name, value)

    @overload
    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: Any, *, output_loading_info: Literal[True], **options: Any
    ) -> tuple[Self, dict[str, Any]]: ...

    @overload
    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: Any, *, output_loading_info: Literal[False] = False, **options: Any
    ) -> Self: ...

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike[str] | None,
        *,
        config: Config | Mapping[str, Any] | str | os.PathLike[str] | None = None,
        state_dict: Mapping[str, Tensor] | None = None,
        dtype: torch.dtype | str | None = None,
        torch_dtype: torch.dtype | str | None = None,
        device_map: Any = None,
        quantization_config: Any = None,
        attn_implementation: str | Mapping[str, str] | None = None,
        ignore_mismatched_sizes: bool = False,
        output_loading_info: bool = False,
        use_safetensors: bool | None = None,
        variant: str | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
        cache_dir: str | Path | None = None,
        force_download: bool = False,
        token: str | bool | None = None,
        subfolder: str = "",
        **settings: Any,
    ) -> Self | tuple[Self, dict[str, Any]]:
        """Opens a folder, a weight file with its config beside it, a packaged model or a Hub name, in `eval()` mode. Of
        the folder of an adapter alone: the model that it names, with the adapter.

        `dtype`, or `torch_dtype`: a torch dtype or its name; None and "auto" take the config's, else the file's.
        Tensors are memory-mapped: only what is joined or changes dtype is copied, and a tower opens only its part.
        `config`: in place of the checkpoint's; a config, its settings or a checkpoint's name. `settings` change single
        ones. `state_dict`: tensors in place of the checkpoint's, which may then be None if there is a `config`.
        `quantization_config`: linear maps are quantised while they are read, one after another: a `BitsAndBytesConfig`
        or a `TorchAoConfig`, the reference's too, or its settings. A checkpoint that was saved so needs no such config.
        `device_map`: one device, "auto" for the first GPU if there is one. `attn_implementation`: see
        `set_attn_implementation`. `ignore_mismatched_sizes`: tensors of other shapes are new, and a warning names them.
        `output_loading_info`: the model and, by the file's names, what it and the file do not share.
        `use_safetensors`, `variant`: see `weight_files`; the other arguments are those of `resolve`.
        Arguments of the reference that change nothing here are accepted; others are a `UsageError` that says why, and
        unknown ones an `UnknownArgument`. Raises `CheckpointError`.
        """
        if torch.get_default_device().type == "meta":
            raise NoWeights(
                "You are using `from_pretrained` with a meta device context manager: its weights would have no values. "
                f"Call it outside; for a {cls.__name__} without values write {cls.__name__}(config)"
            )
        if not hasattr(cls, "config_class"):
            raise UsageError(f"{cls.__name__} names no config; write config_class = CLIPConfig, say, in the class")
        quantization_config, settings = flags_as_config(quantization_config, settings_in(settings))
        device = None if device_map is None else one_device(device_map)
        wanted_dtype = dtype if dtype is not None else torch_dtype
        files = weight_files(use_safetensors, variant)
        where: dict[str, Any] = {
            "revision": revision, "local_files_only": local_files_only, "cache_dir": cache_dir,
            "force_download": force_download, "token": token, "subfolder": subfolder,
        }  # fmt: skip
        name = pretrained_model_name_or_path
        if name is not None and (adapter := adapter_alone(name, subfolder)) is not None:
            return cls._of_adapter(
                adapter, config=config, dtype=wanted_dtype, device_map=device_map, token=token, cache_dir=cache_dir,
                attn_implementation=attn_implementation, local_files_only=local_files_only,
                quantization_config=quantization_config, **settings,
            )  # fmt: skip
        if name is None and (config is None or state_dict is None):
            raise UsageError("without the name of a checkpoint both config and state_dict are wanted")
        shorter = config is not None or bool(settings)
        path = None if name is None else resolve(name, **where, weights=state_dict is None, weight_files=files)
        if path is not None and config is None:
            config = cls.config_class.from_folder(path if path.is_dir() else path.parent)
        else:
            config = given_config(config, cls.config_class, where)
        config = changed(config, settings, cls.from_pretrained)
        weights = Weights(weight_paths(path, files)) if path and state_dict is None else Weights(state=state_dict)
        config.set_dtype(model_dtype(wanted_dtype, config, weights.dtype))
        quantization = wanted_quantization(quantization_config, config, bool(weights.paths))
        check_device(quantization, device)
        model, info = cls._filled(config, weights, ignore_mismatched_sizes, shorter, quantization)
        if quantization is not None and quantization.layers:
            model.hf_quantizer = quantization.quantizer
        model.name_or_path = model.config.name_or_path = "" if name is None else str(name)
        model._choose_attention(attn_implementation)
        if device is not None:
            model.to(device)
        return (model.eval(), info.to_dict()) if output_loading_info else model.eval()

    @classmethod
    def _filled(
        cls,
        config: Any,
        weights: Weights,
        ignore_mismatched_sizes: bool,
        shorter: bool,
        quantization: Quantization | None = None,
    ) -> tuple[Self, LoadingInfo]:
        """A model of the config with the weights in it, in its dtype; `shorter`: blocks behind its last are left
        over."""
        with torch.device("meta"):
            model = cls(config)
        if quantization is not None:
            weights = quantization.weights(weights)
        pieces = model._pieces_in(weights)
        if quantization is not None:
            pieces = quantization.put_into(model, pieces, weights)
        slots = {cls.prefix + key: tensor for key, tensor in model.state_dict().items()}

        @cache
        def new() -> dict[str, Tensor]:
            return {cls.prefix + key: tensor for key, tensor in cls(config).state_dict().items()}

        missing = slots.keys() - pieces.keys()
        fresh = cls.fresh(config, missing)
        if added := [slot for slot in sorted(missing - fresh.keys()) if cls._is_added(slot)]:
            names = ", ".join(slot.removeprefix(cls.prefix) for slot in added)
            warnings.warn(f"{weights.place}: not in it, new and to be trained: {names}", stacklevel=3)
            fresh |= {slot: new()[slot] for slot in added}
        state, info = fill(
            slots,
            Source(weights, pieces, weights.place),
            (*cls.parts, *(slot for slot in slots if not slot.startswith(cls.parts))),
            fresh,
            config.dtype,
            new if ignore_mismatched_sizes else None,
            shorter,
            quantization,
        )
        found = {key.removeprefix(cls.prefix): tensor for key, tensor in state.items()}
        nn.Module.load_state_dict(model, found, strict=True, assign=True)
        info.missing.update(name for key in fresh for name in model.file_names(key.removeprefix(cls.prefix)))
        return model, info

    def _pieces_in(self, weights: Weights) -> dict[str, Piece]:
        """What of the weights the model's tensors are made of. Raises `CheckpointError`."""
        own = {key: self.prefix + key for key in self.state_dict()}
        if own.keys() == weights.shapes.keys():
            return {slot: Piece((key,), False) for key, slot in own.items()}
        if self.layout:
            table = self.table(weights)
            try:
                return plan(table, set(weights.shapes), str(weights.place), own)
            except CheckpointError:
                # A whole model's own state is known by the tower's fused maps, which no file of the table has. In other
                # files, what the table does not know is told.
                whole = {slot: Piece((slot,), False) for slot in own.values()}
                is_there = self.parts != ("",) and whole.keys() <= weights.shapes.keys()
                if not is_there or all(backwards(table, slot) == piece for slot, piece in whole.items()):
                    raise
                return whole
        # A model of the caller's own, or the weights of the model that it is built around.
        base = f"{self.base_model_prefix}."
        base = "" if any(name.startswith(base) for name in weights.shapes) else base
        found: dict[str, Piece] = {}
        for key in own:
            piece = self.piece((), key)
            sources = tuple(source.removeprefix(base) for source in piece.sources)
            if set(sources) <= weights.shapes.keys():
                found[key] = Piece(sources, piece.transposed)
        left = sorted(weights.shapes.keys() - {source for piece in found.values() for source in piece.sources})
        if not found:
            raise CheckpointError(f"{weights.place}: no {type(self).__name__} in it; it holds {first_names(left)}")
        if left:
            warnings.warn(f"{weights.place}: left out, no tensors of the model: {first_names(left)}", stacklevel=4)
        return found

    @classmethod
    def _is_added(cls, slot: str) -> bool:
        """Whether a tensor belongs to what a class of the caller adds to ours: no table names it."""
        return not any(has_rule(table, slot) for table in cls.tables.values())

    @classmethod
    def _from_config(
        cls,
        config: Any,
        *,
        dtype: torch.dtype | str | None = None,
        torch_dtype: torch.dtype | str | None = None,
        attn_implementation: str | Mapping[str, str] | None = None,
        **settings: Any,
    ) -> Self:
        """A new model, of first values, in training mode. Arguments as `from_pretrained`'s."""
        config = given_config(config, cls.config_class, {})
        model = cls(changed(config, settings_in(settings), cls._from_config))
        model._choose_attention(attn_implementation)
        wanted = model_dtype(dtype if dtype is not None else torch_dtype, config, model.dtype)
        if wanted != model.dtype:
            model.config.set_dtype(wanted)
        return model.to(wanted)

    @classmethod
    def table(cls, weights: Weights) -> tuple[Rule, ...]:
        """The table for the layout of these weights; a beginning that all names have in common is dropped from them
        where only then the layout is known. Raises `CheckpointError` for an unknown layout."""
        names = sorted(weights.shapes)
        while (table := cls.find_table(weights.shapes)) is None:
            if not weights.drop_prefix():
                begins = Counter(name.partition(".")[0] for name in names).most_common(3)
                listed = ", ".join(f"{name} ({count})" for name, count in begins)
                raise CheckpointError(
                    f"{weights.place}: no {cls.__name__} in it; it holds {', '.join(names[:3]) or 'nothing'} ..., "
                    f"names that begin with: {listed}"
                )
        return table

    @classmethod
    def find_table(cls, names: Collection[str]) -> tuple[Rule, ...] | None:
        """The table for a file with tensors of these names; None for an unknown layout."""
        return next((table for marker, table in cls.tables.items() if marker in names), None)

    @classmethod
    def fresh(cls, config: Config, missing: set[str]) -> dict[str, torch.Tensor]:
        """First values for tensors that a file may lack; by default none."""
        return {}

    def _choose_attention(self, asked: str | Mapping[str, str] | None) -> None:
        """What is asked for, else what the config asks for, else "sdpa"; the same for what a mapping leaves out."""
        self.set_attn_implementation(asked if isinstance(asked, str) else self.config._attn_implementation or "sdpa")
        if isinstance(asked, Mapping):
            self.set_attn_implementation(asked)

    def set_attn_implementation(self, attn_implementation: str | Mapping[str, str]) -> None:
        """Attention by "sdpa" (torch's choice of kernel), "eager" (plain products) or "flash_attention_2".

        By tower: {"text_config": "sdpa", "vision_config": "eager"}, "" for what is in neither. Raises `UsageError`.
        """
        named = {"text_config": "text_model", "vision_config": "vision_model"}
        towers = {part: getattr(self, named[part], nn.Module()) for part in self.config.sub_configs}
        if isinstance(attn_implementation, str):
            attn_implementation = dict.fromkeys(("", *towers), attn_implementation)
        for part, name in attn_implementation.items():
            if part not in ("", *towers):
                parts = ", ".join(towers) or "no parts"
                raise UsageError(f"attn_implementation: {type(self).__name__} has no {part!r}; it has {parts}")
            if name not in ATTENTION:
                raise UsageError(unknown_attention(name))
        self.config._attn_implementation = attn_implementation
        inner = {module for tower in towers.values() for module in tower.modules()}
        for part, name in attn_implementation.items():
            for module in towers.get(part, self).modules():
                if isinstance(module, Attention) and (part or module not in inner):
                    module.implementation = name
