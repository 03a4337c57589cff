"""Configs: frozen dataclasses that read and write a checkpoint's `config.json`."""

import dataclasses
import math
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self, get_type_hints

from sightline.checkpoint.hub import resolve
from sightline.errors import CheckpointError
from sightline.files import read_checkpoint_json, write_json

# Keys in `config.json` files of all ages that no model here reads: the file's origin, and settings of text generation
# and classification that older releases of `transformers` wrote into every config.
_IGNORED = frozenset(
    """
    _attn_implementation _attn_implementation_autoset _commit_hash _name_or_path add_cross_attention
    architectures attn_implementation bad_words_ids begin_suppress_tokens chunk_size_feed_forward
    cross_attention_hidden_size decoder_start_token_id diversity_penalty do_sample dropout dtype early_stopping
    encoder_no_repeat_ngram_size exponential_decay_length_penalty finetuning_task forced_bos_token_id
    forced_eos_token_id gradient_checkpointing id2label is_decoder is_encoder_decoder label2id length_penalty
    max_length min_length model_type no_repeat_ngram_size num_beam_groups num_beams num_return_sequences
    output_attentions output_hidden_states output_scores prefix problem_type pruned_heads remove_invalid_values
    repetition_penalty return_dict return_dict_in_generate sep_token_id suppress_tokens task_specific_params
    temperature tf_legacy_loss tie_encoder_decoder tie_word_embeddings tokenizer_class top_k top_p torch_dtype
    torchscript transformers_version typical_p use_bfloat16 use_cache
    """.split()  # noqa: SIM905 (one name a line would fill a page)
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """A model's settings. Values are checked on construction: `CheckpointError` names what is wrong."""

    model_type: ClassVar[str]

    def __post_init__(self) -> None:
        for name, kind in get_type_hints(type(self)).items():
            value = getattr(self, name)
            if name.endswith(("image_size", "patch_size", "_token_id")) and _is_one(value):
                value = value[0]
                object.__setattr__(self, name, value)
            if kind is float and type(value) is int:
                value = float(value)
                object.__setattr__(self, name, value)
            elif kind in (int, float, str) and type(value) is not kind:
                raise CheckpointError(f"{self.model_type} config: {name} is {value!r}, expected {kind.__name__}")
            if kind is float and not math.isfinite(value):
                raise CheckpointError(f"{self.model_type} config: {name} is {value!r}, expected a finite number")
            if kind is float and "drop" in name and not 0 <= value < 1:  # the fraction that training leaves out
                raise CheckpointError(f"{self.model_type} config: {name} is {value!r}, not in [0, 1)")
            # Integers other than token ids are counts; a model of a billion layers would never be built.
            maximum = 1 << 10 if name.endswith("_layers") else 1 << 24
            if kind is int and not name.endswith("_id") and not 0 < value <= maximum:
                raise CheckpointError(f"{self.model_type} config: {name} is {value!r}, expected 1 to {maximum}")

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Reads a `config.json`'s object. A key that we don't know is a warning that names it."""
        if data.get("model_type", cls.model_type) != cls.model_type:
            raise CheckpointError(f"the config says model_type {data['model_type']!r}, not {cls.model_type!r}")
        if data.get("quantization_config"):
            raise CheckpointError(
                f"{cls.model_type} config: the weights were quantised (quantization_config); "
                "take the checkpoint that they were made of, in float32, float16 or bfloat16"
            )
        names = {f.name for f in dataclasses.fields(cls)}
        unknown = sorted(set(data) - names - _IGNORED)
        if unknown:
            warnings.warn(f"{cls.model_type} config: unknown keys {', '.join(unknown)}", stacklevel=2)
        return cls(**{key: value for key, value in data.items() if key in names})

    @classmethod
    def from_pretrained(cls, name_or_folder: str | os.PathLike[str], **where: Any) -> Self:
        """The config of a checkpoint; a tower's config also from a whole model's. `where`: `resolve`'s arguments."""
        path = resolve(name_or_folder, weights=False, **where)
        return cls.from_folder(path if path.is_dir() else path.parent)

    @classmethod
    def from_folder(cls, folder: Path) -> Self:
        """Reads `config.json` or, if it is missing, open_clip's file. Raises `CheckpointError`."""
        config, open_clip = folder / "config.json", folder / "open_clip_config.json"
        if not config.exists() and not open_clip.exists():
            raise CheckpointError(f"{folder.absolute()}: no config.json in it, so it is no checkpoint")
        return cls.from_dict(read_checkpoint_json(open_clip if open_clip.is_file() and not config.exists() else config))

    def to_dict(self) -> dict[str, Any]:
        """The contents of `config.json`: plain values, with `model_type`."""
        data: dict[str, Any] = {"model_type": self.model_type}
        for f in dataclasses.fields(self):
            value = getattr(self, f.name)
            data[f.name] = value.to_dict() if isinstance(value, Config) else value
        return data

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Writes `config.json` into `folder`."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        write_json(Path(folder) / "config.json", self.to_dict())


@dataclasses.dataclass(frozen=True, kw_only=True)
class PairConfig(Config):
    """A whole model's settings with those of its two towers, which may be dictionaries."""

    projection_dim: int

    @property
    def image_side(self) -> int | None:
        """Height and width in pixels of the images that the whole model takes; None for one that takes any."""
        side: int = self.vision_config.image_size  # type: ignore[attr-defined]
        return side

    @property
    def regions(self) -> tuple[int, int, int] | None:
        """How many regions an image falls into, and the rows and columns of its patches; None: no regions."""
        return None

    @property
    def rescoring_rows(self) -> int:
        """Rows of `projection_dim` numbers that exact scores need beside an item's vector; 0: the vector is enough."""
        return 0

    def __post_init__(self) -> None:
        for name, kind in _towers(type(self)).items():
            value = getattr(self, name)
            if isinstance(value, Mapping):
                object.__setattr__(self, name, kind.from_dict(value))
            elif not isinstance(value, kind):
                raise CheckpointError(
                    f"{self.model_type} config: {name} is {type(value).__name__}, expected {kind.__name__}"
                )
        super().__post_init__()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        towers = {}
        for name in _towers(cls):
            parts = [data.get(key) or {} for key in (name, f"{name}_dict")]
            for part in parts:
                if not isinstance(part, Mapping):
                    raise CheckpointError(f"{cls.model_type} config: {name} is {part!r}, expected an object")
            # Files before release 4.23 keep a second copy, which wins where the two differ.
            towers[name] = {**parts[0], **parts[1]}
        rest = {key: value for key, value in data.items() if not key.endswith("_config_dict")}
        return super().from_dict(rest | towers)

    @classmethod
    def tower(cls, data: Mapping[str, Any], part: str) -> Mapping[str, Any]:
        """A tower's settings from its config, or from the whole model's, whose projection width counts."""
        if data.get("model_type") == cls.model_type or part in data or "model_cfg" in data:
            whole = cls.from_dict(data)
            settings: dict[str, Any] = getattr(whole, part).to_dict()
            return settings | ({"projection_dim": whole.projection_dim} if "projection_dim" in settings else {})
        return data


def _towers(kind: type[PairConfig]) -> dict[str, type[Config]]:
    hints = get_type_hints(kind).items()
    return {name: hint for name, hint in hints if isinstance(hint, type) and issubclass(hint, Config)}


def _is_one(value: Any) -> bool:
    """Whether it is a list with one meaning: [224, 224] for a side, [49407] for a token."""
    return isinstance(value, list | tuple) and len(value) > 0 and all(item == value[0] for item in value)


def check_heads(model_type: str, width: int, heads: int) -> None:
    """Raises `CheckpointError` for a width that the heads cannot share evenly."""
    if width % heads:
        raise CheckpointError(f"{model_type} config: hidden_size {width} is no multiple of {heads} heads")
