"""What the uses of `tests/compat/uses` are given, and their list."""

import copy
import json
import os
import pickle
import re
import shutil
from collections.abc import Callable, Mapping
from functools import cache
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file

from support.both import Given
from support.processors import picture

NUMBERS = count()
TEXTS = ["a photo of a cat", "a photo of a dog"]
IMAGES = [Image.fromarray(picture(seed=seed)) for seed in range(2)]


def listed(folder: Path) -> dict[str, str]:
    """Each use of the folder's files, by "kind: what it is": blocks of lines whose first is a comment."""
    found: dict[str, str] = {}
    for file in sorted(folder.glob("*.txt")):
        for block in re.split(r"\n\n+", file.read_text(encoding="utf-8").strip()):
            title, code = block.split("\n", 1)
            name = f"{file.stem}: {title.removeprefix('# ')}"
            assert title.startswith("# "), title
            assert name not in found, name
            found[name] = code
    return found


def tensors() -> dict[str, torch.Tensor]:
    """Inputs of the small checkpoints: ids end with the end of text, and the second text is shorter."""
    made = torch.Generator().manual_seed(3)
    ids = torch.randint(5, 400, (2, 6), generator=made)

    def ended(start: int, end: int) -> torch.Tensor:
        found = ids.clone()
        found[:, 0], found[0, 5], found[1, 4:] = start, end, end
        return found

    mask = torch.ones_like(ids)
    mask[1, 5] = 0
    return {
        "input_ids": ended(834, 835),
        "attention_mask": mask,
        "pixel_values": torch.randn(2, 3, 32, 32, generator=made),
        "align_ids": ids,
        "align_pixels": torch.randn(2, 3, 64, 64, generator=made),
        "xclip_ids": ended(906, 907),
        "video_pixels": torch.randn(2, 8, 3, 32, 32, generator=made),
    }


def given(checkpoints: Mapping[str, Path], scratch: Path) -> Given:
    """The names that a use may read, each made anew for each use and library."""

    def folder(_: ModuleType) -> str:
        made = scratch / f"work-{next(NUMBERS)}"
        made.mkdir()
        return str(made)

    def with_config(library: ModuleType) -> str:
        made = folder(library)
        shutil.copy(checkpoints["clip"] / "config.json", made)
        return made

    def drawn(_: ModuleType) -> str:
        path = scratch / "picture.png"
        IMAGES[0].save(path)
        return str(path)

    def inputs(_: ModuleType) -> dict[str, torch.Tensor]:
        return {name: value.clone() for name, value in tensors().items() if name in INPUTS}

    def state(of: str | Path) -> dict[str, torch.Tensor]:
        return load_file(Path(of) / "model.safetensors")

    def reference_model(_: ModuleType) -> Any:
        import transformers

        return transformers.CLIPModel.from_pretrained(checkpoints["clip"])

    @cache
    def opened(library: ModuleType) -> Any:
        return library.CLIPModel.from_pretrained(checkpoints["clip"])

    def model(library: ModuleType) -> Any:
        """Ours is opened each time; of the reference's, which takes longer, a copy."""
        return copy.deepcopy(opened(library)) if library.__name__ == "transformers" else opened.__wrapped__(library)

    makers: dict[str, Callable[[ModuleType], Any]] = {
        "model": model,
        "processor": lambda library: library.CLIPProcessor.from_pretrained(checkpoints["clip"]),
        "tokenizer": lambda library: library.CLIPTokenizer.from_pretrained(checkpoints["clip"]),
        "image_processor": lambda library: library.CLIPImageProcessor.from_pretrained(checkpoints["clip"]),
        "tmp": folder,
        "fresh_folder": with_config,
        "picture_file": drawn,
        "inputs": inputs,
        "state": lambda _: state(checkpoints["clip"]),
        "reference_state": lambda _: state,
        "reference_model": reference_model,
    }
    values: dict[str, Any] = {
        **{name: str(path) for name, path in checkpoints.items()},
        "parent": str(checkpoints["clip"].parent),
        "texts": TEXTS,
        "image": IMAGES[0],
        "images": IMAGES,
        "video": [picture(seed=seed) for seed in range(8)],
        **{"copy": copy, "json": json, "os": os, "pickle": pickle, "Path": Path},
        **{"np": np, "torch": torch, "nn": torch.nn, "Image": Image},
    }
    shared = {name: always(value) for name, value in values.items()}
    return shared | {name: copied(value) for name, value in tensors().items()} | makers


def always(value: Any) -> Callable[[ModuleType], Any]:
    return lambda _: value


def copied(value: torch.Tensor) -> Callable[[ModuleType], Any]:
    return lambda _: value.clone()


INPUTS = ("input_ids", "attention_mask", "pixel_values")
