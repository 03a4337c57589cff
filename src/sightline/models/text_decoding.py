"""A tokenizer's way back: ids and tokens to text."""

from collections.abc import Mapping
from typing import Any

import tokenizers

from sightline.models.suggestions import check_names
from sightline.models.token_names import TokenNames, plain_ids
from sightline.processing.tokenizer import decoded

_TIGHT = {" .": ".", " ?": "?", " !": "!", " ,": ",", " ' ": "'", " n't": "n't"}
_TIGHT |= {f" '{end}": f"'{end}" for end in ("m", "s", "ve", "re")}
"""Spaces that stand between word pieces, and not in a text."""


_UNUSED = ("spaces_between_special_tokens", "use_source_tokenizer")


class TextDecoding(TokenNames):
    """Ids and tokens to text."""

    clean_up_tokenization_spaces: bool

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        """The text of tokens."""
        return " ".join(tokens) if self._pipeline.decoder is None else self._pipeline.decoder.decode(tokens)

    def decode(
        self,
        token_ids: Any,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
        **unused: Any,
    ) -> Any:
        """The text of a sequence of ids (list, array or tensor), or the texts of several.

        `clean_up_tokenization_spaces`: without the spaces before punctuation that word pieces leave; byte pairs leave
        none, so that there it changes nothing. `unused`: what only tokenizers of other kinds look at.
        """
        check_names(unused, _UNUSED, "argument")
        ids = token_ids["input_ids"] if isinstance(token_ids, Mapping) else token_ids
        if getattr(ids, "ndim", 1) > 1 or (isinstance(ids, list | tuple) and any(map(_is_row, ids))):
            return [self.decode(row, skip_special_tokens, clean_up_tokenization_spaces) for row in ids]
        text = decoded(self._pipeline, plain_ids(ids), skip_special_tokens)
        cleans = self.clean_up_tokenization_spaces
        if clean_up_tokenization_spaces is not None:
            cleans = clean_up_tokenization_spaces
        is_pieces = isinstance(self._pipeline.model, tokenizers.models.WordPiece)
        return self.clean_up_tokenization(text) if cleans and is_pieces else text

    def batch_decode(
        self,
        sequences: Any,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
        **unused: Any,
    ) -> list[str]:
        """The texts of several sequences of ids."""
        texts = self.decode(sequences, skip_special_tokens, clean_up_tokenization_spaces, **unused)
        return [texts] if isinstance(texts, str) else list(texts)

    @staticmethod
    def clean_up_tokenization(text: str) -> str:
        """A text without the spaces before punctuation and within contractions."""
        for loose, tight in _TIGHT.items():
            text = text.replace(loose, tight)
        return text


def _is_row(value: Any) -> bool:
    return isinstance(value, list | tuple) or getattr(value, "ndim", 0) > 0
