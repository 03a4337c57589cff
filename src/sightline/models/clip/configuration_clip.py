"""CLIP's configs in the place that the reference gives them."""

from sightline.models.clip.config import CLIPConfig, CLIPTextConfig, CLIPVisionConfig

__all__ = ["CLIPConfig", "CLIPTextConfig", "CLIPVisionConfig"]
