"""An ONNX file to OpenVINO's two: the graph and, beside it, its weights."""

from pathlib import Path
from typing import Any

from sightline.encoder.engines.openvino import OpenVinoEngine
from sightline.optimize.quiet import quiet


def read_openvino(path: Path) -> Any:
    """OpenVINO's model from an ONNX file."""
    with quiet():
        return OpenVinoEngine.import_library().Core().read_model(str(path))


def write_openvino(model: Any, path: Path, half: bool) -> None:
    """The graph to `path` (.xml), its weights beside it (.bin), in `half` precision if asked for."""
    with quiet():
        OpenVinoEngine.import_library().save_model(model, str(path), compress_to_fp16=half)
