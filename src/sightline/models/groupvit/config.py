"""GroupViT's configs. Defaults are groupvit-gcc-yfcc's, as the reference has them."""

from collections.abc import Mapping
from typing import Any, ClassVar

from sightline.errors import CheckpointError
from sightline.models.pair_config import PairConfig
from sightline.models.shared_configs import SharedTextConfig, SharedVisionConfig

_LEAST = {"depths": 1, "num_group_tokens": 0, "num_output_groups": 0}
"""Settings with a number for each stage, and the least number."""


class GroupViTTextConfig(SharedTextConfig):
    """The text tower's settings."""

    model_type: ClassVar[str] = "groupvit_text_model"
    without_effect: ClassVar[frozenset[str]] = frozenset({"dropout"})

    hidden_size: int = 256
    intermediate_size: int = 1024
    num_attention_heads: int = 4
    dropout: float = 0.0

    @classmethod
    def own(cls, data: Mapping[str, Any]) -> Mapping[str, Any]:
        return super().own(GroupViTConfig.tower(data, "text_config"))


class GroupViTVisionConfig(SharedVisionConfig):
    """The vision tower's settings, `depths`, `num_group_tokens` and `num_output_groups` one number a stage.

    A stage with group tokens ends in a grouping: its tokens become `num_output_groups` groups. `assign_mlp_ratio` are
    the widths of a grouping's two MLPs (over tokens, over channels) as multiples of `hidden_size`.
    """

    model_type: ClassVar[str] = "groupvit_vision_model"

    hidden_size: int = 384
    intermediate_size: int = 1536
    depths: list[int] | tuple[int, ...] = (6, 3, 3)
    num_group_tokens: list[int] | tuple[int, ...] = (64, 8, 0)
    num_output_groups: list[int] | tuple[int, ...] = (64, 8, 8)
    num_attention_heads: int = 6
    patch_size: int = 16
    hidden_act: str = "gelu"
    dropout: float = 0.0
    assign_eps: float = 1.0
    assign_mlp_ratio: list[float] | tuple[float, ...] = (0.5, 4.0)

    def read(self, name: str, value: Any) -> Any:
        if name in _LEAST or name == "assign_mlp_ratio":
            return self._numbers(name, value)
        return super().read(name, value)

    def validate(self) -> None:
        super().validate()
        for name, least in _LEAST.items():
            if not 0 < len(getattr(self, name)) == len(self.depths):
                self._refuse(name, f"one number for each of {len(self.depths)} stages, {least} or more")
        if any(part * self.hidden_size > 1 << 24 for part in self.assign_mlp_ratio):
            self._refuse("assign_mlp_ratio", "two numbers above 0")
        for stage, (tokens, groups) in enumerate(zip(self.num_group_tokens, self.num_output_groups, strict=True)):
            if tokens and not groups:
                self._refuse("num_output_groups", f"1 or more in stage {stage}, which has {tokens} group tokens")
            # A stage's group tokens are mixed into the next one's by a map that counts its output groups.
            if groups != tokens and any(self.num_group_tokens[stage + 1 : stage + 2]):
                self._refuse("num_output_groups", f"{tokens} in stage {stage}, as many as its group tokens")

    def _numbers(self, name: str, value: Any) -> list[Any]:
        kind, least = (int, _LEAST[name]) if name in _LEAST else ((int, float), 0)
        if not isinstance(value, list | tuple) or not all(isinstance(n, kind) for n in value):
            self._refuse(name, "a list of numbers", value)
        if name in _LEAST and not all(least <= n <= 1 << 12 for n in value):
            self._refuse(name, f"numbers of {least} to {1 << 12}", value)
        if name not in _LEAST and not (len(value) == 2 and all(0 < n <= 1 << 24 for n in value)):
            self._refuse(name, "two numbers above 0", value)
        return list(value)

    def _refuse(self, name: str, expected: str, value: Any = None) -> None:
        held = getattr(self, name) if value is None else value
        raise CheckpointError(f"{self.model_type} config: {name} is {held!r}, expected {expected}")

    @classmethod
    def own(cls, data: Mapping[str, Any]) -> Mapping[str, Any]:
        return super().own(GroupViTConfig.tower(data, "vision_config"))


class GroupViTConfig(PairConfig):
    """The whole model's settings. The towers' settings may be dictionaries."""

    model_type: ClassVar[str] = "groupvit"

    text_config: GroupViTTextConfig
    vision_config: GroupViTVisionConfig
    projection_dim: int = 256
    projection_intermediate_dim: int = 4096
    logit_scale_init_value: float = 2.6592
    initializer_range: float = 0.02
    initializer_factor: float = 1.0
    output_segmentation: bool = False

    @property
    def image_rows(self) -> int:
        """Patches and group tokens of the first stage, which does most of the work, as rows of a ViT-B's width: for
        products half as wide a batch takes twice as many."""
        vision = self.vision_config
        tokens = (vision.image_size // vision.patch_size) ** 2 + vision.num_group_tokens[0]
        return max(1, tokens * vision.hidden_size // 768)

    @property
    def regions(self) -> tuple[int, int, int] | None:
        vision = self.vision_config
        side = vision.image_size // vision.patch_size
        groups = [n for n, tokens in zip(vision.num_output_groups, vision.num_group_tokens, strict=True) if tokens]
        return (groups[-1], side, side) if groups else None
