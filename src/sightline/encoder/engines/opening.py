"""Which engine computes a checkpoint's vectors."""

from typing import TYPE_CHECKING

from sightline.encoder.engines.engine import Engine
from sightline.encoder.source import EncoderSource

if TYPE_CHECKING:
    import torch


def open_engine(source: EncoderSource, device: "str | torch.device", precision: str) -> Engine:
    """Torch for a checkpoint, for an export the engine that it was made for. Raises `UsageError` for a device or a
    precision that the engine does not have, and where the engine is not installed."""
    if source.exported is None:
        from sightline.encoder.engines.pytorch import TorchEngine

        return TorchEngine(source, device, precision)
    if source.exported.engine == "onnx":
        from sightline.encoder.engines.onnx import OnnxEngine

        return OnnxEngine(source.exported, device, precision)
    from sightline.encoder.engines.openvino import OpenVinoEngine

    return OpenVinoEngine(source.exported, device, precision)
