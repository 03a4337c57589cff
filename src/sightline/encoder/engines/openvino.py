"""Exports in OpenVINO."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import local
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sightline.encoder.engines.exports import Compute, ExportEngine, imported
from sightline.encoder.precision import Precision
from sightline.encoder.source import Vectors
from sightline.errors import UsageError

KINDS = {"cpu": "CPU", "xpu": "GPU", "npu": "NPU"}
"""OpenVINO's names of kinds of devices, by ours."""


class OpenVinoEngine(ExportEngine):
    """A float32 export computes in bfloat16 where that is asked for and the processor has it."""

    name: ClassVar[str] = "openvino"

    @staticmethod
    def import_library() -> Any:
        with unreported():
            return imported("openvino", "openvino")

    def pick_device(self, device: str) -> str:
        there = self.library.Core().available_devices
        if device == "auto" or _named(device) in there:
            return "cpu" if device == "auto" else device
        names = [ours for ours, kind in KINDS.items() if any(name.partition(".")[0] == kind for name in there)]
        raise UsageError(f"no device {device!r} for OpenVINO here, which has {', '.join(names)}")

    def pick_precision(self, precision: str) -> Precision:
        if self.exported.precision == "float32" and precision == "bfloat16":
            able = self.library.Core().get_property(_named(self.device), "OPTIMIZATION_CAPABILITIES")
            if "BF16" in able:
                return "bfloat16"
            raise UsageError(f"OpenVINO has no bfloat16 on this {self.device}: leave the precision out")
        return super().pick_precision(precision)

    def compile(self, path: Path, cores: int, is_beside_others: bool) -> Compute:
        settings: dict[str, Any] = {
            # Without it OpenVINO computes in bfloat16 where the processor has it, whatever the export says.
            "INFERENCE_PRECISION_HINT": "bf16" if self.precision == "bfloat16" else "f32",
        }
        if self.is_on_processor:
            settings |= {"NUM_STREAMS": cores if is_beside_others else 1, "INFERENCE_NUM_THREADS": cores}
        compiled = self.library.Core().compile_model(path, _named(self.device), settings)
        names = {given.get_any_name() for given in compiled.inputs}
        mine = local()

        def compute(inputs: dict[str, NDArray[Any]]) -> Vectors:
            if not hasattr(mine, "request"):
                mine.request = compiled.create_infer_request()
            mine.request.infer({name: array for name, array in inputs.items() if name in names})
            return np.array(mine.request.get_output_tensor(0).data, np.float32)  # a copy: the next batch writes there

        return compute


@contextmanager
def unreported() -> Iterator[None]:
    """For importing OpenVINO and NNCF: they report their use to their makers, in a process that they fork, unless the
    package for that is missing, as it seems to be within."""
    reporter = sys.modules.get("openvino_telemetry")
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["openvino_telemetry"]
        if reporter is not None:
            sys.modules["openvino_telemetry"] = reporter


def _named(device: str) -> str:
    """OpenVINO's name of a device: "xpu:1" is "GPU.1"."""
    kind, _, number = device.partition(":")
    return KINDS.get(kind, kind.upper()) + (f".{number}" if number else "")
