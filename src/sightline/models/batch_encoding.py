"""The output of a tokenizer: a model's text inputs by name, and where in the text each token lies."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import tokenizers

from sightline.errors import UsageError
from sightline.models.features import BatchFeature, tensor_kind


class CharSpan(NamedTuple):
    """Characters from `start` up to `end`, which is left out."""

    start: int
    end: int


class TokenSpan(NamedTuple):
    """Tokens from `start` up to `end`, which is left out."""

    start: int
    end: int


class BatchEncoding(BatchFeature):
    """A model's text inputs by name. `encodings`: the `tokenizers` library's, one for each row, or None.

    A method that looks into one row takes the row's number first; left out, it is the first row.
    """

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        encoding: "tokenizers.Encoding | Sequence[tokenizers.Encoding] | None" = None,
        tensor_type: Any = None,
        prepend_batch_axis: bool = False,
        n_sequences: int | None = None,
    ) -> None:
        super().__init__(data or {})
        self._rows = [encoding] if isinstance(encoding, tokenizers.Encoding) else encoding
        self._encode: Callable[[], Sequence[tokenizers.Encoding]] | None = None
        first = self._rows[0].n_sequences if self._rows else None
        self.n_sequences = first if n_sequences is None else n_sequences
        self.convert_to_tensors(tensor_type, prepend_batch_axis)

    def encoded_by(self, encode: Callable[[], Sequence[tokenizers.Encoding]], n_sequences: int | None) -> Self:
        """As it is, with encodings that are made when somebody asks for them: with the places of characters, and filled
        up, they take a third of a call's time."""
        self._encode, self.n_sequences = encode, n_sequences
        return self

    @property
    def encodings(self) -> "Sequence[tokenizers.Encoding] | None":
        """What the `tokenizers` library knows of each row."""
        if self._rows is None and self._encode is not None:
            self._rows = self._encode()
        return self._rows

    def __getitem__(self, item: Any) -> Any:
        """Values by name; by a number, the encoding of that row; by a slice, the encodings, or parts of all values."""
        if isinstance(item, str):
            return super().__getitem__(item)
        if self.encodings is not None:
            return self.encodings[item]
        if isinstance(item, slice):
            return {name: value[item] for name, value in self.items()}
        raise KeyError(f"{item!r}: inputs have names ({', '.join(self)}), and slices")

    def __reduce__(self) -> Any:
        return type(self), (dict(self), self.encodings, None, False, self.n_sequences)

    @property
    def is_fast(self) -> bool:
        """Whether there are encodings."""
        return self._rows is not None or self._encode is not None

    def convert_to_tensors(self, tensor_type: Any = None, prepend_batch_axis: bool = False) -> Self:
        """Makes torch tensors ("pt") or arrays ("np") of the lists; None leaves them. Raises UsageError for rows of
        different lengths. `prepend_batch_axis`: values are those of one row."""
        kind = tensor_kind(tensor_type)
        for name, value in list(self.items()) if kind else ():
            self[name] = _tensor(name, [value] if prepend_batch_axis else value, kind)
        return self

    def tokens(self, batch_index: int = 0) -> list[str]:
        """A row's tokens."""
        return self._row(batch_index).tokens

    def word_ids(self, batch_index: int = 0) -> list[int | None]:
        """The number of each token's word; None for the start, the end, and what fills up."""
        return self._row(batch_index).word_ids

    def sequence_ids(self, batch_index: int = 0) -> list[int | None]:
        """0 for each token of the first text, 1 for those of the second, None for special ones."""
        return self._row(batch_index).sequence_ids

    def token_to_sequence(self, batch_or_token: int, token: int | None = None) -> int | None:
        """The number of a token's text: 0 or 1."""
        row, token = self._place(batch_or_token, token)
        return row.token_to_sequence(token + len(row) * (token < 0))

    def token_to_word(self, batch_or_token: int, token: int | None = None) -> int | None:
        """The number of a token's word."""
        row, token = self._place(batch_or_token, token)
        return row.token_to_word(token + len(row) * (token < 0))

    def token_to_chars(self, batch_or_token: int, token: int | None = None) -> CharSpan | None:
        """The characters of a token; None for a special one."""
        row, token = self._place(batch_or_token, token)
        span = row.token_to_chars(token)
        return None if span is None else CharSpan(*span)

    def char_to_token(self, batch_or_char: int, char: int | None = None, sequence_index: int = 0) -> int | None:
        """The number of a character's token; None for a space between words."""
        row, char = self._place(batch_or_char, char)
        return row.char_to_token(char, sequence_index)

    def char_to_word(self, batch_or_char: int, char: int | None = None, sequence_index: int = 0) -> int | None:
        """The number of a character's word."""
        row, char = self._place(batch_or_char, char)
        return row.char_to_word(char, sequence_index)

    def word_to_tokens(self, batch_or_word: int, word: int | None = None, sequence_index: int = 0) -> TokenSpan | None:
        """The tokens of a word."""
        row, word = self._place(batch_or_word, word)
        span = row.word_to_tokens(word, sequence_index)
        return None if span is None else TokenSpan(*span)

    def word_to_chars(self, batch_or_word: int, word: int | None = None, sequence_index: int = 0) -> CharSpan | None:
        """The characters of a word."""
        row, word = self._place(batch_or_word, word)
        span = row.word_to_chars(word, sequence_index)
        return None if span is None else CharSpan(*span)

    def _row(self, number: int) -> tokenizers.Encoding:
        if not self.encodings:
            raise UsageError("only what a tokenizer gave for texts knows their words and characters")
        row: tokenizers.Encoding = self.encodings[number]
        return row

    def _place(self, first: int, second: int | None) -> tuple[tokenizers.Encoding, int]:
        return (self._row(0), first) if second is None else (self._row(first), second)


def _tensor(name: str, value: Any, kind: str | None) -> Any:
    if kind == "pt" and hasattr(value, "detach"):
        return value
    try:
        array = np.asarray(value.cpu() if hasattr(value, "cpu") else value)
        array = array if array.size else array.astype(np.int64)
        if kind == "np":
            return array
        import torch

        # Whole numbers by way of an array, which is quicker; torch has its own type for fractions.
        return torch.from_numpy(array) if array.dtype.kind in "iub" else torch.tensor(value)
    except (ValueError, TypeError, RuntimeError) as error:
        raise UsageError(
            f"texts of different lengths make no tensor ({name}); pass padding=True, truncation=True"
        ) from error
