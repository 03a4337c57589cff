"""A checkpoint as a folder that other engines run: ONNX Runtime, OpenVINO."""

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from sightline.checkpoint.exported import FORMAT, NOTE
from sightline.checkpoint.fingerprint import tower_hash
from sightline.checkpoint.hub import SIDE_FILES
from sightline.encoder.source import EncoderSource
from sightline.errors import UsageError
from sightline.files import write_json
from sightline.logger import LOGGER
from sightline.optimize.folder import check_out, whole_folder
from sightline.optimize.int8 import quantize_onnx, quantize_openvino
from sightline.optimize.onnx_graph import is_large, put_weights_beside, write_onnx
from sightline.optimize.openvino_graph import read_openvino, write_openvino
from sightline.optimize.parity import check
from sightline.optimize.runtimes import Engine, check_installed, open_run
from sightline.optimize.samples import COUNT, Inputs, drawn_images, drawn_texts, images_in, texts_of
from sightline.optimize.sides import Graph, Shape, Side, open_sides, open_source
from sightline.processing.tokenizer_files import has_tokenizer
from sightline.progress import Progress, ProgressCallback, check_callback, no_progress

ExportPrecision = Literal["float32", "float16", "int8"]

_CHECKED = 16
"""Real inputs that an export is compared with torch on."""


@dataclass(frozen=True)
class ExportedTower:
    """A file of an export. `measured`: its largest relative `difference` from torch's float32 vectors, the mean
    `cosine` to them, and how many `vectors` were compared."""

    name: str
    file: Path
    size: int
    inputs: Mapping[str, Shape]
    output: str
    measured: Mapping[str, float | int]


def export(
    model: str | os.PathLike[str],
    out: str | os.PathLike[str],
    to: Engine = "onnx",
    precision: ExportPrecision = "float32",
    *,
    calibrate: str | os.PathLike[str] | None = None,
    texts: str | os.PathLike[str] | None = None,
    progress: ProgressCallback = no_progress,
) -> list[ExportedTower]:
    """Writes the checkpoint `model` (a name or folder, as for `load`) to the folder `out`: each tower as a file for the
    engine `to`, with its config, preprocessing and tokenizer. Each file is compared with torch before.

    `precision`: "float16" halves the weights' size (OpenVINO); "int8" has fixed scales, measured on the images in the
    folder `calibrate` and the lines of the file `texts`, by default on drawn scenes and their captions. `out` appears
    whole or not at all; an earlier export there is replaced. Raises `UsageError`, `CheckpointError`, `SightlineError`
    where a file does not give what torch gives.
    """
    check_callback(progress)
    _check_choice(model, to, precision, calibrate, texts)
    out = Path(out)
    check_out(out)
    check_installed(to, ("nncf",) if (to, precision) == ("openvino", "int8") else ())
    source = open_source(model)
    names = ("vision", "text") if has_tokenizer(source.folder) else ("vision",)
    if texts is not None and "text" not in names:
        raise UsageError(f"{texts}: {source.name} has no tokenizer to read texts by: leave them out")
    _tell_limits(source, names)
    exported = []
    with whole_folder(out) as folder:
        (folder / to).mkdir()
        for number, side in enumerate(open_sides(source, names)):

            def step(done: int, stage: str, side: Side = side, number: int = number) -> None:
                progress(Progress(f"{stage} the {side.name} tower", 3 * number + done, 3 * len(names)))

            step(0, "exporting")
            inputs = _inputs(side, source, COUNT if precision == "int8" else _CHECKED, calibrate, texts)
            measured_on, compared = _divided(inputs) if precision == "int8" else ({}, inputs)
            path = _write(side, folder / to, to, precision, measured_on, step)
            step(2, "comparing")
            measured = check(side, open_run(to, path), precision, compared)
            size = sum(file.stat().st_size for file in path.parent.glob(f"{path.stem}.*"))
            exported.append(ExportedTower(side.name, path, size, side.inputs, side.output, measured))
        for name in SIDE_FILES:
            if (source.folder / name).is_file():
                shutil.copyfile(source.folder / name, folder / name)
        write_note(folder, source, to, precision, exported)
    progress(Progress("exported", 3 * len(names), 3 * len(names)))
    return [replace(one, file=out / to / one.file.name) for one in exported]


def _check_choice(model: Any, to: str, precision: str, calibrate: Any, texts: Any) -> None:
    if not isinstance(model, str | os.PathLike):
        raise UsageError(
            f"export takes a checkpoint's name or folder, not a {type(model).__name__}: save it with its processor "
            "first, model.save_pretrained(folder), processor.save_pretrained(folder)"
        )
    if to not in get_args(Engine):
        raise UsageError(f"there is no engine {to!r} to export to: choose {' or '.join(get_args(Engine))}")
    if precision == "bfloat16":
        raise UsageError(
            "bfloat16 is no precision of a file: export float32 to openvino, which computes in bfloat16 when it is "
            'opened with precision="bfloat16"'
        )
    if precision not in get_args(ExportPrecision):
        raise UsageError(
            f"there is no precision {precision!r} to export: choose {', '.join(get_args(ExportPrecision))}"
        )
    if (to, precision) == ("onnx", "float16"):
        raise UsageError(
            "ONNX Runtime computes in float16 on GPUs alone: choose float32 or int8, or export to openvino"
        )
    if precision != "int8" and (calibrate is not None or texts is not None):
        raise UsageError(f"images and texts to calibrate by are for int8 alone, not for {precision}")


def _tell_limits(source: EncoderSource, names: tuple[str, ...]) -> None:
    if "text" not in names:
        LOGGER.warning(f"{source.name}: no tokenizer in it, so the tower for images alone is exported")
    if source.family.is_rescored:
        LOGGER.warning(
            f"{source.name}: texts are exported without the prompts that videos give them, so an export searches by "
            "the vectors' cosine alone, without rescoring"
        )


def _divided(inputs: Inputs) -> tuple[Inputs, Inputs]:
    """The inputs that scales are measured on, and up to 16 others, evenly spread, that the file is compared by."""
    count = len(next(iter(inputs.values())))
    kept = min(_CHECKED, count // 2)
    if not kept:
        LOGGER.warning("a single input to calibrate by: int8 is compared with torch by that input itself")
        return inputs, inputs
    others = np.zeros(count, bool)
    others[[i * count // kept for i in range(kept)]] = True
    return {name: array[~others] for name, array in inputs.items()}, {
        name: array[others] for name, array in inputs.items()
    }


def _inputs(side: Side, source: EncoderSource, count: int, calibrate: Any, texts: Any) -> Inputs:
    if side.name == "vision":
        return drawn_images(source, count) if calibrate is None else images_in(calibrate, source)
    return drawn_texts(source, count) if texts is None else texts_of(texts, source)


def _write(
    side: Side, folder: Path, to: Engine, precision: str, inputs: Inputs, step: Callable[[int, str], None]
) -> Path:
    """The side's file for the engine."""
    graph = Graph(side)
    path, large = folder / f"{side.name}_model.onnx", is_large(graph)
    write_onnx(graph, side.inputs, side.output, side.example(2, min(side.longest, 9)), side.longest, path)
    del graph
    if precision == "int8":
        step(1, "calibrating")
    if to == "onnx":
        if precision == "int8":
            quantize_onnx(path, inputs, large)
        put_weights_beside(path)
        return path
    model = read_openvino(path)
    if precision == "int8":
        model = quantize_openvino(model, inputs)
    write_openvino(model, path.with_suffix(".xml"), precision == "float16")
    for made in folder.glob(f"{path.name}*"):
        made.unlink()
    return path.with_suffix(".xml")


def write_note(
    folder: Path, source: EncoderSource, to: str, precision: str, exported: list[ExportedTower], **more: str
) -> None:
    """Writes what the folder is, last of all."""
    towers = {
        one.name: {
            "file": one.file.relative_to(folder).as_posix(),
            "sha256": tower_hash(one.file),
            "inputs": {name: list(shape) for name, shape in one.inputs.items()},
            "outputs": {one.output: ["batch", source.dim]},
        }
        for one in exported
    }
    checked = {one.name: dict(one.measured) for one in exported}
    note = {"format": FORMAT, "engine": to, "precision": precision, "fingerprint": source.fingerprint, **more}
    write_json(folder / NOTE, note | {"source": source.name, "towers": towers, "checked": checked})
