"""The base of every model: opening and saving checkpoints, device and dtype."""

import os
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import torch

import sightline.nn.threads  # noqa: F401 (a forked child can compute)
from sightline.checkpoint.hub import resolve, weight_paths
from sightline.checkpoint.rules import Rule, first_names, plan, read, write
from sightline.checkpoint.weights import Weights, write_weights
from sightline.errors import CheckpointError, UsageError
from sightline.files import write_json
from sightline.models.config import Config
from sightline.models.reference import Reference
from sightline.nn.attention import Attention

ATTENTION = ("sdpa", "eager", "flash_attention_2")


class PretrainedModel(Reference):
    """A model with a config and, for each layout of files that it opens, a table of tensors.

    Tables name the tensors of the family's whole model. A class for a part of the model lists in `parts` the prefixes
    of the tensors that it needs, and in `prefix` the prefix that its names lack.
    """

    config_class: ClassVar[type[Config]]
    # A key that only files of a layout have -> the layout's table. `save_pretrained` writes the first layout.
    tables: ClassVar[Mapping[str, tuple[Rule, ...]]]
    parts: ClassVar[tuple[str, ...]] = ("",)
    prefix: ClassVar[str] = ""
    config: Config

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "config":
            value.validate()
        super().__setattr__(name, value)

    @classmethod
    def from_pretrained(
        cls,
        name_or_folder: str | os.PathLike[str],
        *,
        dtype: torch.dtype | str | None = None,
        attn_implementation: str = "sdpa",
        revision: str | None = None,
        local_files_only: bool = False,
        cache_dir: str | Path | None = None,
    ) -> Self:
        """Opens a folder, a weight file with its config beside it, a packaged model or a Hub name, in `eval()` mode.

        `dtype`: a torch dtype or its name; None and "auto" keep the file's. Tensors are memory-mapped: only what is
        joined or changes dtype is copied, and a tower opens only its part. Raises `CheckpointError`.
        """
        path = resolve(name_or_folder, revision=revision, local_files_only=local_files_only, cache_dir=cache_dir)
        paths = weight_paths(path)
        config = cls.config_class.from_folder(path if path.is_dir() else path.parent)
        weights = Weights(paths)
        pieces = plan(cls.table(weights, paths[0]), set(weights.shapes), str(paths[0]))
        with torch.device("meta"):
            model = cls(config)
        slots = {cls.prefix + key: tensor for key, tensor in model.state_dict().items()}
        stored = {target for target in pieces if target.startswith(cls.parts)}
        fresh = cls.fresh(config, set(slots) - stored)
        _refuse(paths[0], "missing", set(slots) - stored - set(fresh))
        _refuse(paths[0], "more than the config asks for:", stored - set(slots))
        to_dtype = weights.dtype if dtype in (None, "auto") else float_dtype(dtype)
        state: dict[str, torch.Tensor] = {}
        for target, slot in slots.items():
            tensor = fresh[target] if target in fresh else read(pieces[target], weights.get, str(paths[0]))
            if tensor.shape != slot.shape:
                raise CheckpointError(
                    f"{paths[0]}: {' + '.join(pieces[target].sources)} has shape {tuple(tensor.shape)}, "
                    f"the config asks for {tuple(slot.shape)}"
                )
            if slot.is_floating_point() and not tensor.is_floating_point():
                raise CheckpointError(
                    f"{paths[0]}: {' + '.join(pieces[target].sources)} holds {tensor.dtype}, quantised numbers; take "
                    "the checkpoint that it was made of, in float32, float16 or bfloat16"
                )
            state[target.removeprefix(cls.prefix)] = tensor.to(to_dtype) if slot.is_floating_point() else tensor
        model.load_state_dict(state, strict=True, assign=True)
        model.set_attn_implementation(attn_implementation)
        return model.eval()

    @classmethod
    def table(cls, weights: Weights, path: Path) -> tuple[Rule, ...]:
        """The table for the layout of these weights; a beginning that all names have in common is dropped from them
        where only then the layout is known. Raises `CheckpointError` for an unknown layout."""
        names = sorted(weights.shapes)
        while (table := cls.find_table(weights.shapes)) is None:
            if not weights.drop_prefix():
                begins = Counter(name.partition(".")[0] for name in names).most_common(3)
                listed = ", ".join(f"{name} ({count})" for name, count in begins)
                raise CheckpointError(
                    f"{path}: no {cls.__name__} in it; it holds {', '.join(names[:3]) or 'nothing'} ..., "
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

    @property
    def architecture(self) -> str:
        """The class that opens what is saved."""
        return type(self).__name__

    @property
    def layout(self) -> tuple[Rule, ...]:
        """The table by which the model is saved."""
        return next(iter(self.tables.values()))

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Writes `config.json` and `model.safetensors`, as `transformers` reads them, in the model's dtype."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        state = {self.prefix + key: tensor.detach().cpu() for key, tensor in self.state_dict().items()}
        write_weights(folder / "model.safetensors", write(self.layout, state))
        about = {"architectures": [self.architecture], "dtype": str(self.dtype).removeprefix("torch.")}
        write_json(folder / "config.json", self.config.to_diff_dict() | about)

    def set_attn_implementation(self, name: str) -> None:
        """Attention by "sdpa" (torch's choice of kernel), "eager" (plain products) or "flash_attention_2"."""
        if name not in ATTENTION:
            raise UsageError(f"unknown attn_implementation {name!r}; there are {', '.join(ATTENTION)}")
        self.config._attn_implementation = name
        for module in self.modules():
            if isinstance(module, Attention):
                module.implementation = name


def _refuse(path: Path, what: str, targets: set[str]) -> None:
    if targets:
        raise CheckpointError(
            f"{path}: {what} {first_names(sorted(targets))}; does the config belong to these weights?"
        )


def float_dtype(dtype: torch.dtype | str) -> torch.dtype:
    """A torch dtype, or the one of that name. Raises `UsageError` for what is no floating-point type."""
    named = getattr(torch, dtype.removeprefix("torch."), None) if isinstance(dtype, str) else dtype
    if not isinstance(named, torch.dtype) or not named.is_floating_point:
        raise UsageError(f'unknown dtype {dtype!r} for a model; try "auto", "float32" or "bfloat16"')
    return named
