"""CLIP's configs. Defaults are ViT-B/32's, as the reference has them."""

from collections.abc import Mapping
from typing import Any, ClassVar

from sightline.models.clip.open_clip import from_open_clip
from sightline.models.pair_config import PairConfig
from sightline.models.shared_configs import SharedTextConfig, SharedVisionConfig


class CLIPTextConfig(SharedTextConfig):
    """The text tower's settings."""

    model_type: ClassVar[str] = "clip_text_model"

    projection_dim: int = 512

    @classmethod
    def own(cls, data: Mapping[str, Any]) -> Mapping[str, Any]:
        return super().own(CLIPConfig.tower(data, "text_config"))


class CLIPVisionConfig(SharedVisionConfig):
    """The vision tower's settings."""

    model_type: ClassVar[str] = "clip_vision_model"

    projection_dim: int = 512

    @classmethod
    def own(cls, data: Mapping[str, Any]) -> Mapping[str, Any]:
        return super().own(CLIPConfig.tower(data, "vision_config"))


class CLIPConfig(PairConfig):
    """The whole model's settings. The towers' settings may be dictionaries."""

    model_type: ClassVar[str] = "clip"

    text_config: CLIPTextConfig
    vision_config: CLIPVisionConfig
    projection_dim: int = 512
    logit_scale_init_value: float = 2.6592
    initializer_factor: float = 1.0

    @classmethod
    def own(cls, data: Mapping[str, Any]) -> Mapping[str, Any]:
        return super().own(from_open_clip(data["model_cfg"]) if "model_cfg" in data else data)
