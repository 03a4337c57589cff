"""Text to a model's inputs, called as `transformers` calls its tokenizers."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np

from sightline.errors import UsageError
from sightline.models.features import BatchFeature, tensors
from sightline.processing.tokenizer import Ids, Tokenizer

Text: TypeAlias = str | list[str] | tuple[str, ...]

_OPTIONS = ("padding", "truncation", "max_length", "return_tensors")
_FIXED: dict[str, tuple[Any, ...]] = {
    "return_attention_mask": (None, True),
    "add_special_tokens": (True,),
    "padding_side": (None, "right"),
}
"""Arguments of the reference's tokenizer that scripts spell out, with the values for which it does what we do."""


class TextProcessor:
    """A tokenizer as a function."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.model_max_length = tokenizer.max_length
        self.bos_token_id, self.bos_token = tokenizer.bos_id, tokenizer.token(tokenizer.bos_id)
        self.eos_token_id, self.eos_token = tokenizer.eos_id, tokenizer.token(tokenizer.eos_id)
        self.pad_token_id, self.pad_token = tokenizer.pad_id, tokenizer.token(tokenizer.pad_id)
        self.vocab_size = tokenizer.vocab_size

    def __len__(self) -> int:
        """The number of tokens; `vocab_size` is without those that were added to the trained ones."""
        return len(self.tokenizer)

    def __call__(
        self,
        text: Text,
        *,
        padding: bool | str = False,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        return_tensors: str | None = None,
        **fixed: Any,
    ) -> BatchFeature:
        """A string or a list of n to `input_ids` and `attention_mask`: lists, or int64 (n, length).

        `padding`: True or "longest", "max_length", or False. `truncation`: True cuts to `max_length`, by default the
        model's; left out, text is cut where `max_length` is given without padding. `fixed` are further arguments of
        the reference's, taken at the values that are always so here: `padding_side="right"`, say. Raises UsageError.
        """
        without_fixed(fixed)
        if not isinstance(text, (str, list, tuple)):
            raise UsageError(f"text is a string or a list of strings, not {type(text).__name__}")
        texts = [text] if isinstance(text, str) else list(text)
        limit = self.model_max_length if max_length is None else max_length
        if limit < 2:
            raise UsageError(f"max_length={limit} leaves no room for the start and the end of a text")
        if padding not in (False, True, "longest", "max_length", "do_not_pad"):
            raise UsageError(f'padding={padding!r} is not known; there is True, "max_length" and False')
        if truncation not in (None, False, True, "longest_first", "only_first", "do_not_truncate"):
            raise UsageError(f"truncation={truncation!r} is not known; there is True and False")
        pads = padding not in (False, "do_not_pad")
        cuts = truncation in (True, "longest_first", "only_first") or (
            truncation is None and not pads and max_length is not None
        )
        if cuts:
            rows = [self.tokenizer.truncate(row, limit) for row in self.tokenizer.beginnings(texts, limit)[1]]
        else:
            rows = self.tokenizer.token_ids(texts)
        width = (limit if padding == "max_length" else max(map(len, rows), default=0)) if pads else 0
        if return_tensors:
            if len({max(len(row), width) for row in rows}) > 1:
                raise UsageError("texts of different lengths make no tensor; pass padding=True, truncation=True")
            return tensors(self._named(*self.tokenizer.pad(rows, width)), return_tensors)
        padded = [self._named(*self.tokenizer.pad([row], width)) for row in rows]
        lists = {key: [row[key][0].tolist() for row in padded] for key in self.model_input_names}
        return BatchFeature({key: value[0] if isinstance(text, str) else value for key, value in lists.items()})

    @property
    def model_input_names(self) -> list[str]:
        """The names of a model's text inputs."""
        return ["input_ids", *["token_type_ids"] * self.tokenizer.has_token_types, "attention_mask"]

    def _named(self, ids: Ids, mask: Ids) -> dict[str, Ids]:
        named = {"input_ids": ids, "token_type_ids": np.zeros_like(ids), "attention_mask": mask}
        return {name: named[name] for name in self.model_input_names}

    def encode(self, text: str) -> list[int]:
        """The ids of one string, start and end among them, however long."""
        return [int(i) for i in self.tokenizer.token_ids([text])[0]]

    def tokenize(self, text: str) -> list[str]:
        """The tokens of one string as the vocabulary has them, without start and end."""
        return self.tokenizer.tokens(text)

    def convert_ids_to_tokens(self, ids: Any) -> str | list[str]:
        """One id's token, or the tokens of a sequence of ids. Raises UsageError for an unknown id."""
        return self.tokenizer.token(ids) if isinstance(ids, int) else [self.tokenizer.token(i) for i in _plain(ids)]

    def get_vocab(self) -> dict[str, int]:
        """Every token's id."""
        return self.tokenizer.vocabulary()

    def decode(self, ids: Any, skip_special_tokens: bool = False) -> str:
        """The text of a sequence of ids (list, array or tensor)."""
        return self.tokenizer.decode(_plain(ids), skip_special_tokens)

    def batch_decode(self, ids: Any, skip_special_tokens: bool = False) -> list[str]:
        """The texts of several sequences of ids."""
        return [self.decode(row, skip_special_tokens) for row in ids]


def without_fixed(options: Mapping[str, Any], settings: Iterable[str] = ()) -> dict[str, Any]:
    """`options` without those of _FIXED. Raises UsageError for names that are neither in _FIXED nor in `settings`."""
    known = [*_OPTIONS, *_FIXED, *settings]
    if unknown := options.keys() - set(known):
        raise UsageError(f"{', '.join(sorted(unknown))}: no such argument; there is {', '.join(known)}")
    for name, value in options.items():
        if name in _FIXED and value not in _FIXED[name]:
            raise UsageError(f"{name}={value!r} is not supported; it is always {_FIXED[name][-1]!r}")
    return {name: value for name, value in options.items() if name not in _FIXED}


def _plain(ids: Any) -> list[int]:
    ids = np.asarray(ids.cpu() if hasattr(ids, "cpu") else ids)
    return [int(i) for i in ids.reshape(-1)]
