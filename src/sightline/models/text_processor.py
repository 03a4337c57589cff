"""Text to a model's inputs, called as `transformers` calls its tokenizers."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, Self, TypeAlias, Unpack

import numpy as np
import tokenizers

from sightline.checkpoint.hub import resolve
from sightline.errors import CheckpointError, UsageError
from sightline.models.batch_encoding import BatchEncoding
from sightline.models.features import tensor_kind
from sightline.models.places import take_place
from sightline.models.publishing import Published
from sightline.models.suggestions import check_names
from sightline.models.text_length import text_length
from sightline.models.text_options import NO_LIMIT, Lengths, TextOptions, checked
from sightline.models.text_padding import filled, gathered
from sightline.models.token_names import TokenNames, plain_ids
from sightline.processing.pipelines import copied
from sightline.processing.special_tokens import TOKEN_NAMES, extra_tokens
from sightline.processing.tokenizer import Tokenizer, decoded, library_errors, readable
from sightline.processing.tokenizer_files import KEPT_SETTINGS

Text: TypeAlias = str | list[Any] | tuple[Any, ...]

SETTINGS = (*TOKEN_NAMES, *KEPT_SETTINGS, "model_max_length")
_GONE = {
    "encode_plus": "call the tokenizer: tokenizer(text, ...)",
    "batch_encode_plus": "call the tokenizer: tokenizer(texts, ...)",
    "prepare_for_model": "call the tokenizer on the text",
    "build_inputs_with_special_tokens": "call the tokenizer on the texts: tokenizer(text, text_pair)",
    "create_token_type_ids_from_sequences": "tokenizer(text, text_pair, return_token_type_ids=True)",
    "additional_special_tokens": "tokenizer.extra_special_tokens",
    "train_new_from_iterator": "train with the tokenizers library, then give tokenizer_object=",
}
"""What the reference no longer has, and this class neither, with what to write."""
_TIGHT = {" .": ".", " ?": "?", " !": "!", " ,": ",", " ' ": "'", " n't": "n't"}
_TIGHT |= {f" '{end}": f"'{end}" for end in ("m", "s", "ve", "re")}
"""Spaces that stand between word pieces, and not in a text."""


class _Side:
    """ "right" or "left"."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, tokenizer: Any, owner: Any = None) -> Any:
        return self if tokenizer is None else tokenizer.__dict__[self._name]

    def __set__(self, tokenizer: Any, side: str) -> None:
        tokenizer.__dict__[self._name] = _side(self._name, side)


class TextProcessor(TokenNames, Published):
    """A tokenizer as a function. Its attributes may be assigned: later calls and saving follow.

    `model_max_length`: tokens that the model takes; `model_input_names`: what a call gives; `padding_side`,
    `truncation_side`: where rows are filled up and cut, "right" or "left". The library's object behind it is its own.
    """

    padding_side = _Side()
    truncation_side = _Side()
    pad_token_type_id = 0
    is_fast = True
    chat_template = None

    def __init__(
        self,
        tokenizer: Tokenizer | None = None,
        *,
        tokenizer_object: tokenizers.Tokenizer | None = None,
        tokenizer_file: str | os.PathLike[str] | None = None,
        **settings: Any,
    ) -> None:
        """`tokenizer`, or what one is made of: an object of the `tokenizers` library, or the file of one.

        `settings` as in `tokenizer_config.json`. Raises CheckpointError, UsageError.
        """
        if tokenizer is None:
            tokenizer = _made(tokenizer_object, tokenizer_file, settings)
        known = tokenizer.settings
        super().__init__(tokenizer.copy(), _names(tokenizer), list(extra_tokens(known).values()))
        self._tokenizer, self._kept = tokenizer, known
        self.name_or_path = ""
        self.model_max_length = tokenizer.max_length
        types = ["token_type_ids"] * tokenizer.has_token_types
        self.model_input_names = list(known.get("model_input_names") or ["input_ids", *types, "attention_mask"])
        self.padding_side = known.get("padding_side", "right")
        self.truncation_side = known.get("truncation_side", "right")
        self.clean_up_tokenization_spaces = bool(known.get("clean_up_tokenization_spaces", False))
        self.split_special_tokens = bool(known.get("split_special_tokens", False))
        self._of = self.init_kwargs, len(self)

    @classmethod
    def from_pretrained(cls, name_or_folder: str | os.PathLike[str], **options: Any) -> Self:
        """Opens a folder's tokenizer, a packaged model's or one on the Hub; weights are not fetched.

        `options`: `revision`, `token`, `cache_dir` and the like as `resolve` takes them, and settings as in
        `tokenizer_config.json`, which go before those of the files. Raises CheckpointError, UsageError.
        """
        where, settings = take_place(options)
        settings.pop("config", None)  # of a model, by which the reference chooses a class; the files say it here
        settings = given_settings(settings)
        path = resolve(name_or_folder, weights=False, **where)
        opened = cls.from_folder(path if path.is_dir() else path.parent, **settings)
        opened.name_or_path = str(name_or_folder)
        return opened

    @classmethod
    def from_folder(cls, folder: Path, max_length: int | None = None, **settings: Any) -> Self:
        """A folder's tokenizer, as an object of the class of its kind. `max_length` is the model's limit; left out, it
        is the config's beside it. Raises CheckpointError."""
        limit = max_length or text_length(folder) or NO_LIMIT
        tokenizer = Tokenizer.from_folder(folder, limit, settings)
        named = str(tokenizer.settings["tokenizer_class"]).removesuffix("Fast")
        kinds = {kind.__name__: kind for kind in _kinds(TextProcessor)}
        kind = kinds.get(named) or kinds.get(tokenizer.kind, TextProcessor)
        if not issubclass(kind, cls):
            raise CheckpointError(f"{folder}: holds a {kind.__name__}, no {cls.__name__}; AutoTokenizer opens any")
        opened = kind.__new__(kind)
        TextProcessor.__init__(opened, tokenizer)
        opened.name_or_path = str(folder)
        return opened

    def save_pretrained(
        self, save_directory: str | os.PathLike[str], *, push_to_hub: bool = False, **publishing: Any
    ) -> tuple[str, str]:
        """Writes what `from_pretrained` and `transformers` read, and gives the files' names.

        `push_to_hub` sends them to `repo_id`, by default the folder's name; `publishing` are the arguments of the
        method `push_to_hub`. Raises HubError, UsageError.
        """
        folder = Path(save_directory)
        if folder.is_file():
            raise UsageError(f"{folder} is a file: name a folder")
        if not push_to_hub:
            check_names(publishing, ("push_to_hub",), "argument")
        folder.mkdir(parents=True, exist_ok=True)
        self.tokenizer.save(folder)
        if push_to_hub:
            self.push_to_hub(**({"repo_id": folder.absolute().name} | publishing))
        return str(folder / "tokenizer_config.json"), str(folder / "tokenizer.json")

    def save_vocabulary(self, save_directory: str, filename_prefix: str | None = None) -> tuple[str, ...]:
        """Writes the trained tokens alone (vocab.json and merges.txt, or vocab.txt), and gives the files' names."""
        if not Path(save_directory).is_dir():
            raise UsageError(f"{save_directory}: no such folder")
        model: Any = self._pipeline.model
        return tuple(model.save(str(save_directory), filename_prefix))

    @property
    def tokenizer(self) -> Tokenizer:
        """What an encoder and a training run use, with the tokens and the settings of now."""
        of = self.init_kwargs, len(self)
        if of != self._of:
            kept = {name: value for name, value in self._kept.items() if name not in TOKEN_NAMES}
            self._tokenizer = Tokenizer(copied(self._pipeline), kept | self.init_kwargs, int(self.model_max_length))
            self._of = of
        return self._tokenizer

    @property
    def init_kwargs(self) -> dict[str, Any]:
        """The settings of now, as in `tokenizer_config.json`: those that are not by default."""
        settings: dict[str, Any] = {name: self._kept[name] for name in KEPT_SETTINGS if name in self._kept}
        settings |= {name: token for name, token in self._named.items() if token is not None}
        now = {
            "model_input_names": self.model_input_names,
            "padding_side": self.padding_side,
            "truncation_side": self.truncation_side,
            "clean_up_tokenization_spaces": self.clean_up_tokenization_spaces,
            "split_special_tokens": self.split_special_tokens,
            "extra_special_tokens": self.extra_special_tokens,
        }
        types = ["token_type_ids"] * (self._tokenizer.kind == "BertTokenizer")
        usual = [["input_ids", *types, "attention_mask"], "right", "right", False, False, []]
        for (name, value), default in zip(now.items(), usual, strict=True):
            if value != default or name in settings:
                settings[name] = value
        return settings | {"model_max_length": self.model_max_length}

    @property
    def backend_tokenizer(self) -> tokenizers.Tokenizer:
        """The `tokenizers` library's object. It is this tokenizer's own: what is changed in it counts."""
        return self._pipeline

    @property
    def decoder(self) -> Any:
        """The library's part that makes text of tokens."""
        return self._pipeline.decoder

    def num_special_tokens_to_add(self, pair: bool = False) -> int:
        """How many special tokens are put around a text, or around two."""
        return self._pipeline.num_special_tokens_to_add(pair)

    @property
    def max_len_single_sentence(self) -> int:
        """The most tokens of a text, without start and end."""
        return self.model_max_length - self.num_special_tokens_to_add()

    @property
    def max_len_sentences_pair(self) -> int:
        """The most tokens of two texts together, without special ones."""
        return self.model_max_length - self.num_special_tokens_to_add(pair=True)

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
            except BaseException as error:
                if "runcat" in str(error) or "stride" in str(error):
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

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        """The text of tokens."""
        return " ".join(tokens) if self._pipeline.decoder is None else self._pipeline.decoder.decode(tokens)

    def decode(
        self, token_ids: Any, skip_special_tokens: bool = False, clean_up_tokenization_spaces: bool | None = None
    ) -> Any:
        """The text of a sequence of ids (list, array or tensor), or the texts of several.

        `clean_up_tokenization_spaces`: without the spaces before punctuation that word pieces leave; byte pairs leave
        none, so that there it changes nothing.
        """
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
        self, sequences: Any, skip_special_tokens: bool = False, clean_up_tokenization_spaces: bool | None = None
    ) -> list[str]:
        """The texts of several sequences of ids."""
        texts = self.decode(sequences, skip_special_tokens, clean_up_tokenization_spaces)
        return [texts] if isinstance(texts, str) else list(texts)

    @staticmethod
    def clean_up_tokenization(text: str) -> str:
        """A text without the spaces before punctuation and within contractions."""
        for loose, tight in _TIGHT.items():
            text = text.replace(loose, tight)
        return text

    def apply_chat_template(self, *args: Any, **options: Any) -> NoReturn:
        """Raises UsageError: these models hold no conversations."""
        raise UsageError("these tokenizers have no chat template: join the conversation into one text and pass that")

    def __getattr__(self, name: str) -> Any:
        advice = f"; write {_GONE[name]}" if name in _GONE else ""
        raise AttributeError(f"{type(self).__name__} has no {name!r}{advice}")

    def __repr__(self) -> str:
        added = "".join(f"\n\t{number}: {token!r}," for number, token in self.added_tokens_decoder.items())
        return (
            f"{type(self).__name__}(name_or_path={self.name_or_path!r}, vocab_size={self.vocab_size}, "
            f"model_max_length={self.model_max_length}, padding_side={self.padding_side!r}, "
            f"truncation_side={self.truncation_side!r}, special_tokens={self.special_tokens_map}, "
            f"added_tokens_decoder={{{added}{chr(10) * bool(added)}}})"
        )


def _kinds(base: type[TextProcessor]) -> list[type[TextProcessor]]:
    return [kind for below in base.__subclasses__() for kind in (below, *_kinds(below))]


def _names(tokenizer: Tokenizer) -> dict[str, Any]:
    """The special tokens by name. What the files don't name is by the kind: CLIP's are the start and the end."""
    start, end, fill = (tokenizer.token(number) for number in (tokenizer.bos_id, tokenizer.eos_id, tokenizer.pad_id))
    usual = {"bos_token": start, "eos_token": end, "unk_token": end} if tokenizer.kind == "CLIPTokenizer" else {}
    return {"pad_token": fill} | usual | {n: tokenizer.settings[n] for n in TOKEN_NAMES if tokenizer.settings.get(n)}


def given_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the settings that are not None. Raises UsageError for unknown names."""
    check_names(settings, SETTINGS, "setting")
    return {name: value for name, value in settings.items() if value is not None}


def _made(pipeline: tokenizers.Tokenizer | None, file: Any, settings: Mapping[str, Any]) -> Tokenizer:
    kept = given_settings(settings)
    if pipeline is None:
        if file is None:
            raise UsageError("give tokenizer_object= or tokenizer_file=, or open a folder with from_pretrained")
        with library_errors(f"{file}: can't be read as a tokenizer"):
            pipeline = tokenizers.Tokenizer.from_file(str(file))
    limit = settings.get("model_max_length") or (pipeline.truncation or {}).get("max_length") or NO_LIMIT
    return Tokenizer(copied(pipeline), kept, int(limit))


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


def _is_row(value: Any) -> bool:
    return isinstance(value, list | tuple) or getattr(value, "ndim", 0) > 0
