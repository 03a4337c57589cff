"""A checkpoint's tokenizer settings: `tokenizer_config.json`, `special_tokens_map.json`, and each kind's defaults."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import AddedToken

from sightline.files import read_checkpoint_json

START, END = "<|startoftext|>", "<|endoftext|>"
CLIP_TOKENS = {"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": END}
BERT_TOKENS = {f"{name}_token": f"[{name.upper()}]" for name in ("unk", "sep", "pad", "cls", "mask")}
ROBERTA_TOKENS = {f"{name}_token": f"<{name}>" for name in ("unk", "pad", "mask")}
ROBERTA_TOKENS |= {"bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>"}
"""Special tokens by name, as each kind of tokenizer has them where the files name no others."""

NORMALIZER_SETTINGS = {"do_lower_case": "lowercase", "strip_accents": "strip_accents"}
NORMALIZER_SETTINGS |= {"tokenize_chinese_chars": "handle_chinese_chars"}
"""BERT's settings: names in `tokenizer_config.json` and in the library's normalizer."""

TOKEN_NAMES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
"""In the order in which the reference adds special tokens."""

KEPT_SETTINGS = (*NORMALIZER_SETTINGS, "add_prefix_space", "model_input_names")
"""Settings that are written back as they were read."""

_READ_SETTINGS = (*TOKEN_NAMES, *KEPT_SETTINGS, "added_tokens_decoder", "model_max_length", "tokenizer_class")


def read_settings(folder: Path) -> dict[str, Any]:
    """What the files beside the vocabulary say of limits, special tokens and normalization. Raises CheckpointError."""
    config, tokens = folder / "tokenizer_config.json", folder / "special_tokens_map.json"
    settings = read_checkpoint_json(config) if config.is_file() else {}
    if tokens.is_file() and "added_tokens_decoder" not in settings:
        settings |= read_checkpoint_json(tokens)
    return {key: settings[key] for key in _READ_SETTINGS if settings.get(key) is not None}


def special_tokens(settings: Mapping[str, Any]) -> dict[str, AddedToken]:
    """The special tokens by name, in the order in which the reference adds them.

    Of tokens with the same text the last one's flags count. Special tokens are found inside a text too.
    """
    declared = {token_text(token): token for token in settings.get("added_tokens_decoder", {}).values()}
    tokens = {}
    for name in TOKEN_NAMES:
        if text := token_text(settings.get(name)):
            token = declared.get(text, settings[name])
            values = token if isinstance(token, Mapping) else {}
            names = ("single_word", "lstrip", "rstrip", "normalized")
            flags = {flag: bool(values[flag]) for flag in names if flag in values}
            tokens[name] = AddedToken(text, special=True, **({"normalized": False} | flags))
    return tokens


def token_text(token: Any) -> str:
    """The text of a special token, which files give as a string or as an object with flags; "" for none."""
    return str(token.get("content", "")) if isinstance(token, Mapping) else str(token or "")
