"""A checkpoint in the layout that Immich's machine learning opens, from its source: github.com/immich-app/immich,
machine-learning/immich_ml/models/clip.

    config.json                   text_cfg.context_length, vision_cfg.image_size, embed_dim
    visual/model.onnx             "image" (1, 3, size, size) float32 -> a unit vector
    visual/preprocess_cfg.json    size, mean, std, interpolation, resize_mode
    textual/model.onnx            "text" (1, context_length) int32 -> a unit vector
    textual/tokenizer.json        and tokenizer_config.json, which names the pad_token
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from PIL.Image import Resampling
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.encoder.source import EncoderSource
from sightline.errors import CheckpointError, UsageError
from sightline.files import read_json, write_json
from sightline.optimize.export import ExportedTower, write_note
from sightline.optimize.folder import check_out, whole_folder
from sightline.optimize.onnx_graph import write_onnx
from sightline.optimize.parity import check
from sightline.optimize.runtimes import check_installed, open_run
from sightline.optimize.samples import drawn_images, drawn_texts
from sightline.optimize.sides import Graph, Shape, Side, open_sides, open_source
from sightline.processing.image.profile import PixelProfile
from sightline.processing.tokenizer_files import has_tokenizer
from sightline.progress import Progress, ProgressCallback, check_callback, no_progress

_FOLDERS = {"vision": "visual", "text": "textual"}
_INPUTS = {"vision": "image", "text": "text"}
_OUTPUT = "unit_vector"  # Immich asks for no name


class _Unit(nn.Module):
    """A side as Immich calls it: one input, unit vectors. `pad`: the token that fills texts up."""

    def __init__(self, side: Side, pad: int) -> None:
        super().__init__()
        self.side, self.is_text, self.pad = Graph(side), side.name == "text", pad

    def forward(self, *inputs: Tensor) -> Tensor:
        """Pixels (B, 3, H, W), or tokens (B, L) int32 -> unit vectors (B, P)."""
        (given,) = inputs
        if not self.is_text:
            return F.normalize(self.side(given), dim=-1)
        # Where a text's end is also what fills up, the model is causal: it pools at the first end and needs no mask.
        return F.normalize(self.side(given.long(), (given != self.pad).long()), dim=-1)


def export_immich(
    model: str | os.PathLike[str], out: str | os.PathLike[str], *, progress: ProgressCallback = no_progress
) -> list[ExportedTower]:
    """Writes the checkpoint `model` (a name or folder, as for `load`) to the folder `out` in Immich's layout, whole or
    not at all. Raises `UsageError` and `CheckpointError`, also for what Immich cannot run: videos, other preprocessing.
    """
    check_callback(progress)
    out = Path(out)
    check_out(out)
    check_installed("onnx")
    source = open_source(model)
    if not has_tokenizer(source.folder):
        raise CheckpointError(f"{source.name}: no tokenizer in it, which Immich needs: copy tokenizer.json there")
    if source.config.takes_videos:
        raise UsageError(f"{source.name}: a model of videos, which Immich does not search")
    preprocessing = immich_preprocessing(source.profile, source.name)
    length = int(source.config.text_config.max_tokens)
    exported = []
    with whole_folder(out) as folder:
        for number, side in enumerate(open_sides(source, ("vision", "text"))):
            progress(Progress(f"exporting the {side.name} tower", number, 2))
            path = folder / _FOLDERS[side.name] / "model.onnx"
            path.parent.mkdir()
            shape: Shape = ("batch", length) if side.name == "text" else side.inputs["pixel_values"]
            write_onnx(_Unit(side, source.tokenizer.pad_id), {_INPUTS[side.name]: shape}, _OUTPUT,
                       _example(side, length), 0, path)  # fmt: skip
            measured = _check(side, source, path, length)
            shapes = {_INPUTS[side.name]: shape}
            exported.append(ExportedTower(side.name, path, path.stat().st_size, shapes, _OUTPUT, measured))
        write_json(folder / "visual/preprocess_cfg.json", preprocessing)
        _write_tokenizer(source, folder / "textual")
        vision = {"image_size": source.profile.output_size[0]} if source.profile.output_size else {}
        text = {"context_length": length, "vocab_size": source.config.text_config.vocab_size}
        write_json(folder / "config.json", {"embed_dim": source.dim, "vision_cfg": vision, "text_cfg": text})
        write_note(folder, source, "onnx", "float32", exported, layout="immich")
    progress(Progress("exported", 2, 2))
    return [ExportedTower(one.name, out / one.file.relative_to(folder), one.size, one.inputs, one.output, one.measured)
            for one in exported]  # fmt: skip


def immich_preprocessing(profile: PixelProfile, name: str) -> dict[str, Any]:
    """The contents of `preprocess_cfg.json`. Raises `UsageError` for preprocessing that it cannot say."""
    size = profile.output_size
    squash = isinstance(profile.size, tuple) and (not profile.do_center_crop or profile.crop_size == profile.size)
    shortest = isinstance(profile.size, int) and profile.crop_size == (profile.size, profile.size)
    if size is None or size[0] != size[1] or not profile.do_resize or not (squash or shortest):
        raise UsageError(
            f"{name}: Immich resizes an image to a square, or its short side to a square's which it crops; this "
            "checkpoint's preprocessing is another"
        )
    # What happens to a channel's values is one line, from black to white.
    levels = profile.normalize(torch.tensor([0, 255], dtype=torch.uint8).repeat(3, 1).T.reshape(1, 1, 2, 3).numpy())
    black, white = levels[0, :, 0, 0], levels[0, :, 0, 1]
    return {
        "size": list(size),
        "mode": "RGB",
        "mean": [float(-low / (high - low)) for low, high in zip(black, white, strict=True)],
        "std": [float(1 / (high - low)) for low, high in zip(black, white, strict=True)],
        "interpolation": Resampling(profile.resample).name.lower(),
        "resize_mode": "squash" if squash else "shortest",
        "fill_color": 0,
    }


def _example(side: Side, length: int) -> Mapping[str, Tensor]:
    return {"x": next(iter(side.example(2, length).values())).to(torch.int32 if side.name == "text" else torch.float32)}


def _check(side: Side, source: EncoderSource, path: Path, length: int) -> dict[str, float | int]:
    run = open_run("onnx", path)
    name, pad = _INPUTS[side.name], source.tokenizer.pad_id

    def renamed(inputs: Mapping[str, Any]) -> Any:
        if side.name == "vision":
            return run({name: inputs["pixel_values"]})
        ids = torch.full((len(inputs["input_ids"]), length), pad, dtype=torch.int32).numpy()
        ids[:, : inputs["input_ids"].shape[1]] = inputs["input_ids"]
        return run({name: ids})

    real = drawn_images(source, 16) if side.name == "vision" else drawn_texts(source, 16)
    # Not on random tokens: which of them fill up is told by the token here.
    return check(side, renamed, "float32", real, noise=side.name == "vision", unit=True)


def _write_tokenizer(source: EncoderSource, folder: Path) -> None:
    source.tokenizer.save(folder)
    path = folder / "tokenizer_config.json"
    settings = read_json(path) if path.is_file() else {}
    if not isinstance(settings.get("pad_token"), str):
        settings["pad_token"] = source.tokenizer.token(source.tokenizer.pad_id)
        write_json(path, settings)
