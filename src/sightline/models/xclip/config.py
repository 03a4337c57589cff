"""X-CLIP's configs. Defaults are those of the reference: ViT-B/32, 8 frames."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from sightline.errors import CheckpointError
from sightline.models.config import PairConfig, check_heads
from sightline.models.shared_configs import SharedTextConfig, SharedVisionConfig


@dataclass(frozen=True, kw_only=True)
class XCLIPTextConfig(SharedTextConfig):
    """The text tower's settings. Texts are pooled at the highest id, whatever `eos_token_id` says."""

    model_type: ClassVar[str] = "xclip_text_model"

    bos_token_id: int | None = 0
    eos_token_id: int = 2

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        return super().from_dict(XCLIPConfig.tower(data, "text_config"))

    @property
    def pools_at_highest(self) -> bool:
        return True


@dataclass(frozen=True, kw_only=True)
class XCLIPVisionConfig(SharedVisionConfig):
    """The vision tower's settings; `mit_*`: of the transformer over the `num_frames` frames."""

    model_type: ClassVar[str] = "xclip_vision_model"

    mit_hidden_size: int = 512
    mit_intermediate_size: int = 2048
    mit_num_hidden_layers: int = 1
    mit_num_attention_heads: int = 8
    num_frames: int = 8
    drop_path_rate: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_heads(f"{self.model_type} mit", self.mit_hidden_size, self.mit_num_attention_heads)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        return super().from_dict(XCLIPConfig.tower(data, "vision_config"))

    @property
    def mit(self) -> Self:
        """The settings of the transformer over frames, which shares activation, norms and dropout with the tower."""
        return dataclasses.replace(
            self,
            hidden_size=self.mit_hidden_size,
            intermediate_size=self.mit_intermediate_size,
            num_hidden_layers=self.mit_num_hidden_layers,
            num_attention_heads=self.mit_num_attention_heads,
        )


@dataclass(frozen=True, kw_only=True)
class XCLIPConfig(PairConfig):
    """The whole model's settings. The towers' settings may be dictionaries."""

    model_type: ClassVar[str] = "xclip"

    text_config: XCLIPTextConfig = field(default_factory=XCLIPTextConfig)
    vision_config: XCLIPVisionConfig = field(default_factory=XCLIPVisionConfig)
    projection_dim: int = 512
    prompt_layers: int = 2
    prompt_alpha: float = 0.1
    prompt_hidden_act: str = "quick_gelu"
    prompt_num_attention_heads: int = 8
    prompt_attention_dropout: float = 0.0
    prompt_projection_dropout: float = 0.0
    logit_scale_init_value: float = 2.6592
    initializer_factor: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_heads(f"{self.model_type} prompt", self.projection_dim, self.prompt_num_attention_heads)
        if self.vision_config.mit_hidden_size != self.projection_dim:
            raise CheckpointError(
                f"{self.model_type} config: mit_hidden_size {self.vision_config.mit_hidden_size} and "
                f"projection_dim {self.projection_dim} must be one number"
            )

    @property
    def rescoring_rows(self) -> int:
        return (self.vision_config.image_size // self.vision_config.patch_size) ** 2
