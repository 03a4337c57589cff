"""The configs of any two towers, and of the text towers that no other family has."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from sightline.errors import CheckpointError
from sightline.models.config import Config, PairConfig
from sightline.models.families import TOWERS
from sightline.models.shared_configs import SharedBertConfig


@dataclass(frozen=True, kw_only=True)
class BertConfig(SharedBertConfig):
    """A BERT's settings."""

    model_type: ClassVar[str] = "bert"

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        if data.get("is_decoder"):
            raise CheckpointError(f"{cls.model_type} config: is_decoder is set, but only encoders can be opened")
        # The settings of heads that are not part of the tower.
        head = ("classifier_dropout", "directionality", "pooler_")
        return super().from_dict({key: value for key, value in data.items() if not key.startswith(head)})


@dataclass(frozen=True, kw_only=True)
class RobertaConfig(BertConfig):
    """A RoBERTa's settings. Positions in a text are counted from the number after `pad_token_id`."""

    model_type: ClassVar[str] = "roberta"

    vocab_size: int = 50265
    pad_token_id: int | None = 1
    bos_token_id: int | None = 0
    eos_token_id: int | None = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_tokens < 1:
            raise CheckpointError(
                f"{self.model_type} config: max_position_embeddings {self.max_position_embeddings} leaves no place "
                f"after the {self.padding + 1} of padding"
            )

    @property
    def padding(self) -> int:
        """`pad_token_id`, which the positions are counted from. Raises `CheckpointError` if it is None."""
        if self.pad_token_id is None:
            raise CheckpointError(f"{self.model_type} config: pad_token_id is None, expected a number")
        return self.pad_token_id

    @property
    def max_tokens(self) -> int:
        return self.max_position_embeddings - self.padding - 1


@dataclass(frozen=True, kw_only=True)
class VisionTextDualEncoderConfig(PairConfig):
    """The whole model's settings. The towers' settings are configs of their kinds (`sightline.models.TOWERS`), or
    dictionaries whose `model_type` says the kind."""

    model_type: ClassVar[str] = "vision-text-dual-encoder"

    text_config: Config = field(default_factory=BertConfig)
    vision_config: Config = field(default_factory=lambda: TOWERS["clip_vision_model"].config())
    projection_dim: int = 512
    logit_scale_init_value: float = 2.6592

    def __post_init__(self) -> None:
        for name, default in (("text_config", "bert"), ("vision_config", "vit")):  # the reference's
            value = getattr(self, name)
            kind = value.get("model_type", default) if isinstance(value, Mapping) else value.model_type
            if kind not in (known := [k for k, tower in TOWERS.items() if tower.part == name]):
                raise CheckpointError(
                    f"{self.model_type} config: {name} is of the kind {kind!r}, which cannot be opened; "
                    f"only {', '.join(known)}"
                )
            if isinstance(value, Mapping):
                object.__setattr__(self, name, TOWERS[kind].config.from_dict(value))
        super().__post_init__()
