"""Special tokens of the kinds of tokenizers: their names, texts and flags."""

from collections.abc import Mapping
from typing import Any

from tokenizers import AddedToken

START, END = "<|startoftext|>", "<|endoftext|>"
CLIP_TOKENS = {"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": END}
BERT_TOKENS = {f"{name}_token": f"[{name.upper()}]" for name in ("unk", "sep", "pad", "cls", "mask")}
ROBERTA_TOKENS = {f"{name}_token": f"<{name}>" for name in ("unk", "pad", "mask")}
ROBERTA_TOKENS |= {"bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>"}
"""Special tokens by name, as each kind of tokenizer has them where the files name no others."""

TOKEN_NAMES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
"""In the order in which the reference adds special tokens."""


def special_tokens(settings: Mapping[str, Any]) -> dict[str, AddedToken]:
    """The special tokens by name, in the order in which the reference adds them, `further_tokens` last.

    Of tokens with the same text the last one's flags count. Special tokens are found inside a text too.
    """
    declared = {token_text(token): token for token in settings.get("added_tokens_decoder", {}).values()}
    named = {name: settings.get(name) for name in TOKEN_NAMES} | further_tokens(settings)
    return {
        name: special_token(declared.get(text, token)) for name, token in named.items() if (text := token_text(token))
    }


def further_tokens(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Special tokens under names of the model's own, `image_token` say, as text or with flags.

    The reference takes them as a dictionary `extra_special_tokens`, and writes them as settings of their own too.
    """
    groups = (settings.get("model_specific_special_tokens"), settings.get("extra_special_tokens"))
    found = {name: token for name, token in settings.items() if name.endswith("_token") and name not in TOKEN_NAMES}
    for group in groups:
        found |= group if isinstance(group, Mapping) else {}
    return {name: token for name, token in found.items() if isinstance(token, str | Mapping | AddedToken)}


def extra_tokens(settings: Mapping[str, Any]) -> dict[str, AddedToken]:
    """The special tokens without a name, by their text. Release 4 wrote them as `additional_special_tokens`."""
    listed = settings.get("extra_special_tokens") or settings.get("additional_special_tokens") or []
    return {token_text(token): special_token(token) for token in (listed if isinstance(listed, list | tuple) else [])}


def special_token(token: Any) -> AddedToken:
    """A token of a text, with the flags that it has in files or as an object; else found as it stands."""
    values = token.__getstate__() if isinstance(token, AddedToken) else token if isinstance(token, Mapping) else {}
    flags = {flag: bool(values[flag]) for flag in ("single_word", "lstrip", "rstrip", "normalized") if flag in values}
    return AddedToken(token_text(token), special=True, **({"normalized": False} | flags))


def token_text(token: Any) -> str:
    """The text of a special token, which files give as a string or as an object with flags; "" for none."""
    return str(token.get("content", "")) if isinstance(token, Mapping) else str(token or "")
