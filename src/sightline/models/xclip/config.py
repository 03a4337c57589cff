"""X-CLIP's configs. Defaults are those of the reference: ViT-B/32, 8 frames."""

import copy
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from sightline.errors import CheckpointError
from sightline.models.pair_config import PairConfig
from sightline.models.settings import check_heads
from sightline.models.shared_configs import SharedTextConfig, SharedVisionConfig

_OF_THE_MIT = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")


class XCLIPTextConfig(SharedTextConfig):
    """The text tower's settings. Texts are pooled at the highest id, whatever `eos_token_id` says."""

    model_type: ClassVar[str] = "xclip_text_model"

    bos_token_id: int | None = 0
    eos_token_id: int = 2

    @classmethod
    def own(cls, data: Mapping[str, Any]) -> Mapping[str, Any]:
        return super().own(XCLIPConfig.tower(data, "text_config"))

    @property
    def pools_at_highest(self) -> bool:
        return True


class XCLIPVisionConfig(SharedVisionConfig):
    """The vision tower's settings; `mit_*`: of the transformer over the `num_frames` frames."""

    model_type: ClassVar[str] = "xclip_vision_model"

    mit_hidden_size: int = 512
    mit_intermediate_size: int = 2048
    mit_num_hidden_layers: int = 1
    mit_num_attention_heads: int = 8
    num_frames: int = 8
    drop_path_rate: float = 0.0

    def validate(self) -> None:
        super().validate()
        check_heads(f"{self.model_type} mit", self.mit_hidden_size, self.mit_num_attention_heads)

    @classmethod
    def own(cls, data: Mapping[str, Any]) -> Mapping[str, Any]:
        return super().own(XCLIPConfig.tower(data, "vision_config"))

    @property
    def mit(self) -> Self:
        """The settings of the transformer over frames, which shares activation, norms and dropout with the tower."""
        mit = copy.copy(self)
        mit.update({name: getattr(self, f"mit_{name}") for name in _OF_THE_MIT})
        return mit


class XCLIPConfig(PairConfig):
    """The whole model's settings. The towers' settings may be dictionaries."""

    model_type: ClassVar[str] = "xclip"

    text_config: XCLIPTextConfig
    vision_config: XCLIPVisionConfig
    projection_dim: int = 512
    prompt_layers: int = 2
    prompt_alpha: float = 0.1
    prompt_hidden_act: str = "quick_gelu"
    prompt_num_attention_heads: int = 8
    prompt_attention_dropout: float = 0.0
    prompt_projection_dropout: float = 0.0
    logit_scale_init_value: float = 2.6592
    initializer_factor: float = 1.0

    def validate(self) -> None:
        super().validate()
        check_heads(f"{self.model_type} prompt", self.projection_dim, self.prompt_num_attention_heads)
        if self.vision_config.mit_hidden_size != self.projection_dim:
            raise CheckpointError(
                f"{self.model_type} config: mit_hidden_size {self.vision_config.mit_hidden_size} and "
                f"projection_dim {self.projection_dim} must be one number"
            )

    @property
    def frames(self) -> int:
        return self.vision_config.num_frames

    @property
    def takes_videos(self) -> bool:
        return True

    @property
    def image_rows(self) -> int:
        """Patches and class token of each frame. Only the attentions see the messages."""
        return self.frames * super().image_rows

    @property
    def rescoring_rows(self) -> int:
        return (self.vision_config.image_size // self.vision_config.patch_size) ** 2
