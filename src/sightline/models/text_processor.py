"""Text to a model's inputs, called as `transformers` calls its tokenizers."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn, Self

import tokenizers
from tokenizers import AddedToken

from sightline.checkpoint.hub import resolve
from sightline.errors import CheckpointError, UsageError
from sightline.models.places import take_place
from sightline.models.publishing import Published
from sightline.models.suggestions import check_names
from sightline.models.text_calls import TextCalls
from sightline.models.text_decoding import TextDecoding
from sightline.models.text_length import text_length
from sightline.models.text_options import NO_LIMIT
from sightline.processing.pipelines import GENERAL, add_missing, copied
from sightline.processing.special_tokens import (
    END,
    TOKEN_NAMES,
    extra_tokens,
    further_tokens,
    special_tokens,
    token_text,
)
from sightline.processing.tokenizer import Tokenizer, library_errors
from sightline.processing.tokenizer_files import CALL_SETTINGS, KEPT_SETTINGS, settings_of

_KEPT = [name for name in KEPT_SETTINGS if name not in CALL_SETTINGS]
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


class TextProcessor(TextCalls, TextDecoding, Published):
    """A tokenizer as a function. Its attributes may be assigned: later calls and saving follow.

    `call_settings`: arguments, `max_length` say, that a processor calls it with where its own call names no others.

    `model_max_length`: tokens that the model takes; `model_input_names`: what a call gives; `padding_side`,
    `truncation_side`: where rows are filled up and cut, "right" or "left". The library's object behind it is its own.
    """

    is_fast = True
    backend = "tokenizers"
    init_inputs = ()
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
            tokenizer = _made(type(self).__name__, tokenizer_object, tokenizer_file, settings)
        known = tokenizer.settings
        pipeline = tokenizer.copy()
        super().__init__(pipeline, _names(tokenizer, pipeline), list(extra_tokens(known).values()))
        self._tokenizer, self._kept = tokenizer, known
        self.name_or_path = ""
        self.model_max_length = tokenizer.max_length
        types = ["token_type_ids"] * tokenizer.has_token_types
        self.model_input_names = list(known.get("model_input_names") or ["input_ids", *types, "attention_mask"])
        self.padding_side = known.get("padding_side", "right")
        self.truncation_side = known.get("truncation_side", "right")
        self.clean_up_tokenization_spaces = bool(known.get("clean_up_tokenization_spaces", False))
        self.call_settings = {name: known[name] for name in CALL_SETTINGS if name in known}
        self.add_prefix_space = bool(known.get("add_prefix_space", False))
        self.split_special_tokens = bool(known.get("split_special_tokens", False))
        self._of = self.init_kwargs, len(self)

    @classmethod
    def from_pretrained(cls, name_or_folder: str | os.PathLike[str], **options: Any) -> Self:
        """Opens a folder's tokenizer, a packaged model's or one on the Hub; weights are not fetched.

        `options`: `revision`, `token`, `cache_dir` and the like as `resolve` takes them, and settings as in
        `tokenizer_config.json`, which go before those of the files. Raises CheckpointError, UsageError.
        """
        where, settings = take_place(options)
        for name in ("add_bos_token", "add_eos_token"):  # without effect, as in the reference
            settings.pop(name, None)
        settings.pop("config", None)  # of a model, by which the reference chooses a class; the files say it here
        settings = given_settings(settings)
        path = resolve(name_or_folder, weights=False, **where)
        opened = cls.from_folder(path if path.is_dir() else path.parent, settings=settings)
        opened.name_or_path = str(name_or_folder)
        return opened

    @classmethod
    def from_folder(
        cls, folder: Path, max_length: int | None = None, settings: Mapping[str, Any] = MappingProxyType({})
    ) -> Self:
        """A folder's tokenizer, as an object of the class of its kind. `max_length` is the model's limit; left out, it
        is the config's beside it. `settings` go before those of the files. Raises CheckpointError."""
        limit = max_length or text_length(folder) or NO_LIMIT
        tokenizer = Tokenizer.from_folder(folder, limit, settings)
        kinds = {kind.__name__: kind for kind in _kinds(TextProcessor)}
        named = tokenizer.settings["tokenizer_class"]
        kind = TextProcessor if named in GENERAL else kinds.get(tokenizer.kind, TextProcessor)
        if not issubclass(kind, cls) and tokenizer.kind != cls.__name__:
            raise CheckpointError(f"{folder}: holds a {tokenizer.kind}, no {cls.__name__}; AutoTokenizer opens any")
        of: Any = kind if issubclass(kind, cls) else cls
        opened: Self = of.__new__(of)
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
            kept = {"tokenizer_class": self._kept["tokenizer_class"]}
            self._tokenizer = Tokenizer(copied(self._pipeline), kept | self.init_kwargs, int(self.model_max_length))
            self._of = of
        return self._tokenizer

    @property
    def init_kwargs(self) -> dict[str, Any]:
        """The settings of now, as in `tokenizer_config.json`: those that are not by default."""
        settings: dict[str, Any] = {name: self._kept[name] for name in _KEPT if name in self._kept}
        settings.pop("additional_special_tokens", None)  # release 4's name of extra_special_tokens
        settings |= self.call_settings
        named = {name: token for name, token in self._special_tokens_map.items() if token is not None}
        settings |= {name: token for name, token in named.items() if name in TOKEN_NAMES}
        if further := {name: token for name, token in named.items() if name not in TOKEN_NAMES}:
            settings["model_specific_special_tokens"] = further
        now = {
            "model_input_names": self.model_input_names,
            "padding_side": self.padding_side,
            "truncation_side": self.truncation_side,
            "clean_up_tokenization_spaces": self.clean_up_tokenization_spaces,
            "split_special_tokens": self.split_special_tokens,
            "extra_special_tokens": self.extra_special_tokens,
        }
        is_bert = self._tokenizer.kind == "BertTokenizer" and self._kept["tokenizer_class"] not in GENERAL
        types = ["token_type_ids"] * is_bert
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

    @property
    def max_len_single_sentence(self) -> int:
        """The most tokens of a text, without start and end."""
        return self.model_max_length - self.num_special_tokens_to_add()

    @property
    def max_len_sentences_pair(self) -> int:
        """The most tokens of two texts together, without special ones."""
        return self.model_max_length - self.num_special_tokens_to_add(pair=True)

    def apply_chat_template(self, *args: Any, **options: Any) -> NoReturn:
        """Raises UsageError: these models hold no conversations."""
        raise UsageError("these tokenizers have no chat template: join the conversation into one text and pass that")

    def __getattr__(self, name: str) -> Any:
        if name in _GONE:
            raise AttributeError(f"{type(self).__name__} has no {name!r}; instead, {_GONE[name]}")
        return super().__getattr__(name)

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


def _names(tokenizer: Tokenizer, pipeline: tokenizers.Tokenizer) -> dict[str, Any]:
    """The special tokens by name. What the files don't name is by the kind: CLIP's are the start and the end."""
    start, end, fill = (tokenizer.token(number) for number in (tokenizer.bos_id, tokenizer.eos_id, tokenizer.pad_id))
    settings, tokens = tokenizer.settings, {"pad_token": fill}
    if tokenizer.kind == "CLIPTokenizer" and settings["tokenizer_class"] not in GENERAL:
        other = end if pipeline.token_to_id(END) is None else END
        tokens = {"bos_token": start, "eos_token": end, "unk_token": other, "pad_token": other}
    named = {name: settings.get(name) for name in TOKEN_NAMES} | further_tokens(settings)
    return tokens | {
        name: token if isinstance(token, AddedToken) else text
        for name, token in named.items()
        if (text := token_text(token))
    }


def given_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the settings that are not None. Raises UsageError for unknown names."""
    check_names(settings, SETTINGS, "setting")
    return settings_of(settings)


def _made(kind: str, pipeline: tokenizers.Tokenizer | None, file: Any, settings: Mapping[str, Any]) -> Tokenizer:
    kept = {"tokenizer_class": GENERAL[0] if kind == "TextProcessor" else kind} | given_settings(settings)
    if pipeline is None:
        if file is None:
            raise UsageError("give tokenizer_object= or tokenizer_file=, or open a folder with from_pretrained")
        with library_errors(f"{file}: can't be read as a tokenizer"):
            pipeline = tokenizers.Tokenizer.from_file(str(file))
    pipeline = copied(pipeline)
    add_missing(pipeline, special_tokens(kept) | extra_tokens(kept))
    limit = settings.get("model_max_length") or (pipeline.truncation or {}).get("max_length") or NO_LIMIT
    return Tokenizer(pipeline, kept, int(limit))
