"""CLIP (Radford et al., 2021)."""

from sightline.models.clip.config import CLIPConfig, CLIPTextConfig, CLIPVisionConfig
from sightline.models.clip.model import CLIPModel, CLIPOutput
from sightline.models.clip.text import CLIPTextModel, CLIPTextModelWithProjection
from sightline.models.clip.vision import CLIPVisionModel, CLIPVisionModelWithProjection

__all__ = [
    "CLIPConfig",
    "CLIPModel",
    "CLIPOutput",
    "CLIPTextConfig",
    "CLIPTextModel",
    "CLIPTextModelWithProjection",
    "CLIPVisionConfig",
    "CLIPVisionModel",
    "CLIPVisionModelWithProjection",
]
