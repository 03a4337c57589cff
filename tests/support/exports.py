"""Small exports whose towers are drawn graphs: quickly made, and run as those of a real model are."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from sightline.checkpoint.exported import NOTE
from sightline.checkpoint.fingerprint import tower_hash
from sightline.checkpoint.names import PACKAGED
from sightline.encoder.engines.openvino import OpenVinoEngine
from sightline.encoder.source import EncoderSource


def drawn_export(
    folder: Path, model: str = "mini", engine: str = "onnx", towers: tuple[str, ...] = ("vision", "text")
) -> Path:
    """An export of a packaged model in `folder`: pixels are averaged over a grid, tokens are looked up and added up,
    and a random map embeds them. Its fingerprint is the model's."""
    source = EncoderSource(model)
    folder.mkdir(parents=True)
    for file in (PACKAGED / model).iterdir():
        if file.name.endswith((".json", ".txt")):
            shutil.copy(file, folder)
    (folder / engine).mkdir()
    note = {"format": 1, "engine": engine, "precision": "float32", "fingerprint": source.fingerprint, "source": model}
    described = {}
    for name in towers:
        graph = _vision(source) if name == "vision" else _text(source)
        path = folder / engine / f"{name}_model.onnx"
        onnx.save(graph, path)
        if engine == "openvino":
            path = _for_openvino(path)
        described[name] = {"file": path.relative_to(folder).as_posix(), "sha256": tower_hash(path)}
    (folder / NOTE).write_text(json.dumps(note | {"towers": described, "checked": {}}))
    return folder


def _for_openvino(path: Path) -> Path:
    openvino = OpenVinoEngine.import_library()
    openvino.save_model(openvino.Core().read_model(path), path.with_suffix(".xml"), compress_to_fp16=False)
    path.unlink()
    return path.with_suffix(".xml")


def _vision(source: EncoderSource) -> onnx.ModelProto:
    """(batch, [frames,] 3, H, W) -> means over 4 x 4 fields of each frame -> (batch, dim)."""
    side, frames = source.config.vision_config.image_size, source.config.frames
    fields = side // 4
    width = frames * 3 * 16
    shape = ["batch", *([frames] if frames > 1 else []), 3, side, side]
    field = [*([1] if frames > 1 else []), fields, fields]
    nodes = [
        helper.make_node("AveragePool", ["pixel_values"], ["means"], kernel_shape=field, strides=field),
        helper.make_node("Flatten", ["means"], ["features"]),
        helper.make_node("MatMul", ["features", "map"], ["image_embeds"]),
    ]
    values = {"map": _map(width, source.dim)}
    return _graph(nodes, values, {"pixel_values": (TensorProto.FLOAT, shape)}, "image_embeds", source.dim)


def _text(source: EncoderSource) -> onnx.ModelProto:
    """(batch, length) ids and mask -> the sum of what is looked up -> (batch, dim)."""
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["words"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["wide"]),
        helper.make_node("Mul", ["words", "wide"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "middle"], ["text_embeds"], keepdims=0),
    ]
    table = _map(source.config.text_config.vocab_size, source.dim)
    values = {"table": table, "last": np.array([2]), "middle": np.array([1])}
    inputs = {name: (TensorProto.INT64, ["batch", "length"]) for name in ("input_ids", "attention_mask")}
    return _graph(nodes, values, inputs, "text_embeds", source.dim)


def _map(rows: int, columns: int) -> np.ndarray:
    return np.random.default_rng(rows).standard_normal((rows, columns), np.float32)


def _graph(
    nodes: list[onnx.NodeProto],
    values: dict[str, np.ndarray],
    inputs: dict[str, tuple[int, list[str | int]]],
    output: str,
    dim: int,
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "drawn",
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", dim])],
        [numpy_helper.from_array(array, name) for name, array in values.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
