"""The kinds of tokenizers, each made of a vocabulary or opened from a folder."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sightline.errors import UsageError
from sightline.files import read_checkpoint_json
from sightline.models.text_options import NO_LIMIT
from sightline.models.text_processor import TextProcessor, given_settings
from sightline.processing.pipelines import byte_pairs, word_pieces
from sightline.processing.tokenizer import Tokenizer, library_errors
from sightline.processing.tokenizer_files import read_merges, read_words

Words = Mapping[str, int] | str | os.PathLike[str]
Merges = Sequence[Any] | str | os.PathLike[str]


def open_tokenizer(folder: Path, max_length: int | None = None) -> TextProcessor:
    """A folder's tokenizer, as an object of the class of its kind: see `TextProcessor.from_folder`."""
    return TextProcessor.from_folder(folder, max_length)


class _BytePairs(TextProcessor):
    """Byte-level BPE."""

    def __init__(
        self,
        vocab: Words | None = None,
        merges: Merges | None = None,
        *,
        vocab_file: str | os.PathLike[str] | None = None,
        merges_file: str | os.PathLike[str] | None = None,
        tokenizer_file: str | os.PathLike[str] | None = None,
        tokenizer_object: Any = None,
        **settings: Any,
    ) -> None:
        """`vocab`: ids by token; `merges`: pairs of tokens in the order of merging; or the files of these.

        `settings` as in `tokenizer_config.json`. Raises CheckpointError, UsageError.
        """
        words, pairs = vocab_file if vocab is None else vocab, merges_file if merges is None else merges
        if words is None or pairs is None or tokenizer_file or tokenizer_object:
            super().__init__(tokenizer_file=tokenizer_file, tokenizer_object=tokenizer_object, **settings)
            return
        settings = given_settings(settings)
        place = "the vocabulary" if isinstance(words, Mapping) else words
        with library_errors(f"{place}: can't be read as a tokenizer's"):
            known = dict(words) if isinstance(words, Mapping) else read_checkpoint_json(Path(words))
            listed = read_merges(Path(pairs)) if isinstance(pairs, str | os.PathLike) else list(map(_pair, pairs))
            pipeline = byte_pairs(known, listed, settings, place)
        super().__init__(_tokenizer(type(self).__name__, pipeline, settings))


class CLIPTokenizer(_BytePairs):
    """CLIP's: byte pairs, in lower case, each text between `<|startoftext|>` and `<|endoftext|>`."""


class RobertaTokenizer(_BytePairs):
    """RoBERTa's: byte pairs, each text between `<s>` and `</s>`."""


class BertTokenizer(TextProcessor):
    """BERT's word pieces, each text between `[CLS]` and `[SEP]`."""

    def __init__(
        self,
        vocab: Words | None = None,
        *,
        vocab_file: str | os.PathLike[str] | None = None,
        tokenizer_file: str | os.PathLike[str] | None = None,
        tokenizer_object: Any = None,
        **settings: Any,
    ) -> None:
        """`vocab`: ids by token, or the file with a token a line. `settings` as in `tokenizer_config.json`.

        Raises CheckpointError, UsageError.
        """
        words = vocab_file if vocab is None else vocab
        if words is None or tokenizer_file or tokenizer_object:
            super().__init__(tokenizer_file=tokenizer_file, tokenizer_object=tokenizer_object, **settings)
            return
        settings = given_settings(settings)
        place = "the vocabulary" if isinstance(words, Mapping) else words
        with library_errors(f"{place}: can't be read as a tokenizer's"):
            known = dict(words) if isinstance(words, Mapping) else read_words(Path(words))
            pipeline = word_pieces(known, settings, place)
        super().__init__(_tokenizer("BertTokenizer", pipeline, settings))

    @property
    def do_lower_case(self) -> bool:
        """Whether texts become lower case."""
        return bool(self._normalizer.lowercase)

    @property
    def strip_accents(self) -> bool | None:
        """Whether letters lose their accents; None: where texts become lower case."""
        return None if (strips := self._normalizer.strip_accents) is None else bool(strips)

    @property
    def tokenize_chinese_chars(self) -> bool:
        """Whether each Chinese character is a word."""
        return bool(self._normalizer.handle_chinese_chars)

    @property
    def _normalizer(self) -> Any:
        return self._pipeline.normalizer


def _tokenizer(kind: str, pipeline: Any, settings: Mapping[str, Any]) -> Tokenizer:
    tokenizer = Tokenizer(pipeline, settings, int(settings.get("model_max_length", NO_LIMIT)))
    if tokenizer.kind != kind:
        raise UsageError(f"the vocabulary is that of a {tokenizer.kind}, no {kind}")
    return tokenizer


def _pair(merge: Any) -> tuple[str, str]:
    first, second = merge.split(" ") if isinstance(merge, str) else merge
    return first, second
