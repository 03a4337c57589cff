"""ALIGN's configs. Defaults are EfficientNet-B7's and BERT base's, as the reference has them."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from sightline.errors import CheckpointError
from sightline.models.config import Config
from sightline.models.pair_config import PairConfig
from sightline.models.shared_configs import SharedBertConfig

_STAGES = ("kernel_sizes", "in_channels", "out_channels", "strides", "num_block_repeats", "expand_ratios")
_MOST = {"kernel_sizes": 31, "strides": 2, "num_block_repeats": 1 << 10}


class AlignTextConfig(SharedBertConfig):
    """The text tower's settings: BERT's."""

    model_type: ClassVar[str] = "align_text_model"
    base_config_key: ClassVar[str] = "text_config"

    @classmethod
    def own(cls, data: Mapping[str, Any]) -> Mapping[str, Any]:
        return super().own(AlignConfig.tower(data, "text_config"))


class AlignVisionConfig(Config):
    """The vision tower's settings: EfficientNet's. The lists have an entry for each of its stages.

    `depthwise_padding` are the numbers of blocks that are padded alike on all sides although they stride.
    `hidden_dim` and `image_size`, which is in pixels, are kept for the file; no layer depends on them.
    """

    model_type: ClassVar[str] = "align_vision_model"
    base_config_key: ClassVar[str] = "vision_config"

    num_channels: int = 3
    image_size: int = 600
    width_coefficient: float = 2.0
    depth_coefficient: float = 3.1
    depth_divisor: int = 8
    kernel_sizes: list[int] | tuple[int, ...] = (3, 3, 5, 3, 5, 5, 3)
    in_channels: list[int] | tuple[int, ...] = (32, 16, 24, 40, 80, 112, 192)
    out_channels: list[int] | tuple[int, ...] = (16, 24, 40, 80, 112, 192, 320)
    depthwise_padding: list[int] | tuple[int, ...] = ()
    strides: list[int] | tuple[int, ...] = (1, 2, 2, 2, 1, 2, 1)
    num_block_repeats: list[int] | tuple[int, ...] = (1, 2, 2, 3, 3, 4, 1)
    expand_ratios: list[int] | tuple[int, ...] = (1, 6, 6, 6, 6, 6, 6)
    squeeze_expansion_ratio: float = 0.25
    hidden_act: str = "swish"
    hidden_dim: int = 2560
    pooling_type: str = "mean"
    initializer_range: float = 0.02
    batch_norm_eps: float = 0.001
    batch_norm_momentum: float = 0.99
    drop_connect_rate: float = 0.2

    def read(self, name: str, value: Any) -> Any:
        return self._numbers(name, value) if name in (*_STAGES, "depthwise_padding") else super().read(name, value)

    def validate(self) -> None:
        super().validate()
        if self.pooling_type not in ("mean", "max"):
            raise CheckpointError(f"{self.model_type} config: pooling_type is {self.pooling_type!r}, not mean or max")
        if len({len(getattr(self, name)) for name in _STAGES}) > 1 or not self.strides:
            raise CheckpointError(f"{self.model_type} config: {', '.join(_STAGES)} differ in length")
        for name in ("width_coefficient", "depth_coefficient", "squeeze_expansion_ratio"):
            if not 0 < getattr(self, name) <= 1 << 10:
                raise CheckpointError(
                    f"{self.model_type} config: {name} is {getattr(self, name)!r}, expected 0 to 1024"
                )
        for out, taken in zip((32, *self.out_channels), self.in_channels, strict=False):  # the stem has 32
            if self.channels(out) != self.channels(taken):
                raise CheckpointError(
                    f"{self.model_type} config: a stage takes {taken} channels, but the one before returns {out}"
                )
        if (blocks := self.num_hidden_layers) > 1 << 10:
            raise CheckpointError(f"{self.model_type} config: {blocks} blocks, expected 1 to 1024")

    @classmethod
    def own(cls, data: Mapping[str, Any]) -> Mapping[str, Any]:
        return super().own(AlignConfig.tower(data, "vision_config"))

    @classmethod
    def modern(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        # The number of blocks follows from the others; files of different ages count differently.
        return {name: value for name, value in super().modern(settings).items() if name != "num_hidden_layers"}

    def to_dict(self) -> dict[str, Any]:
        return super().to_dict() | {"num_hidden_layers": self.num_hidden_layers}

    @property
    def num_hidden_layers(self) -> int:
        """The number of blocks."""
        return sum(map(self.repeats, self.num_block_repeats))

    def _numbers(self, name: str, value: Any) -> list[int]:
        least, most = int(name in _STAGES), _MOST.get(name, 1 << 24)
        if not isinstance(value, list | tuple) or any(type(n) is not int or not least <= n <= most for n in value):
            raise CheckpointError(
                f"{self.model_type} config: {name} is {value!r}, expected numbers of {least} to {most}"
            )
        return list(value)

    def channels(self, base: int) -> int:
        """`base` channels widened: to a multiple of the divisor, at most a tenth below (Tan & Le, 2019)."""
        wide, unit = base * self.width_coefficient, self.depth_divisor
        rounded = max(unit, int(wide + unit / 2) // unit * unit)
        return rounded + unit if rounded < 0.9 * wide else rounded

    def repeats(self, base: int) -> int:
        """`base` blocks deepened."""
        return math.ceil(base * self.depth_coefficient)

    @property
    def width(self) -> int:
        """The width of the pooled features."""
        return self.channels(self.out_channels[-1])


class AlignConfig(PairConfig):
    """The whole model's settings. The towers' settings may be dictionaries."""

    model_type: ClassVar[str] = "align"

    text_config: AlignTextConfig
    vision_config: AlignVisionConfig
    projection_dim: int = 640
    temperature_init_value: float = 1.0
    initializer_range: float = 0.02

    @property
    def image_side(self) -> int | None:
        return None  # convolutions

    @property
    def image_rows(self) -> int:
        """As many as patches of 14 pixels, at most 20 x 20: two such images' first features fill a core's cache."""
        return min(self.vision_config.image_size // 14 + 1, 20) ** 2

    def validate(self) -> None:
        super().validate()
        if self.projection_dim != self.vision_config.width:
            raise CheckpointError(
                f"{self.model_type} config: projection_dim is {self.projection_dim}, but images' features, which are "
                f"not projected, are {self.vision_config.width} wide"
            )
