"""The options of a tokenizer's call, with their defaults, and what they say of the lengths of rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

from sightline.errors import UsageError
from sightline.models.suggestions import check_names

NO_LIMIT = int(1e30)
"""`model_max_length` of a tokenizer that knows no limit, as files have it."""
_LARGEST_LIMIT = int(1e20)


class TextOptions(TypedDict, total=False):
    """What a call of a tokenizer may say besides the texts: names, types and meanings are the reference's."""

    add_special_tokens: bool
    padding: bool | str | None
    truncation: bool | str | None
    max_length: int | None
    stride: int
    is_split_into_words: bool
    pad_to_multiple_of: int | None
    padding_side: str | None
    return_tensors: str | None
    return_token_type_ids: bool | None
    return_attention_mask: bool | None
    return_overflowing_tokens: bool
    return_special_tokens_mask: bool
    return_offsets_mapping: bool
    return_length: bool
    split_special_tokens: bool | None
    verbose: bool


DEFAULTS = TextOptions(
    add_special_tokens=True,
    padding=False,
    truncation=None,
    max_length=None,
    stride=0,
    is_split_into_words=False,
    pad_to_multiple_of=None,
    padding_side=None,
    return_tensors=None,
    return_token_type_ids=None,
    return_attention_mask=None,
    return_overflowing_tokens=False,
    return_special_tokens_mask=False,
    return_offsets_mapping=False,
    return_length=False,
    split_special_tokens=None,
    verbose=True,
)
_ELSEWHERE = {
    "truncation_side": 'set it before the call: tokenizer.truncation_side = "left"',
    "text_target": "these models write no text, so there is none to aim at; call the tokenizer on it as text",
    "text_pair_target": "these models write no text, so there is none to aim at; call the tokenizer on it as text",
}
_PADDING = {"do_not_pad": None, "longest": "longest", "max_length": "max_length"}
_TRUNCATION = ("longest_first", "only_first", "only_second")


def checked(options: Mapping[str, Any]) -> dict[str, Any]:
    """All options of a call, given or by default. Raises UsageError for unknown names, with those that come near."""
    for name in options.keys() & _ELSEWHERE.keys():
        raise UsageError(f"{name}: {_ELSEWHERE[name]}")
    check_names(options, DEFAULTS, "argument")
    return {**DEFAULTS, **options}


@dataclass(frozen=True)
class Lengths:
    """What becomes of the rows' lengths."""

    strategy: str | None
    """Which texts are cut to `limit` tokens; None: none."""
    limit: int | None
    padding: str | None
    """Whether rows are filled up to the "longest" or to `limit` ("max_length"); None: not."""
    multiple: int | None

    @classmethod
    def of(cls, options: Mapping[str, Any], model_max_length: int) -> "Lengths":
        """Left out, `truncation` cuts where `max_length` is given without padding. Raises UsageError."""
        limit, multiple = options["max_length"], options["pad_to_multiple_of"]
        padding = _padding(options["padding"])
        strategy = _strategy(options["truncation"], limit is not None and padding is None)
        if limit is None:
            limit = None if model_max_length > _LARGEST_LIMIT else model_max_length
        if limit is None:
            strategy, padding = None, None if padding == "max_length" else padding
        if strategy and padding and multiple and limit is not None and limit % multiple:
            raise UsageError(f"rows are cut at {limit} tokens, which is no multiple of pad_to_multiple_of={multiple}")
        return cls(strategy, limit, padding, multiple)

    def width(self, longest: int) -> int:
        """The length to which rows are filled up of which the longest has so many tokens."""
        width = longest if self.padding == "longest" or self.limit is None else self.limit
        return width if not self.multiple else -(-width // self.multiple) * self.multiple


def _padding(value: Any) -> str | None:
    if value is None or isinstance(value, bool):
        return "longest" if value else None
    if not isinstance(value, str) or value not in _PADDING:
        raise UsageError(f'padding={value!r} is not known; there is True, "max_length" and False')
    return _PADDING[value]


def _strategy(value: Any, by_default: bool) -> str | None:
    if value is None:
        return "longest_first" if by_default else None
    if value is False or value == "do_not_truncate":
        return None
    if value is not True and value not in _TRUNCATION:
        there = ", ".join(f'"{name}"' for name in _TRUNCATION)
        raise UsageError(f"truncation={value!r} is not known; there is True, {there} and False")
    return _TRUNCATION[0] if value is True else str(getattr(value, "value", value))
