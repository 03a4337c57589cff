"""A model as files that Sightline and `transformers` open."""

import copy
import os
import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sightline.checkpoint.weight_files import is_index, shard_pattern, weight_files, with_variant
from sightline.checkpoint.weights import Weights, save_tensors
from sightline.errors import UsageError
from sightline.files import json_text, replacing
from sightline.models.adapters import Adapters
from sightline.models.config import Config
from sightline.models.publishing import Published, check_publishing, new_folder, send_saved
from sightline.models.quantized import Quantized
from sightline.models.state_dicts import StateDicts
from sightline.nn.quantized import flattened


class Saved(Quantized, StateDicts, Adapters, Published):
    """A model that is written to a folder. A base of `PretrainedModel`."""

    config: Config

    @property
    def architecture(self) -> str:
        """The class that opens what is saved."""
        return type(self).__name__

    def save_pretrained(
        self,
        save_directory: str | os.PathLike[str],
        is_main_process: bool = True,
        state_dict: Mapping[str, Tensor] | None = None,
        save_function: Callable[[dict[str, Tensor], Path], Any] | None = None,
        push_to_hub: bool = False,
        max_shard_size: int | str | None = None,
        safe_serialization: bool = True,
        variant: str | None = None,
        **publishing: Any,
    ) -> None:
        """Writes `config.json` and `model.safetensors`, as `transformers` reads them, in the model's dtype; of a model
        with adapters the active adapter alone, as `save_adapter` does.

        `is_main_process`: False writes nothing, in the other processes of a training. `state_dict`: tensors in place of
        the model's, by its names or by those of its files. `max_shard_size`, "5GB" say: files of at most this size, and
        an index of them. `safe_serialization=False`: `pytorch_model.bin`, by `save_function` (torch.save).
        `variant`: a word in the files' names. Weights of an earlier save that would be opened in their place are
        deleted. `push_to_hub`: sends the folder to `repo_id`, by default the folder's name; `publishing` are the
        arguments of the method `push_to_hub`. Raises `UsageError`, `OSError`.
        """
        options = {name: value for name, value in publishing.items() if name not in _WITHOUT_EFFECT}
        check_publishing(options)
        if not is_main_process:
            return
        folder = new_folder(save_directory)
        if self.has_adapters:
            self.save_adapter(folder, state_dict)
            send_saved(type(self).__name__, folder, push_to_hub, options)
            return
        if self.is_quantized and state_dict is not None:
            raise UsageError("state_dict: a quantised model is saved with its own tensors; leave it out")
        # A header's words about a tensor are found by the names of the class that reads it.
        by_header = self.quantization_method == "torchao"
        state = self.reference_state_dict() if by_header else self.file_state(state_dict)
        found = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
        tensors, header = flattened(found) if by_header else (found, {})
        if header and not safe_serialization:
            raise UsageError("safe_serialization=False: weights quantised by torchao are saved as safetensors alone")
        name = "model.safetensors" if safe_serialization else "pytorch_model.bin"
        config = copy.deepcopy(self.config)
        config.set_dtype(self.dtype if self.is_quantized else Weights(state=tensors).dtype)
        if not self.is_quantized and hasattr(config, "quantization_config"):
            del config.quantization_config
        config.architectures = [self.architecture]
        with ExitStack() as files:  # all are written before the first takes its place

            def place(file: str) -> Path:
                return files.enter_context(replacing(folder / file))

            place("config.json").write_text(config.to_json_string(), encoding="utf-8", errors="backslashreplace")
            written = _write(
                place,
                name if variant is None else with_variant(name, variant),
                tensors,
                header,
                max_shard_size,
                save_function,
            )
        _delete_hidden(folder, written, variant)
        send_saved(type(self).__name__, folder, push_to_hub, options)


_WITHOUT_EFFECT = frozenset(
    "save_peft_format save_original_format distributed_checkpoint use_temp_dir".split()  # noqa: SIM905
)
"""Of the reference: what concerns its own models alone."""


def _write(
    place: Callable[[str], Path],
    name: str,
    tensors: dict[str, Tensor],
    header: Mapping[str, str],
    max_shard_size: int | str | None,
    save_function: Callable[[dict[str, Tensor], Path], Any] | None,
) -> set[str]:
    """Weights to a file of this name or, where they are larger than a shard, to shards with an index. `place`: where to
    write what will be a file of the name; `header`: further words in safetensors' headers. Returns the names of the
    files. Raises `OSError`."""
    from huggingface_hub import split_torch_state_dict_into_shards  # here: opening a model does without it

    stem, kind = name.rsplit(".", 1)
    parts = {name: list(tensors)}
    index: dict[str, Any] = {}
    if max_shard_size is not None:
        try:
            plan = split_torch_state_dict_into_shards(
                tensors, filename_pattern=f"{stem}{{suffix}}.{kind}", max_shard_size=max_shard_size
            )
        except ValueError as error:
            raise UsageError(f"max_shard_size={max_shard_size!r}: give a number of bytes, or '5GB', say") from error
        parts = plan.filename_to_tensors
        index = {"metadata": plan.metadata, "weight_map": plan.tensor_to_filename} if plan.is_sharded else {}
    for file, names in parts.items():
        part = {key: tensors[key] for key in names}
        if kind == "safetensors":
            save_tensors(place(file), part, header)
        else:
            (save_function or torch.save)(part, place(file))
    if not index:
        return set(parts)
    of_index = _index_name(name)
    place(of_index).write_text(json_text(index, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return {*parts, of_index}


def _index_name(name: str) -> str:
    """The index's name for shards of a weight file's: "model.safetensors.index.fp16.json" for the variant "fp16"."""
    stem, variant, kind = re.fullmatch(r"(model|pytorch_model)(\..+)?(\.safetensors|\.bin)", name).groups()  # type: ignore[union-attr]
    return f"{stem}{kind}.index{variant or ''}.json"


def _delete_hidden(folder: Path, written: set[str], variant: str | None) -> None:
    """Deletes the weights that would be opened in place of those `written`, and shards that no index names now."""
    names = weight_files(variant=variant)
    last = max(place for place, name in enumerate(names) if name in written)
    stale = set(names[:last])
    for name in names[: last + 1]:
        stale |= {path.name for path in folder.iterdir() if re.fullmatch(shard_pattern(name), path.name)}
        stale |= set() if is_index(name) or "open_clip" in name else {_index_name(name)}
    for name in stale - written:
        (folder / name).unlink(missing_ok=True)
