"""The settings of a config class, and the check of one value. No torch."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar, get_origin, get_type_hints

from sightline.errors import CheckpointError

INT8 = "sightline_int8"
"""The `quant_method` of a checkpoint by `sightline optimize --to int8`: its weights are read as float32."""
GENERATION = frozenset(
    """
    bad_words_ids begin_suppress_tokens diversity_penalty do_sample early_stopping encoder_no_repeat_ngram_size
    exponential_decay_length_penalty forced_bos_token_id forced_eos_token_id length_penalty max_length min_length
    no_repeat_ngram_size num_beam_groups num_beams num_return_sequences output_scores remove_invalid_values
    repetition_penalty return_dict_in_generate suppress_tokens temperature top_k top_p typical_p
    """.split()  # noqa: SIM905 (one name a line would fill a page)
)
"""Settings of text generation, which older releases of `transformers` wrote into every config. They are dropped, as the
reference drops them, where they are no setting of the class."""
UNREAD = frozenset(
    """
    _attn_implementation _attn_implementation_autoset _commit_hash _name_or_path add_cross_attention attn_implementation
    cross_attention_hidden_size decoder_start_token_id dropout dtype finetuning_task gradient_checkpointing
    is_composition is_decoder model_type name_or_path num_labels prefix pruned_heads quantization_config sep_token_id
    task_specific_params
    tf_legacy_loss tie_encoder_decoder tie_word_embeddings tokenizer_class torch_dtype torchscript use_bfloat16
    use_cache
    """.split()  # noqa: SIM905
)
"""Further keys in `config.json` files of all ages that no model here reads."""
METHODS = ("bitsandbytes", "torchao")
"""What can have quantised the weights of a checkpoint that is opened."""
PROBLEMS = ("regression", "single_label_classification", "multi_label_classification")


def method_of(quantization: Mapping[str, Any]) -> str:
    """What a `quantization_config` says that weights were, or are to be, quantised by; old ones have flags alone."""
    if quantization.get("load_in_4bit") or quantization.get("load_in_8bit"):
        return "bitsandbytes"
    return str(getattr(method := quantization.get("quant_method"), "value", method))


def kinds_of(config: type) -> dict[str, Any]:
    """The names of a config class's settings with their types: what is annotated in it and above."""
    return {name: kind for name, kind in get_type_hints(config).items() if get_origin(kind) is not ClassVar}


def read_value(model_type: str, name: str, kind: Any, value: Any) -> Any:
    """A setting's value as configs hold it. Raises `CheckpointError` that names what is wrong."""

    def refuse(expected: str) -> CheckpointError:
        return CheckpointError(f"{model_type} config: {name} is {value!r}, {expected}")

    if name.endswith(("image_size", "patch_size", "_token_id")) and _is_one(value):
        value = value[0]
    if kind is float and type(value) is int:
        value = float(value)
    elif kind in (int, float, str, bool) and type(value) is not kind:
        raise refuse(f"expected {kind.__name__}")
    if kind is float and not math.isfinite(value):
        raise refuse("expected a finite number")
    if kind is float and "drop" in name and not 0 <= value < 1:  # the fraction that training leaves out
        raise refuse("not in [0, 1)")
    # Integers other than token ids are counts; a model of a billion layers would never be built.
    least, most = int(name != "chunk_size_feed_forward"), 1 << 10 if name.endswith("_layers") else 1 << 24
    if kind is int and not name.endswith("_id") and not least <= value <= most:
        raise refuse(f"expected {least} to {most}")
    if name == "id2label" and value is not None:
        try:
            return {int(number): label for number, label in dict(value).items()}
        except (TypeError, ValueError):
            raise refuse("expected the label of each number") from None
    if name == "label2id" and not isinstance(value, Mapping | None):
        raise refuse("expected the number of each label")
    if name == "problem_type" and value not in (None, *PROBLEMS):
        raise refuse(f"expected None or one of {', '.join(PROBLEMS)}")
    return value


def _is_one(value: Any) -> bool:
    """Whether it is a list with one meaning: [224, 224] for a side, [49407] for a token."""
    return isinstance(value, list | tuple) and len(value) > 0 and all(item == value[0] for item in value)


def check_heads(model_type: str, width: int, heads: int) -> None:
    """Raises `CheckpointError` for a width that the heads cannot share evenly."""
    if width % heads:
        raise CheckpointError(f"{model_type} config: hidden_size {width} is no multiple of {heads} heads")
