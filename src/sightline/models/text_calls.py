"""What a tokenizer's call does: texts to rows of ids, cut and filled up."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, Unpack

import numpy as np
import tokenizers

from sightline.errors import UsageError
from sightline.models.batch_encoding import BatchEncoding
from sightline.models.features import tensor_kind
from sightline.models.text_ends import TextEnds
from sightline.models.text_options import Lengths, TextOptions, checked
from sightline.models.text_padding import filled, gathered
from sightline.processing.pipelines import copied
from sightline.processing.tokenizer import Tokenizer, library_errors, readable

Text: TypeAlias = str | list[Any] | tuple[Any, ...]


class _Side:
    """ "right" or "left"."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, tokenizer: Any, owner: Any = None) -> Any:
        return self if tokenizer is None else tokenizer.__dict__[self._name]

    def __set__(self, tokenizer: Any, side: str) -> None:
        tokenizer.__dict__[self._name] = _side(self._name, side)


class TextCalls(TextEnds):
    """A tokenizer as a function.

    `model_max_length`: tokens that the model takes; `model_input_names`: what a call gives; `padding_side`,
    `truncation_side`: where rows are filled up and cut, "right" or "left".
    """

    model_max_length: int
    model_input_names: list[str]
    split_special_tokens: bool
    padding_side = _Side()
    truncation_side = _Side()
    pad_token_type_id = 0

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer as an encoder uses it."""
        raise NotImplementedError

    def num_special_tokens_to_add(self, pair: bool = False) -> int:
        """How many special tokens are put around a text, or around two."""
        return self._pipeline.num_special_tokens_to_add(pair)

    def __call__(
        self, text: Text | None = None, text_pair: Text | None = None, **options: Unpack[TextOptions]
    ) -> BatchEncoding:
        """A string or a list of n to `input_ids`, `attention_mask` and what else is asked for: lists, or int64
        (n, length).

        `text_pair`: a second text for each. `padding`: True or "longest", "max_length", or False. `truncation`: True,
        "longest_first", "only_first" or "only_second" cut to `max_length`, by default the model's; left out, text is
        cut where `max_length` is given without padding. Raises UsageError.
        """
        given = checked(options)
        kind = tensor_kind(given["return_tensors"])
        is_batch, inputs = _inputs(text, text_pair, given["is_split_into_words"])
        lengths = Lengths.of(given, self.model_max_length)
        if text_pair is None and not given["return_overflowing_tokens"]:
            inputs = self._shortened(inputs, lengths)
        rows = self._rows(inputs, given, lengths)
        values = self._values(rows, given)
        if kind and not inputs:
            values = {name: np.zeros((0, 0), np.int64) for name in values}
        if is_batch or kind or given["return_overflowing_tokens"]:
            return BatchEncoding(values, [encoding for row in rows for encoding in row], kind)
        first = {name: value[0] if value and isinstance(value[0], list) else value for name, value in values.items()}
        return BatchEncoding(first, rows[0])

    def _shortened(self, inputs: Sequence[Any], lengths: Lengths) -> Sequence[Any]:
        """Long texts that are cut, only as far as it takes: see `Tokenizer.beginnings`."""
        if lengths.strategy is None or lengths.limit is None or self.truncation_side != "right":
            return inputs
        size = 100 * lengths.limit
        long = [text for text in inputs if isinstance(text, str) and len(text) > size]
        short = dict(zip(long, self.tokenizer.beginnings(long, lengths.limit)[0], strict=True)) if long else {}
        return [short.get(text, text) if isinstance(text, str) else text for text in inputs]

    def _rows(self, inputs: Sequence[Any], given: Mapping[str, Any], lengths: Lengths) -> list[list[Any]]:
        """The library's encodings of each input, cut and filled up: one, or as many as overflow."""
        pipeline = self._prepared(inputs, given, lengths)
        specials = given["add_special_tokens"]
        with library_errors("the tokenizer cannot read a text; fetch its files again"):
            try:
                encodings = pipeline.encode_batch(
                    inputs, is_pretokenized=given["is_split_into_words"], add_special_tokens=specials
                )
            except TypeError as error:
                raise UsageError(
                    "a text is a string, or two as a tuple; a list of words needs is_split_into_words=True"
                ) from error
            except Exception as error:
                if "Truncation error" in str(error):
                    raise UsageError(f"truncation={lengths.strategy!r}: {error}") from error
                raise
        if lengths.padding and encodings:
            self._fill(encodings, lengths.width(max(map(len, encodings))), given["padding_side"])
        return [[row, *row.overflowing] if given["return_overflowing_tokens"] else [row] for row in encodings]

    def _prepared(self, inputs: Sequence[Any], given: Mapping[str, Any], lengths: Lengths) -> tokenizers.Tokenizer:
        """The pipeline, or a copy of it that cuts: other threads may be using it."""
        pipeline: Any = self._pipeline
        split = self.split_special_tokens if given["split_special_tokens"] is None else given["split_special_tokens"]
        is_plain = not (pipeline.truncation or pipeline.padding) and pipeline.encode_special_tokens == split
        if lengths.strategy is None and is_plain:
            return self._pipeline
        pipeline = copied(pipeline)
        pipeline.encode_special_tokens = split
        if lengths.strategy is not None:
            two = any(isinstance(row, tuple) for row in inputs)
            if lengths.strategy == "only_second" and not two:
                raise UsageError('truncation="only_second" needs a text_pair')
            room = self.num_special_tokens_to_add(two) if given["add_special_tokens"] else 0
            if lengths.limit is None or lengths.limit < room:
                raise UsageError(f"max_length={lengths.limit} leaves no room for the start and the end of a text")
            if given["stride"] and given["stride"] >= lengths.limit - room:
                raise UsageError(
                    f"stride={given['stride']} leaves nothing new in a row, which has room for {lengths.limit - room} "
                    "tokens of a text"
                )
            pipeline.enable_truncation(
                lengths.limit, stride=given["stride"], strategy=lengths.strategy, direction=self.truncation_side
            )
        made: tokenizers.Tokenizer = pipeline
        return made

    def _fill(self, encodings: Sequence[Any], width: int, side: str | None) -> None:
        side = _side("padding_side", side or self.padding_side)
        pad_id = self._pad_id()
        for row in encodings:
            row.pad(width, direction=side, pad_id=pad_id, pad_type_id=self.pad_token_type_id, pad_token=self.pad_token)

    def _pad_id(self) -> int:
        if self.pad_token_id is None:
            raise UsageError("no pad token to fill up with: tokenizer.pad_token = tokenizer.eos_token, say")
        return int(self.pad_token_id)

    def _values(self, rows: Sequence[Sequence[Any]], given: Mapping[str, Any]) -> dict[str, Any]:
        encodings = [encoding for row in rows for encoding in row]
        values: dict[str, Any] = {"input_ids": [row.ids for row in encodings]}
        if self._wants("token_type_ids", given):
            values["token_type_ids"] = [row.type_ids for row in encodings]
        if self._wants("attention_mask", given):
            values["attention_mask"] = [row.attention_mask for row in encodings]
        if given["return_special_tokens_mask"]:
            values["special_tokens_mask"] = [row.special_tokens_mask for row in encodings]
        if given["return_offsets_mapping"]:
            values["offset_mapping"] = [row.offsets for row in encodings]
        if given["return_length"]:
            values["length"] = [len(row) for row in encodings]
        if given["return_overflowing_tokens"]:
            values["overflow_to_sample_mapping"] = [number for number, row in enumerate(rows) for _ in row]
        return values

    def _wants(self, name: str, given: Mapping[str, Any]) -> bool:
        asked = given[f"return_{name}"]
        return name in self.model_input_names if asked is None else bool(asked)

    def pad(
        self,
        encoded_inputs: Any,
        padding: bool | str = True,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_attention_mask: bool | None = None,
        return_tensors: str | None = None,
        verbose: bool = True,
    ) -> BatchEncoding:
        """Rows that were encoded before, filled up; `encoded_inputs`: values by name, or a list of such, one a row.

        What else is in them stays as it is. Raises UsageError.
        """
        main = self.model_input_names[0]
        rows, kind = gathered(encoded_inputs, main)
        options = {"padding": padding, "max_length": max_length, "truncation": None}
        lengths = Lengths.of(options | {"pad_to_multiple_of": pad_to_multiple_of}, self.model_max_length)
        mask = "attention_mask" in self.model_input_names if return_attention_mask is None else return_attention_mask
        side = _side("padding_side", padding_side or self.padding_side)
        made = filled(rows, main, lengths, side, self._pad_id() if lengths.padding else None, mask)
        return BatchEncoding(made, tensor_type=return_tensors or kind)

    def encode(self, text: Text, text_pair: Text | None = None, **options: Unpack[TextOptions]) -> Any:
        """`input_ids` of a call."""
        return self(text, text_pair, **options)["input_ids"]

    def tokenize(
        self, text: str, pair: str | None = None, add_special_tokens: bool = False, **options: Any
    ) -> list[str]:
        """The tokens of one string as the vocabulary has them, without start and end."""
        if not isinstance(text, str):
            raise UsageError(f"texts are strings, not {type(text).__name__}")
        return self(text, pair, add_special_tokens=add_special_tokens, **options).tokens()


def _inputs(text: Any, pair: Any, is_words: bool) -> tuple[bool, Sequence[Any]]:
    """Whether several texts are given, and what the library encodes: strings, lists of words, or pairs of these."""
    for given in (text, pair)[: 1 + (pair is not None)]:
        if not isinstance(given, str | list | tuple):
            raise UsageError(f"text is a string or a list of strings, not {type(given).__name__}")
    text, pair = readable(text), None if pair is None else readable(pair)
    is_batch = isinstance(text, list | tuple) and (not is_words or (bool(text) and not isinstance(text[0], str)))
    if not is_batch:
        return False, [(text, pair)] if pair else [text]
    if pair is None:
        return True, list(text)
    if isinstance(pair, str) or len(pair) != len(text):
        raise UsageError(f"{len(text)} texts need a list of as many text pairs, not {pair!r:.60}")
    return True, list(zip(text, pair, strict=True))


def _side(name: str, side: Any) -> str:
    if side not in ("right", "left"):
        raise UsageError(f'{name}={side!r} is not known; there is "right" and "left"')
    return str(side)
