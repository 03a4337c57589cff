"""The files that hold a checkpoint's weights: their names, and which of them a folder has."""

import re
from collections.abc import Sequence
from pathlib import Path

from sightline.checkpoint.exported import ENGINES, NOTE, Exported
from sightline.errors import CheckpointError, UsageError
from sightline.files import read_checkpoint_json, unfinished

# In the order of preference. An index file lists the shards.
WEIGHT_FILES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "open_clip_model.safetensors",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "open_clip_pytorch_model.bin",
)
_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt")
_FOREIGN = (".h5", ".msgpack", ".gguf", ".onnx", ".ot", ".tflite")
"""Ends of the names of weights that can be opened, and of those that cannot."""


def weight_files(use_safetensors: bool | None = None, variant: str | None = None) -> tuple[str, ...]:
    """The names to look for, in order. `use_safetensors`: True for these alone, False for the others first.

    `variant` stands in the names of a second set of weights in the folder: "fp16" in "model.fp16.safetensors".
    Raises `UsageError`.
    """
    files = WEIGHT_FILES if variant is None else tuple(with_variant(name, variant) for name in WEIGHT_FILES)
    safe = tuple(name for name in files if ".safetensors" in name)
    if use_safetensors:
        return safe
    return files if use_safetensors is None else (*(name for name in files if name not in safe), *safe)


def with_variant(name: str, variant: str) -> str:
    """A weight file's name with the variant in it, before its last suffix. Raises `UsageError`."""
    if not isinstance(variant, str) or re.fullmatch(r"[\w-][\w.-]*", variant) is None:
        raise UsageError(f"variant={variant!r} is no part of a file's name, such as 'fp16'")
    stem, _, suffix = name.rpartition(".")
    return f"{stem}.{variant}.{suffix}"


def no_config(folder: Path) -> CheckpointError:
    """Why a folder without a config is none that can be opened, and the way out."""
    if (folder / "run.json").exists():
        return CheckpointError(
            f"{folder.absolute()}: a run of training, not a checkpoint; its checkpoints are {folder / 'last'} and, "
            f"with --evaluate, {folder / 'best'}"
        )
    place = f"{folder.absolute()}: no config.json in it"
    if any((folder / name).is_file() for name in ("training_args.bin", *WEIGHT_FILES)):
        return CheckpointError(
            f"{place}, as transformers.Trainer saves the weights alone: give config=..., the folder of the model from "
            f"before the training, or write it there: model.config.save_pretrained({str(folder)!r}); both are saved by "
            f"trainer.model.save_pretrained({str(folder)!r})"
        )
    return CheckpointError(f"{place}, so it is no checkpoint; name the folder of one")


def is_index(name: str) -> bool:
    """Whether a weight file lists shards."""
    return name.endswith(".json")


def shard_pattern(name: str) -> str:
    """A regular expression for the names of the shards that belong to the weight file or index of this name."""
    whole = re.sub(r"\.index(.*)\.json$", r"\1", name)  # model.safetensors.index.fp16.json
    stem, _, suffix = whole.partition(".safetensors" if ".safetensors" in whole else ".bin")
    kind = ".safetensors" if ".safetensors" in whole else ".bin"
    return rf"{re.escape(stem + suffix)}-\d+-of-\d+{re.escape(kind)}"


def weight_paths(folder: Path, files: Sequence[str] = WEIGHT_FILES) -> list[Path]:
    """The files that hold a folder's weights, the first of `files` that there is; or the file itself that is named.

    Raises `CheckpointError` if there are none or a shard is missing.
    """
    if folder.is_file():
        return [folder]
    for name in files:
        path = folder / name
        if path.is_symlink() and not path.exists():
            raise CheckpointError(f"{path}: a link to nothing: fetch the checkpoint again, or copy the file there")
        if not path.is_file():
            continue
        return _shards(path) if is_index(name) else [path]
    check_no_export(folder)
    if half := unfinished(folder, files):
        raise CheckpointError(f"{half}: a download that did not come to its end: fetch it again")
    others = sorted(path.name for path in folder.iterdir() if path.suffix in (*_WEIGHTS, *_FOREIGN))
    if there := [name for name in WEIGHT_FILES if name in others]:
        raise CheckpointError(
            f"{folder}: none of {', '.join(files)} in it, but {', '.join(there)}: leave out variant and use_safetensors"
        )
    if own := [name for name in others if name.endswith(_WEIGHTS)]:
        raise CheckpointError(
            f"{folder}: no {' and no '.join(WEIGHT_FILES[::3])} in it; if {own[0]} holds the weights, name that file: "
            f"{folder / own[0]}"
        )
    foreign = f", and {', '.join(others)} is written for other libraries" if others else ""
    raise CheckpointError(f"{folder}: no weights in it; expected one of {', '.join(files)}{foreign}")


def check_no_export(folder: Path) -> None:
    """Raises `CheckpointError`, with the way out, for an export, which has no weights that torch could open."""
    if (exported := Exported.of(folder)) is not None:
        raise CheckpointError(
            f"{folder}: an export for {ENGINES[exported.engine]}, without weights that torch could train or change: "
            f"name the checkpoint that it was made of, {exported.source}"
        )
    if any((folder / engine).is_dir() for engine in ENGINES):
        raise CheckpointError(
            f"{folder}: half an export: there is no {NOTE} in it, which is written last: copy the whole folder, or "
            "export the checkpoint again (sightline export)"
        )


def _shards(index: Path) -> list[Path]:
    shards = read_checkpoint_json(index).get("weight_map")
    if not isinstance(shards, dict) or not shards or not all(isinstance(shard, str) for shard in shards.values()):
        raise CheckpointError(f"{index}: no weight_map, so the shards cannot be found")
    folder = index.parent
    paths = [folder / Path(shard).name for shard in sorted(set(shards.values()))]
    files = set(folder.iterdir())
    for shard in paths:
        if shard not in files:
            raise CheckpointError(f"{folder}: the shard {shard.name} is missing; copy it there")
    return paths
