"""Strings to token ids, by a checkpoint's vocabulary."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import numpy as np
import tokenizers
from numpy.typing import NDArray

from sightline.errors import CheckpointError, SightlineError, UsageError
from sightline.files import write_json, write_text
from sightline.processing.pipelines import GENERAL, PARTS, copied, tokenizer_class
from sightline.processing.special_tokens import BERT_TOKENS, ROBERTA_TOKENS, TOKEN_NAMES, further_tokens, token_text
from sightline.processing.spelling import may_be_spelled, spelled_words
from sightline.processing.text_counts import TextCounts
from sightline.processing.tokenizer_files import KEPT_SETTINGS, read_pipeline, read_settings

Ids = NDArray[np.int64]

_MAX_LIMIT = 1_000_000
"""A file that names no limit says 10^30."""
_SHARE = 16
"""Characters of a text that are read for each id that it may have: more than most texts take."""
_UNREADABLE_TEXT = "the tokenizer cannot read a text; fetch its files again"


class Tokenizer:
    """Strings to token ids and back. Safe to share between threads: the library's object is never changed.

    `max_length`: tokens that the model takes. `bos_id`, `eos_id`, `pad_id`: the tokens that start a row, end it, and
    fill it up; `has_pad`: whether the files name a token for that, or the end's does it. `has_token_types`: whether the
    model also takes the number of the text that a token belongs to, as BERT does; Sightline always gives a single text.
    `vocab_size`: the number of trained tokens; `len` counts added tokens too.
    """

    def __init__(self, pipeline: tokenizers.Tokenizer, settings: Mapping[str, Any], max_length: int) -> None:
        """`pipeline` without truncation and padding; `settings` as in `tokenizer_config.json`."""
        self._pipeline = pipeline
        self._class = tokenizer_class(pipeline)
        defaults = {"BertTokenizer": BERT_TOKENS, "RobertaTokenizer": ROBERTA_TOKENS}.get(self._class, {})
        if settings.get("tokenizer_class") in GENERAL:
            defaults = {}
        self._settings = {"tokenizer_class": self._class} | defaults | dict(settings)
        self.max_length = max_length
        ends = pipeline.encode("").ids
        if len(ends) != 2 or max_length < 2:
            raise CheckpointError("the tokenizer puts no start and end around a text, or has no room for them")
        self.bos_id: int = ends[0]
        self.eos_id: int = ends[-1]
        pad = pipeline.token_to_id(token_text(self._settings.get("pad_token")))
        self.has_pad = pad is not None
        self.pad_id: int = self.eos_id if pad is None else pad
        unknown = pipeline.token_to_id(token_text(self._settings.get("unk_token")))
        self._unknown_id = None if unknown in ends else unknown
        is_bert = self._class == "BertTokenizer" and self._settings["tokenizer_class"] not in GENERAL
        self.has_token_types = "token_type_ids" in settings.get("model_input_names", ["token_type_ids"] * is_bert)
        self.vocab_size: int = pipeline.get_vocab_size(with_added_tokens=False)

    def __len__(self) -> int:
        return self._pipeline.get_vocab_size(with_added_tokens=True)

    @classmethod
    def from_folder(
        cls, folder: Path, max_length: int | None = None, settings: Mapping[str, Any] = MappingProxyType({})
    ) -> Self:
        """Reads `tokenizer.json`, or `vocab.json` with `merges.txt` (CLIP's pipeline or, by its words, RoBERTa's), or
        `vocab.txt` (BERT's), and the settings beside them.

        `max_length` is the model's limit; the least of it and of the files' limits counts. `settings` go before those
        of the files, a `model_max_length` before every limit. Raises CheckpointError.
        """
        with library_errors(f"{folder}: its tokenizer can't be read"):
            read = read_settings(folder)
            pipeline = read_pipeline(folder, read | dict(settings))
            limits = [max_length, read.get("model_max_length"), (pipeline.truncation or {}).get("max_length")]
            real = [int(limit) for limit in limits if isinstance(limit, int | float) and limit <= _MAX_LIMIT]
            limit = settings.get("model_max_length") or min(real, default=max_length)
            if limit is None:
                raise CheckpointError(f"{folder}: names no model_max_length; pass max_length")
            pipeline.no_truncation()
            pipeline.no_padding()
            return cls(pipeline, read | dict(settings), limit)

    def copy(self) -> tokenizers.Tokenizer:
        """The library's object as a copy whose parts may be changed; the trained model is shared."""
        copy: Any = copied(self._pipeline)
        for part in PARTS:
            if getattr(copy, part) is not None:
                setattr(copy, part, deepcopy(getattr(copy, part)))
        made: tokenizers.Tokenizer = copy
        return made

    @property
    def settings(self) -> dict[str, Any]:
        """What the files, and the kind of tokenizer, say of special tokens and of calls: as in the files."""
        return dict(self._settings)

    @property
    def kind(self) -> str:
        """The reference's class of tokenizer, by the pipeline."""
        return self._class

    def save(self, folder: Path) -> None:
        """Writes `tokenizer.json` and `tokenizer_config.json`, as `transformers` reads them."""
        tokens = {name: token_text(self._settings[name]) for name in TOKEN_NAMES if name in self._settings}
        further = {name: token_text(token) for name, token in further_tokens(self._settings).items()}
        tokens |= further  # where the reference looks for them
        kept = {key: self._settings[key] for key in KEPT_SETTINGS if key in self._settings}
        kept |= {"model_specific_special_tokens": further} if further else {}
        start, end = (self._pipeline.id_to_token(i) for i in self._pipeline.encode("").ids)
        ends = {"cls_token": start, "sep_token": end}
        if self._class == "CLIPTokenizer":
            ends = {"bos_token": start, "eos_token": end, "unk_token": end}
        settings = {
            "tokenizer_class": self._settings["tokenizer_class"],
            "model_max_length": self.max_length,
            "pad_token": self._pipeline.id_to_token(self.pad_id),
        }
        write_text(folder / "tokenizer.json", self._pipeline.to_str(pretty=True))
        write_json(folder / "tokenizer_config.json", settings | ends | tokens | kept)

    def token_ids(self, texts: Sequence[str]) -> list[Ids]:
        """Each string's ids, start and end among them, however long. Raises UsageError for anything but strings."""
        with library_errors(_UNREADABLE_TEXT):
            return [np.array(encoding.ids, np.int64) for encoding in self._pipeline.encode_batch_fast(_clean(texts))]

    def tokens(self, text: str) -> list[str]:
        """The string's tokens as the vocabulary has them, without start and end. Raises UsageError."""
        with library_errors(_UNREADABLE_TEXT):
            return self._pipeline.encode(_clean([text])[0], add_special_tokens=False).tokens

    def token(self, number: int) -> str:
        """A token by its id. Raises UsageError for an id that no token has."""
        token = self._pipeline.id_to_token(number) if 0 <= number < 1 << 32 else None
        if token is None:
            raise UsageError(f"no token has the id {number}")
        return token

    def vocabulary(self) -> dict[str, int]:
        """Every token's id."""
        return self._pipeline.get_vocab(with_added_tokens=True)

    def truncate(self, ids: Ids, length: int) -> Ids:
        """At most `length` ids, the last of which stays the end: models pool there."""
        return ids if len(ids) <= length else np.append(ids[: length - 1], self.eos_id)

    def encode(self, texts: Sequence[str], counts: TextCounts | None = None) -> list[Ids]:
        """Each string's int64 ids, at most `max_length` of them. The strings that were cut, and those that are mostly
        spelled, are added to `counts`. Raises UsageError for anything but strings."""
        texts, rows = self.beginnings(texts, self.max_length)
        if counts is not None:
            self._count(texts, rows, counts)
        return [self.truncate(ids, self.max_length) for ids in rows]

    def beginnings(self, texts: Sequence[str], length: int) -> tuple[list[str], list[Ids]]:
        """What is needed of strings that are cut at `length` ids, and its ids: the whole of short strings, of long ones
        a beginning of more than twice `length` ids. The library takes a time that grows with the square of a text's
        length where it has no spaces. Raises UsageError for anything but strings."""
        size = _SHARE * length
        beginnings = [text[:size] if isinstance(text, str) else text for text in texts]
        rows = self.token_ids(beginnings)
        for place, text in enumerate(texts):
            taken = size
            while taken < len(text) and len(rows[place]) <= 2 * length:
                taken *= 2
                beginnings[place] = text[:taken]
                (rows[place],) = self.token_ids([text[:taken]])
        return beginnings, rows

    def _count(self, texts: Sequence[str], rows: Sequence[Ids], counts: TextCounts) -> None:
        cut = sum(len(ids) > self.max_length for ids in rows)
        counts.add(TextCounts(len(rows), cut, self.max_length))
        for text, ids in zip(texts, rows, strict=True):
            has_unknown = self._unknown_id is not None and self._unknown_id in ids
            if has_unknown or may_be_spelled(text, len(ids) - 2):
                clean = _clean([text])[0]
                with library_errors(_UNREADABLE_TEXT):
                    encoding = self._pipeline.encode(clean, add_special_tokens=False)
                if words := spelled_words(clean, encoding, self._unknown_id):
                    counts.spelled += 1
                    counts.word = counts.word or words[0]

    def pad(self, rows: Sequence[Ids], length: int | None = None) -> tuple[Ids, Ids]:
        """Rows to ids and mask, int64 (n, length), filled on the right; at least the longest row's length."""
        width = max([length or 0, *map(len, rows)])
        ids = np.full((len(rows), width), self.pad_id, np.int64)
        mask = np.zeros((len(rows), width), np.int64)
        for row, tokens in enumerate(rows):
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        return ids, mask

    def decode(self, ids: Sequence[int], skip_special_tokens: bool = False) -> str:
        """The text of ids, as near as lower case and folded white space allow."""
        return decoded(self._pipeline, ids, skip_special_tokens)


def decoded(pipeline: tokenizers.Tokenizer, ids: Sequence[int], skip_special_tokens: bool) -> str:
    """The text of ids by the library, with the ends of words, where the trained tokens have such, as spaces."""
    text = pipeline.decode([int(i) for i in ids], skip_special_tokens=skip_special_tokens)
    end = getattr(pipeline.model, "end_of_word_suffix", None)
    return text.replace(end, " ").strip() if end else text


@contextmanager
def library_errors(failure: str) -> Iterator[None]:
    """Turns the library's failures into CheckpointError: plain `Exception`, and the panics of its Rust code. A panic,
    for a template with a token that the vocabulary lacks, is a BaseException whose class can't be imported."""
    try:
        yield
    except SightlineError:
        raise
    except BaseException as error:
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise CheckpointError(f"{failure} ({error})") from error
        raise


def readable(text: Any) -> Any:
    """A string, or strings in lists and tuples, as `_clean` makes them. Raises UsageError for anything else."""
    return type(text)(map(readable, text)) if isinstance(text, list | tuple) else _clean([text])[0]


def _clean(texts: Sequence[str]) -> list[str]:
    """The strings, fit for UTF-8: half a surrogate pair (as file names may have) becomes a question mark."""
    for text in texts:
        if not isinstance(text, str):
            raise UsageError(f"texts are strings, not {type(text).__name__}")
    return [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
