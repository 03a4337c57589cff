"""The config of two towers in the place that the reference gives it."""

from sightline.models.dual.config import VisionTextDualEncoderConfig

__all__ = [
    "VisionTextDualEncoderConfig",
]
