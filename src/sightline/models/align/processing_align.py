"""ALIGN's processor in the place that the reference gives it."""

from sightline.models.align.processor import AlignProcessor

__all__ = [
    "AlignProcessor",
]
