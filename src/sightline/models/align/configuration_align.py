"""ALIGN's configs in the place that the reference gives them."""

from sightline.models.align.config import AlignConfig, AlignTextConfig, AlignVisionConfig

__all__ = [
    "AlignConfig",
    "AlignTextConfig",
    "AlignVisionConfig",
]
