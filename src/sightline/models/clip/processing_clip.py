"""CLIP's processor in the place that the reference gives it."""

from sightline.models.clip.processor import CLIPProcessor

__all__ = ["CLIPProcessor"]
