"""The processor of two towers in the place that the reference gives it."""

from sightline.models.dual.processor import VisionTextDualEncoderProcessor

__all__ = [
    "VisionTextDualEncoderProcessor",
]
