"""CLIP's configs. Defaults are ViT-B/32's, as the reference has them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from sightline.models.clip.open_clip import from_open_clip
from sightline.models.config import PairConfig
from sightline.models.shared_configs import SharedTextConfig, SharedVisionConfig


@dataclass(frozen=True, kw_only=True)
class CLIPTextConfig(SharedTextConfig):
    """The text tower's settings."""

    model_type: ClassVar[str] = "clip_text_model"

    projection_dim: int = 512

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        return super().from_dict(CLIPConfig.tower(data, "text_config"))


@dataclass(frozen=True, kw_only=True)
class CLIPVisionConfig(SharedVisionConfig):
    """The vision tower's settings."""

    model_type: ClassVar[str] = "clip_vision_model"

    projection_dim: int = 512

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        return super().from_dict(CLIPConfig.tower(data, "vision_config"))


@dataclass(frozen=True, kw_only=True)
class CLIPConfig(PairConfig):
    """The whole model's settings. The towers' settings may be dictionaries."""

    model_type: ClassVar[str] = "clip"

    text_config: CLIPTextConfig = field(default_factory=CLIPTextConfig)
    vision_config: CLIPVisionConfig = field(default_factory=CLIPVisionConfig)
    projection_dim: int = 512
    logit_scale_init_value: float = 2.6592
    initializer_factor: float = 1.0

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        if "model_cfg" in data:
            data = from_open_clip(data["model_cfg"])
        return super().from_dict(data)
