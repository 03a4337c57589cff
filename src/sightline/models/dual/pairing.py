"""Two towers of two checkpoints become a model and its processor."""

from pathlib import Path

from sightline.models.dual.model import VisionTextDualEncoderModel
from sightline.models.dual.processor import VisionTextDualEncoderProcessor


def from_towers(
    image: str | Path, text: str | Path
) -> tuple[VisionTextDualEncoderModel, VisionTextDualEncoderProcessor]:
    """The image tower of `image` and the text tower of `text`, in float32. Raises `CheckpointError`."""
    return (
        VisionTextDualEncoderModel.from_towers(image, text),
        VisionTextDualEncoderProcessor.from_towers(image, text),
    )
