"""Configs that the towers of several families share, without torch."""

from collections.abc import Mapping
from typing import Any, ClassVar

from sightline.errors import CheckpointError
from sightline.models.config import Config
from sightline.models.settings import check_heads


class SharedTextConfig(Config):
    """The settings of `nn.text.TextTransformer`. Defaults are those of CLIP ViT-B/32, as the reference has them."""

    base_config_key: ClassVar[str] = "text_config"

    vocab_size: int = 49408
    hidden_size: int = 512
    intermediate_size: int = 2048
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

    def validate(self) -> None:
        super().validate()
        check_heads(self.model_type, self.hidden_size, self.num_attention_heads)

    @property
    def max_tokens(self) -> int:
        """The largest number of tokens of a text."""
        return self.max_position_embeddings

    @property
    def pools_at_highest(self) -> bool:
        """Whether a text ends, for the model, at its highest id, and not at `eos_token_id`."""
        return self.eos_token_id == 2


class SharedVisionConfig(Config):
    """The settings of a vision transformer. Defaults are those of CLIP ViT-B/32, as the reference has them.

    `image_size` and `patch_size` in pixels.
    """

    base_config_key: ClassVar[str] = "vision_config"

    hidden_size: int = 768
    intermediate_size: int = 3072
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

    def validate(self) -> None:
        super().validate()
        check_heads(self.model_type, self.hidden_size, self.num_attention_heads)
        if self.patch_size > self.image_size:
            raise CheckpointError(f"{self.model_type} config: patch_size {self.patch_size} of {self.image_size}")


class SharedBertConfig(Config):
    """The settings of `nn.bert.BertTransformer`. Defaults are BERT base's (Devlin et al., 2019, section 3), as the
    reference has them."""

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    pad_token_id: int | None = 0
    bos_token_id: int | None = None
    eos_token_id: int | None = None

    def validate(self) -> None:
        super().validate()
        check_heads(self.model_type, self.hidden_size, self.num_attention_heads)
        pad = self.pad_token_id
        if pad is not None and (type(pad) is not int or not 0 <= pad < self.vocab_size):
            raise CheckpointError(f"{self.model_type} config: pad_token_id is {pad!r}, vocab_size {self.vocab_size}")

    @property
    def attention_dropout(self) -> float:
        """`attention_probs_dropout_prob`, by the name that blocks read."""
        return self.attention_probs_dropout_prob

    @property
    def max_tokens(self) -> int:
        """The largest number of tokens of a text."""
        return self.max_position_embeddings

    @classmethod
    def modern(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        found = super().modern(settings)
        # Files from before release 5 name the kind of positions; only this one can be opened.
        if (kind := found.pop("position_embedding_type", "absolute")) != "absolute":
            raise CheckpointError(f"{cls.model_type} config: positions of the kind {kind!r}, not 'absolute'")
        return found
