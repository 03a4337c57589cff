"""The model of two towers in the place that the reference gives it."""

from sightline.models.dual.model import VisionTextDualEncoderModel

__all__ = [
    "VisionTextDualEncoderModel",
]
