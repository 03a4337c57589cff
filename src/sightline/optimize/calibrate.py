"""A checkpoint in int8: weights of whole numbers, and the grids of what goes into them, measured on the user's images
and texts.

    config.json                  with a `quantization_config` of ours, so that others don't take the numbers for weights
    model.safetensors            weights in blocks int8, with scales of rows and steps of columns; the rest in float16
    int8_images.safetensors      the grids of each tower (see `sightline.nn.int8`)
    int8_texts.safetensors
    ...                          tokenizer and preprocessing as they were
"""

import json
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, get_args

import torch
from PIL import Image
from torch import Tensor

from sightline.checkpoint.weights import SCALE, STEPS, save_tensors
from sightline.encoder.int8 import calibrated, images, measured, texts, write_grids
from sightline.encoder.source import EncoderSource, Noun
from sightline.errors import UsageError
from sightline.files import write_text
from sightline.models.settings import INT8
from sightline.models.tower import Tower
from sightline.nn.int8 import row_scales
from sightline.nn.int8_blocks import Grids

_WEIGHTS = ".safetensors", ".bin", ".pt", ".pth", ".index.json", ".onnx", ".msgpack", ".h5", ".md"
"""Ends of names of files that the new checkpoint does not take over."""


def calibrate_int8(
    source: EncoderSource, folder: Path, pictures: Iterable[Image.Image], captions: Sequence[str] | None = None
) -> None:
    """Writes a checkpoint in int8 into the empty `folder`. Without `captions` texts are measured on drawn scenes'.
    Raises `UsageError` for a model with a tower that has nothing to gain, `CheckpointError`, `OSError`."""
    kinds: dict[Noun, type[Tower]] = {"images": source.family.image, "texts": source.family.text}
    for noun in get_args(Noun):
        if not kinds[noun].int8_blocks:
            raise UsageError(f"{source.name}: its tower for {noun} is made of convolutions: int8 is of no use to it")
    model: Any = source.family.model.from_pretrained(source.path, dtype=torch.float32).check_plain(source.name)
    tensors = model.file_state()
    for noun, kind in kinds.items():
        tower = kind.for_encoding(source.path, torch.float32)
        if noun == "images":
            frames = source.config.frames
            grids = measured(tower, images(source, _in_frames(pictures, frames)))
        else:
            grids = calibrated(source, noun, tower) if captions is None else measured(tower, texts(source, captions))
        write_grids(folder / f"int8_{noun}.safetensors", grids)
        _round(tensors, grids, lambda name, tower=tower: model.file_names(tower.prefix + name))
    whole = {name: _half(tensor).detach().contiguous() for name, tensor in tensors.items()}
    save_tensors(folder / "model.safetensors", whole)
    _write_config(model.config, folder / "config.json")
    for file in source.folder.iterdir():
        if file.is_file() and file.name != "config.json" and not file.name.endswith(_WEIGHTS):
            shutil.copyfile(file, folder / file.name)


def _in_frames(pictures: Iterable[Image.Image], frames: int) -> Iterable[Image.Image]:
    """An image is a still video."""
    return (picture for picture in pictures for _ in range(frames))


def _round(tensors: dict[str, Tensor], grids: Grids, file_names: Any) -> None:
    """The weights of the grids' maps, as int8, in the place of those in the file."""
    for name, grid in grids.items():
        for file_name in file_names(f"{name}.weight"):
            weight = tensors[file_name].detach() * grid.steps
            scales = row_scales(weight)[:, None]
            tensors[file_name] = (weight / scales).round().clamp(-127, 127).to(torch.int8)
            tensors[file_name + SCALE], tensors[file_name + STEPS] = scales, grid.steps.clone()


def _half(tensor: Tensor) -> Tensor:
    """Matrices and tables in float16; what is small stays, and so does what float16 cannot hold."""
    is_large = tensor.dtype == torch.float32 and tensor.ndim > 1 and tensor.shape[-1] > 1
    return tensor.half() if is_large and bool(tensor.abs().amax() < 65_000) else tensor


def _write_config(config: Any, file: Path) -> None:
    data = json.loads(config.to_json_string())
    data["quantization_config"] = {"quant_method": INT8, "weights": "int8", "activations": "uint8"}
    write_text(file, json.dumps(data, indent=2, sort_keys=True) + "\n")
