"""CLIP's configs. Defaults are ViT-B/32's, as the reference has them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from sightline.errors import CheckpointError
from sightline.models.clip.open_clip import from_open_clip
from sightline.models.config import Config, PairConfig, check_heads


@dataclass(frozen=True, kw_only=True)
class CLIPTextConfig(Config):
    """The text tower's settings."""

    model_type: ClassVar[str] = "clip_text_model"

    vocab_size: int = 49408
    hidden_size: int = 512
    intermediate_size: int = 2048
    projection_dim: int = 512
    num_hidden_layers: int = 12
    num_attention_heads: int = 8
    max_position_embeddings: int = 77
    hidden_act: str = "quick_gelu"
    layer_norm_eps: float = 1e-5
    attention_dropout: float = 0.0
    initializer_range: float = 0.02
    initializer_factor: float = 1.0
    pad_token_id: int | None = 1
    bos_token_id: int | None = 49406
    eos_token_id: int = 49407

    def __post_init__(self) -> None:
        super().__post_init__()
        check_heads(self.model_type, self.hidden_size, self.num_attention_heads)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        return super().from_dict(CLIPConfig.tower(data, "text_config"))


@dataclass(frozen=True, kw_only=True)
class CLIPVisionConfig(Config):
    """The vision tower's settings. `image_size` and `patch_size` in pixels."""

    model_type: ClassVar[str] = "clip_vision_model"

    hidden_size: int = 768
    intermediate_size: int = 3072
    projection_dim: int = 512
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    num_channels: int = 3
    image_size: int = 224
    patch_size: int = 32
    hidden_act: str = "quick_gelu"
    layer_norm_eps: float = 1e-5
    attention_dropout: float = 0.0
    initializer_range: float = 0.02
    initializer_factor: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_heads(self.model_type, self.hidden_size, self.num_attention_heads)
        if self.patch_size > self.image_size:
            raise CheckpointError(f"{self.model_type} config: patch_size {self.patch_size} of {self.image_size}")

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        return super().from_dict(CLIPConfig.tower(data, "vision_config"))


@dataclass(frozen=True, kw_only=True)
class CLIPConfig(PairConfig):
    """The whole model's settings. The towers' may be given as dictionaries."""

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
