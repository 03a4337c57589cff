"""CLIP's configs. Defaults are ViT-B/32's, as the reference has them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from sightline.errors import CheckpointError
from sightline.models.clip.open_clip import from_open_clip
from sightline.models.config import Config


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
        _check_heads(self.model_type, self.hidden_size, self.num_attention_heads)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        return super().from_dict(_tower(data, "text_config"))


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
        _check_heads(self.model_type, self.hidden_size, self.num_attention_heads)
        if self.patch_size > self.image_size:
            raise CheckpointError(f"{self.model_type} config: patch_size {self.patch_size} of {self.image_size}")

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        return super().from_dict(_tower(data, "vision_config"))


@dataclass(frozen=True, kw_only=True)
class CLIPConfig(Config):
    """The whole model's settings. The towers' may be given as dictionaries."""

    model_type: ClassVar[str] = "clip"

    text_config: CLIPTextConfig = field(default_factory=CLIPTextConfig)
    vision_config: CLIPVisionConfig = field(default_factory=CLIPVisionConfig)
    projection_dim: int = 512
    logit_scale_init_value: float = 2.6592
    initializer_factor: float = 1.0

    def __post_init__(self) -> None:
        for name, kind in (("text_config", CLIPTextConfig), ("vision_config", CLIPVisionConfig)):
            value = getattr(self, name)
            if isinstance(value, Mapping):
                object.__setattr__(self, name, kind.from_dict(value))
            elif not isinstance(value, kind):
                raise CheckpointError(f"clip config: {name} is {type(value).__name__}, expected {kind.__name__}")
        super().__post_init__()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        if "model_cfg" in data:
            data = from_open_clip(data["model_cfg"])
        for name in ("text_config", "vision_config", "text_config_dict", "vision_config_dict"):
            if not isinstance(data.get(name) or {}, Mapping):
                raise CheckpointError(f"clip config: {name} is {data[name]!r}, expected an object")
        towers = {
            # Files before release 4.23 keep a second copy, which wins where the two differ.
            name: {**(data.get(name) or {}), **(data.get(f"{name}_dict") or {})}
            for name in ("text_config", "vision_config")
        }
        rest = {key: value for key, value in data.items() if not key.endswith("_config_dict")}
        return super().from_dict(rest | towers)


def _tower(data: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    """A tower's own settings out of its config or out of the whole model's, whose projection width counts."""
    if data.get("model_type") == "clip" or part in data or "model_cfg" in data:
        whole = CLIPConfig.from_dict(data)
        tower: Config = getattr(whole, part)
        return tower.to_dict() | {"projection_dim": whole.projection_dim}
    return data


def _check_heads(model_type: str, width: int, heads: int) -> None:
    if width % heads:
        raise CheckpointError(f"{model_type} config: hidden_size {width} is no multiple of {heads} heads")
