"""The configs of any two towers, and of the text towers that no other family has."""

from collections.abc import Mapping
from typing import Any, ClassVar

from sightline.errors import CheckpointError
from sightline.models.config import Config
from sightline.models.families import TOWERS
from sightline.models.pair_config import PairConfig
from sightline.models.shared_configs import SharedBertConfig


class BertConfig(SharedBertConfig):
    """A BERT's settings."""

    model_type: ClassVar[str] = "bert"
    without_effect: ClassVar[frozenset[str]] = frozenset(
        {"use_cache", "classifier_dropout", "is_decoder", "add_cross_attention", "tie_word_embeddings"}
    )
    # The settings of heads that are not part of the tower.
    also_known: ClassVar[frozenset[str]] = frozenset(
        {"directionality", "pooler_fc_size", "pooler_num_attention_heads", "pooler_num_fc_layers"}
        | {"pooler_size_per_head", "pooler_type"}
    )

    use_cache: bool = True
    classifier_dropout: float | None = None
    is_decoder: bool = False
    add_cross_attention: bool = False
    tie_word_embeddings: bool = True

    def read(self, name: str, value: Any) -> Any:
        if name == "is_decoder" and value:
            raise CheckpointError(f"{self.model_type} config: is_decoder is set, but only encoders can be opened")
        return super().read(name, value)


class RobertaConfig(BertConfig):
    """A RoBERTa's settings. Positions in a text are counted from the number after `pad_token_id`."""

    model_type: ClassVar[str] = "roberta"

    vocab_size: int = 50265
    pad_token_id: int | None = 1
    bos_token_id: int | None = 0
    eos_token_id: int | None = 2

    def validate(self) -> None:
        super().validate()
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


class VisionTextDualEncoderConfig(PairConfig):
    """The whole model's settings. The towers' settings are configs of their kinds (`sightline.models.TOWERS`), or
    dictionaries whose `model_type` says the kind."""

    model_type: ClassVar[str] = "vision-text-dual-encoder"

    text_config: Config
    vision_config: Config
    projection_dim: int = 512
    logit_scale_init_value: float = 2.6592

    @classmethod
    def tower_class(cls, name: str, settings: Mapping[str, Any]) -> type[Config]:
        kind = settings.get("model_type", {"text_config": "bert", "vision_config": "vit"}[name])  # the reference's
        if not settings and name == "vision_config":
            kind = "clip_vision_model"
        return TOWERS[cls._known(name, kind)].config

    def read(self, name: str, value: Any) -> Any:
        value = super().read(name, value)
        if isinstance(value, Config):
            self._known(name, value.model_type)
        return value

    @classmethod
    def _known(cls, name: str, kind: Any) -> str:
        """The kind. Raises `CheckpointError` for one that cannot be opened."""
        if kind not in (known := [k for k, tower in TOWERS.items() if tower.part == name]):
            raise CheckpointError(
                f"{cls.model_type} config: {name} is of the kind {kind!r}, which cannot be opened; "
                f"only {', '.join(known)}"
            )
        return str(kind)
