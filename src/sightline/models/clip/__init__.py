"""CLIP (Radford et al., 2021)."""

from sightline.models import Family
from sightline.models.clip.config import CLIPConfig, CLIPTextConfig, CLIPVisionConfig
from sightline.models.clip.model import CLIPModel, CLIPOutput
from sightline.models.clip.text import CLIPTextModel, CLIPTextModelOutput, CLIPTextModelWithProjection
from sightline.models.clip.vision import CLIPVisionModel, CLIPVisionModelOutput, CLIPVisionModelWithProjection

FAMILY = Family(CLIPConfig, CLIPModel, CLIPTextModelWithProjection, CLIPVisionModelWithProjection)

__all__ = [
    "FAMILY",
    "CLIPConfig",
    "CLIPModel",
    "CLIPOutput",
    "CLIPTextConfig",
    "CLIPTextModel",
    "CLIPTextModelOutput",
    "CLIPTextModelWithProjection",
    "CLIPVisionConfig",
    "CLIPVisionModel",
    "CLIPVisionModelOutput",
    "CLIPVisionModelWithProjection",
]
