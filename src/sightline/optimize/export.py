"""A checkpoint as a folder that other engines run: ONNX Runtime, OpenVINO."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from sightline.checkpoint.hub import SIDE_FILES, sha256
from sightline.encoder.source import EncoderSource
from sightline.errors import UsageError
from sightline.files import write_json
from sightline.logger import LOGGER
from sightline.optimize.folder import NOTE, check_out, whole_folder
from sightline.optimize.onnx_graph import write_onnx
from sightline.optimize.sides import Side, open_sides
from sightline.processing.tokenizer_files import has_tokenizer
from sightline.progress import Progress, ProgressCallback, check_callback, no_progress

Engine = Literal["onnx", "openvino"]

FORMAT = 1
"""Of the folder."""


def export(
    model: str | os.PathLike[str],
    out: str | os.PathLike[str],
    to: Engine = "onnx",
    *,
    progress: ProgressCallback = no_progress,
) -> Path:
    """Writes the checkpoint `model` (a name or folder, as for `load`) to the folder `out`, each tower a file for the
    engine `to`, with its config, preprocessing and tokenizer. Returns the folder.

    `out` appears whole or not at all; an earlier export there is replaced. Raises `UsageError`, `CheckpointError`.
    """
    check_callback(progress)
    if to not in get_args(Engine):
        raise UsageError(f"there is no engine {to!r}: choose {' or '.join(get_args(Engine))}")
    out = Path(out)
    check_out(out)
    source = EncoderSource(model)
    names = ("vision", "text") if has_tokenizer(source.folder) else ("vision",)
    if len(names) == 1:
        LOGGER.warning(f"{source.name}: no tokenizer in it, so its tower for images alone is exported")
    with whole_folder(out) as folder:
        towers: dict[str, Any] = {}
        (folder / to).mkdir()
        for done, side in enumerate(open_sides(source, names)):
            progress(Progress(f"exporting the {side.name} tower", done, len(names)))
            path = folder / to / f"{side.name}_model.onnx"
            write_onnx(side, path)
            towers[side.name] = _describe(side, source.dim, folder, path)
        _copy_files(source.folder, folder)
        note = {"format": FORMAT, "engine": to, "precision": "float32", "fingerprint": source.fingerprint}
        write_json(folder / NOTE, note | {"source": source.name, "towers": towers, "checked": {}})
        progress(Progress("exporting", len(names), len(names)))
    return out


def _describe(side: Side, dim: int, folder: Path, path: Path) -> Mapping[str, Any]:
    return {
        "file": path.relative_to(folder).as_posix(),
        "sha256": sha256(path),
        "inputs": {name: list(shape) for name, shape in side.inputs.items()},
        "outputs": {side.output: ["batch", dim]},
    }


def _copy_files(checkpoint: Path, folder: Path) -> None:
    for name in SIDE_FILES:
        if (checkpoint / name).is_file():
            shutil.copyfile(checkpoint / name, folder / name)
