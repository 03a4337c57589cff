"""Exports in ONNX Runtime."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sightline.encoder.engines.exports import Compute, ExportEngine, imported
from sightline.encoder.source import Vectors
from sightline.errors import UsageError

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "mps": "CoreMLExecutionProvider",
    "xpu": "OpenVINOExecutionProvider",
}
"""What computes, as ONNX Runtime names it, by the kind of device."""
_ERRORS = 3
"""The log's level: the others are of no use to a user, and errors are raised, too."""


class OnnxEngine(ExportEngine):
    """Float32 sums on a processor depend neither on the size of a batch nor on the number of threads: products are
    split by rows and columns alone."""

    name: ClassVar[str] = "onnx"

    @staticmethod
    def import_library() -> Any:
        return imported("onnxruntime", "onnx")

    def pick_device(self, device: str) -> str:
        there = self.library.get_available_providers()
        names = [kind for kind, provider in PROVIDERS.items() if provider in there]
        if device == "auto":
            return "cuda" if "cuda" in names else "cpu"
        if device.partition(":")[0] not in names:
            gpu = "; for an NVIDIA GPU install onnxruntime-gpu in its place" if device.startswith("cuda") else ""
            raise UsageError(
                f"no device {device!r} in the ONNX Runtime that is installed, which has {', '.join(names)}{gpu}"
            )
        return device

    def compile(self, path: Path, cores: int, is_beside_others: bool) -> Compute:
        options = self.library.SessionOptions()
        options.log_severity_level = _ERRORS
        options.intra_op_num_threads = 1 if is_beside_others else cores
        if not is_beside_others:
            # Weights that are packed anew for the processor pay for many batches; for a few they cost more time than
            # they save, and a second copy in memory.
            options.add_session_config_entry("session.disable_prepacking", "1")
        kind, _, number = self.device.partition(":")
        if kind == "cuda" and hasattr(self.library, "preload_dlls"):
            self.library.preload_dlls()  # from NVIDIA's packages, which torch would have loaded
        provider = PROVIDERS[kind], {"device_id": number} if number else {}
        providers = dict([provider, (PROVIDERS["cpu"], {})])  # the processor computes what another device cannot
        session = self.library.InferenceSession(path, options, providers=list(providers.items()))
        if session.get_providers()[0] != PROVIDERS[kind]:
            raise UsageError(
                f"the device {self.device!r} does not work with ONNX Runtime: are its driver and libraries installed? "
                "--device cpu works everywhere"
            )
        names = {given.name for given in session.get_inputs()}

        def compute(inputs: dict[str, NDArray[Any]]) -> Vectors:
            (embeddings,) = session.run(None, {name: array for name, array in inputs.items() if name in names})
            return np.asarray(embeddings, np.float32)

        return compute
