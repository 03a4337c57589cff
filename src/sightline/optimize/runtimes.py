"""An exported file in its engine, for the comparison with torch."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sightline.distribution import install
from sightline.encoder.engines.openvino import OpenVinoEngine
from sightline.errors import UsageError
from sightline.optimize.quiet import quiet

Engine = Literal["onnx", "openvino"]
Run = Callable[[Mapping[str, Any]], NDArray[np.float32]]

PACKAGES = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "openvino": ("onnx", "onnxscript", "openvino")}
"""What an export needs: OpenVINO's files are made from ONNX's."""


def check_installed(engine: Engine, packages: tuple[str, ...] = ()) -> None:
    """Raises `UsageError` if a package that the export needs is missing."""
    from importlib.util import find_spec

    if missing := [name for name in (*PACKAGES[engine], *packages) if find_spec(name) is None]:
        extra = engine if engine == "onnx" else "onnx,openvino"
        raise UsageError(f"an export to {engine} needs {missing[0]}: {install(extra)}")


def open_run(engine: Engine, path: Path) -> Run:
    """The file's graph as a function of its inputs."""
    return _onnx(path) if engine == "onnx" else _openvino(path)


def _onnx(path: Path) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda inputs: session.run(None, dict(inputs))[0]


def _openvino(path: Path) -> Run:
    with quiet():
        core = OpenVinoEngine.import_library().Core()
        compiled = core.compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda inputs: compiled(dict(inputs))[0].copy()
