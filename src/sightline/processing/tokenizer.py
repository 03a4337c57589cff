"""Strings to token ids, by a checkpoint's own vocabulary."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
import tokenizers
from numpy.typing import NDArray
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers, processors

from sightline.errors import CheckpointError, UsageError
from sightline.files import read_checkpoint_json, write_json, write_text

Ids = NDArray[np.int64]

_START, _END = "<|startoftext|>", "<|endoftext|>"
_CLIP_TOKENS = {"bos_token": _START, "eos_token": _END, "unk_token": _END, "pad_token": _END}
_BERT_TOKENS = {f"{name}_token": f"[{name.upper()}]" for name in ("unk", "sep", "pad", "cls", "mask")}
_ROBERTA_TOKENS = {f"{name}_token": f"<{name}>" for name in ("unk", "pad", "mask")}
_ROBERTA_TOKENS |= {"bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>"}
_BERT_SETTINGS = {"do_lower_case": "lowercase", "strip_accents": "strip_accents"}
_BERT_SETTINGS |= {"tokenize_chinese_chars": "handle_chinese_chars"}
"""Names in `tokenizer_config.json` and those in the library's normalizer."""
_KEPT = (*_BERT_SETTINGS, "add_prefix_space", "model_input_names")
_NAMES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
_NO_LIMIT = 1_000_000
"""A file that names no limit says 10^30."""


class Tokenizer:
    """Strings to token ids and back. Safe to share between threads: the library's object is never changed.

    `max_length`: tokens that the model takes. `bos_id`, `eos_id`, `pad_id`: the token that starts a row, the one that
    ends it, the one that fills it up. `typed`: whether the model is also told of which of two texts a token is, as
    BERT is; here there is always one.
    """

    def __init__(self, pipeline: tokenizers.Tokenizer, settings: Mapping[str, Any], max_length: int) -> None:
        """`pipeline` without truncation and padding; `settings` as in `tokenizer_config.json`."""
        self._pipeline = pipeline
        self._kind = _kind(pipeline)
        self._settings = {"BertTokenizer": _BERT_TOKENS, "RobertaTokenizer": _ROBERTA_TOKENS}.get(self._kind, {})
        self._settings = {"tokenizer_class": self._kind} | self._settings | dict(settings)
        self.max_length = max_length
        ends = pipeline.encode("").ids
        if len(ends) != 2 or max_length < 2:
            raise CheckpointError("the tokenizer puts no start and end around a text, or has no room for them")
        self.bos_id: int = ends[0]
        self.eos_id: int = ends[-1]
        pad = pipeline.token_to_id(_content(self._settings.get("pad_token")))
        self.pad_id: int = self.eos_id if pad is None else pad
        self.typed = "token_type_ids" in settings.get(
            "model_input_names", ["token_type_ids"] * (self._kind == "BertTokenizer")
        )

    @classmethod
    def from_folder(cls, folder: Path, max_length: int | None = None) -> Self:
        """Reads `tokenizer.json`, or `vocab.json` with `merges.txt` (CLIP's pipeline or, by its words, RoBERTa's), or
        `vocab.txt` (BERT's), and the settings beside them.

        `max_length` is the model's own limit; the least that it and the files name counts. Raises CheckpointError.
        """
        settings = _read_settings(folder)
        whole, vocabulary, merges = folder / "tokenizer.json", folder / "vocab.json", folder / "merges.txt"
        words = folder / "vocab.txt"
        if not whole.is_file() and not words.is_file() and not (vocabulary.is_file() and merges.is_file()):
            raise CheckpointError(
                f"{folder}: no tokenizer in it; expected tokenizer.json, or vocab.json and merges.txt, or vocab.txt"
            )
        try:
            if whole.is_file():
                pipeline = tokenizers.Tokenizer.from_file(str(whole))
                _add_missing(pipeline, _named(settings))
            elif vocabulary.is_file() and merges.is_file():
                pipeline = _byte_pairs(vocabulary, merges, settings)
            else:
                pipeline = _bert_pipeline(words, _named(_BERT_TOKENS | settings))
            _obey(pipeline, settings)
            limits = [max_length, settings.get("model_max_length"), (pipeline.truncation or {}).get("max_length")]
            sane = [int(limit) for limit in limits if isinstance(limit, int | float) and limit <= _NO_LIMIT]
            if not sane:
                raise CheckpointError(f"{folder}: names no model_max_length; pass max_length")
            pipeline.no_truncation()
            pipeline.no_padding()
            return cls(pipeline, settings, min(sane))
        except CheckpointError:
            raise
        except Exception as error:  # the library raises plain `Exception`
            raise CheckpointError(f"{folder}: its tokenizer can't be read ({error})") from error

    def save(self, folder: Path) -> None:
        """Writes `tokenizer.json` and `tokenizer_config.json`, as `transformers` reads them."""
        tokens = {name: _content(self._settings[name]) for name in _NAMES if name in self._settings}
        kept = {key: self._settings[key] for key in _KEPT if key in self._settings}
        start, end = (self._pipeline.id_to_token(i) for i in self._pipeline.encode("").ids)
        ends = {"cls_token": start, "sep_token": end}
        if self._kind == "CLIPTokenizer":
            ends = {"bos_token": start, "eos_token": end, "unk_token": end}
        settings = {
            "tokenizer_class": self._settings["tokenizer_class"],
            "model_max_length": self.max_length,
            "pad_token": self._pipeline.id_to_token(self.pad_id),
        }
        write_text(folder / "tokenizer.json", self._pipeline.to_str(pretty=True))
        write_json(folder / "tokenizer_config.json", settings | ends | tokens | kept)

    def tokenize(self, texts: Sequence[str]) -> list[Ids]:
        """Each string's ids, start and end among them, however long. Raises UsageError for what is no string."""
        with _failing():
            return [np.array(encoding.ids, np.int64) for encoding in self._pipeline.encode_batch_fast(_clean(texts))]

    def pieces(self, text: str) -> list[str]:
        """The string's tokens as the vocabulary has them, without start and end. Raises UsageError."""
        with _failing():
            return self._pipeline.encode(_clean([text])[0], add_special_tokens=False).tokens

    def piece(self, number: int) -> str:
        """A token by its id. Raises UsageError for an id that there isn't."""
        found = self._pipeline.id_to_token(number) if 0 <= number < 1 << 32 else None
        if found is None:
            raise UsageError(f"no token has the id {number}")
        return found

    def vocabulary(self) -> dict[str, int]:
        """Every token's id."""
        return self._pipeline.get_vocab(with_added_tokens=True)

    def size(self, *, added: bool) -> int:
        """The number of tokens, with or without those that were added to the trained ones."""
        return self._pipeline.get_vocab_size(with_added_tokens=added)

    def cut(self, ids: Ids, length: int) -> Ids:
        """At most `length` ids, the last of which stays the end: models pool there."""
        return ids if len(ids) <= length else np.append(ids[: length - 1], self.eos_id)

    def encode(self, texts: Sequence[str]) -> list[Ids]:
        """Each string's int64 ids, cut to the model's length. Raises UsageError for what is no string."""
        return [self.cut(ids, self.max_length) for ids in self.tokenize(texts)]

    def pad(self, rows: Sequence[Ids], length: int | None = None) -> tuple[Ids, Ids]:
        """Rows to ids and mask, int64 (n, length), filled on the right; None is the longest row's length."""
        width = max([length or 0, *map(len, rows)])
        ids = np.full((len(rows), width), self.pad_id, np.int64)
        mask = np.zeros((len(rows), width), np.int64)
        for row, tokens in enumerate(rows):
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        return ids, mask

    def decode(self, ids: Sequence[int], skip_special_tokens: bool = False) -> str:
        """The text of ids, as near as lower case and folded white space allow."""
        text = self._pipeline.decode([int(i) for i in ids], skip_special_tokens=skip_special_tokens)
        return text.replace(getattr(self._pipeline.model, "end_of_word_suffix", None) or "\0", " ").strip()


@contextmanager
def _failing() -> Iterator[None]:
    """A pipeline may open and yet lack what a text needs; the library then raises plain `Exception`."""
    try:
        yield
    except UsageError:
        raise
    except Exception as error:
        raise CheckpointError(f"the tokenizer cannot read a text ({error}); fetch its files again") from error


def _clean(texts: Sequence[str]) -> list[str]:
    """Strings that have UTF-8: half a surrogate pair (from a file name that is none) becomes a question mark."""
    for text in texts:
        if not isinstance(text, str):
            raise UsageError(f"texts are strings, not {type(text).__name__}")
    return [text.encode("utf-8", "replace").decode("utf-8") for text in texts]


def _kind(pipeline: tokenizers.Tokenizer) -> str:
    """Whose tokenizer it is, as `tokenizer_class` says it: by the words that it knows."""
    if isinstance(pipeline.model, models.WordPiece):
        return "BertTokenizer"
    return "RobertaTokenizer" if _is_roberta(pipeline.get_vocab()) else "CLIPTokenizer"


def _is_roberta(words: Mapping[str, Any]) -> bool:
    return _START not in words and {"<s>", "</s>", "<pad>"} <= words.keys()


def _byte_pairs(vocabulary: Path, merges: Path, settings: Mapping[str, Any]) -> tokenizers.Tokenizer:
    """Byte-level BPE: CLIP's or, by its words, RoBERTa's."""
    lines = merges.read_text(encoding="utf-8").split("\n")
    pairs: Any = [tuple(line.split(" ")) for line in lines[lines[0].startswith("#version") :] if line]
    words = read_checkpoint_json(vocabulary)
    tokens, build = (_ROBERTA_TOKENS, _roberta_pipeline) if _is_roberta(words) else (_CLIP_TOKENS, _clip_pipeline)
    named = _named(tokens | dict(settings))
    if missing := {named[f"{which}_token"].content for which in ("bos", "eos")} - words.keys():
        raise CheckpointError(f"{vocabulary}: has no {' and no '.join(sorted(missing))}")
    return build(words, pairs, named, settings)


def _roberta_pipeline(
    words: dict[str, int], pairs: Any, named: Mapping[str, AddedToken], settings: Mapping[str, Any]
) -> tokenizers.Tokenizer:
    """GPT-2's byte-level BPE between RoBERTa's own ends (Liu et al., 2019, section 4.4)."""
    bpe = models.BPE(vocab=words, merges=pairs, continuing_subword_prefix="", end_of_word_suffix="")
    space = bool(settings.get("add_prefix_space", False))
    pipeline: Any = tokenizers.Tokenizer(bpe)
    pipeline.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=space)
    pipeline.decoder = decoders.ByteLevel()
    pipeline.add_tokens(list(named.values()))
    end, start = named["sep_token"].content, named["cls_token"].content
    pipeline.post_processor = processors.RobertaProcessing(
        (end, pipeline.token_to_id(end)), (start, pipeline.token_to_id(start)), add_prefix_space=space
    )
    built: tokenizers.Tokenizer = pipeline
    return built


def _clip_pipeline(
    words: dict[str, int], pairs: Any, named: Mapping[str, AddedToken], settings: Mapping[str, Any]
) -> tokenizers.Tokenizer:
    """CLIP's byte-level BPE (Radford et al., 2021, section 2.4) as the reference's release 5 has it: no ftfy."""
    end, start = named["eos_token"].content, named["bos_token"].content
    bpe = models.BPE(
        vocab=words,
        merges=pairs,
        continuing_subword_prefix="",
        end_of_word_suffix="</w>",
        unk_token=named["unk_token"].content,
    )
    pipeline: Any = tokenizers.Tokenizer(bpe)
    pipeline.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    # Words with their apostrophes, digits one by one, runs of anything else.
    pattern = r"'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"
    special = "|".join(re.escape(token) for token in (_START, _END))
    split = pre_tokenizers.Split(Regex(f"{special}|{pattern}"), behavior="removed", invert=True)
    pipeline.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    pipeline.decoder = decoders.ByteLevel()
    pipeline.add_tokens(list(named.values()))
    pipeline.post_processor = processors.RobertaProcessing(
        (end, pipeline.token_to_id(end)),
        (start, pipeline.token_to_id(start)),
        trim_offsets=False,
        add_prefix_space=False,
    )
    built: tokenizers.Tokenizer = pipeline
    return built


def _bert_pipeline(words: Path, named: Mapping[str, AddedToken]) -> tokenizers.Tokenizer:
    """BERT's WordPiece (Devlin et al., 2019, section 3): a word a line, its number in the file is its id."""
    lines = words.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    vocabulary = {word: number for number, word in enumerate(lines)}
    if missing := {token.content for token in named.values()} - vocabulary.keys() - {"[MASK]"}:
        raise CheckpointError(f"{words}: has no {' and no '.join(sorted(missing))}")
    pipeline: Any = tokenizers.Tokenizer(models.WordPiece(vocabulary, unk_token=named["unk_token"].content))
    pipeline.normalizer = normalizers.BertNormalizer()
    pipeline.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    pipeline.decoder = decoders.WordPiece(prefix="##")
    _add_missing(pipeline, named)
    start, end = named["cls_token"].content, named["sep_token"].content
    ends = [(token, vocabulary[token]) for token in (start, end)]
    pipeline.post_processor = processors.TemplateProcessing(single=[start, "$A", end], special_tokens=ends)
    built: tokenizers.Tokenizer = pipeline
    return built


def _obey(pipeline: tokenizers.Tokenizer, settings: Mapping[str, Any]) -> None:
    """BERT's normalizer as `tokenizer_config.json` has it: that goes before what `tokenizer.json` says."""
    for name, attribute in _BERT_SETTINGS.items():
        if name in settings and isinstance(pipeline.normalizer, normalizers.BertNormalizer):
            setattr(pipeline.normalizer, attribute, settings[name])


def _add_missing(pipeline: tokenizers.Tokenizer, named: Mapping[str, AddedToken]) -> None:
    known = {token.content for token in pipeline.get_added_tokens_decoder().values()}
    pipeline.add_tokens([token for token in named.values() if token.content not in known])


def _read_settings(folder: Path) -> dict[str, Any]:
    """What the tokenizer's side files say of limits and special tokens; nothing of where they once lay."""
    config, tokens = folder / "tokenizer_config.json", folder / "special_tokens_map.json"
    found = read_checkpoint_json(config) if config.is_file() else {}
    if tokens.is_file() and "added_tokens_decoder" not in found:
        found |= read_checkpoint_json(tokens)
    named = (*_NAMES, *_KEPT, "added_tokens_decoder", "model_max_length", "tokenizer_class")
    return {key: found[key] for key in named if found.get(key) is not None}


def _named(settings: Mapping[str, Any]) -> dict[str, AddedToken]:
    """The special tokens by name, in the order in which the reference adds them: of equal ones the last one's flags
    count. They are found inside a text too."""
    flags = {_content(token): token for token in settings.get("added_tokens_decoder", {}).values()}
    tokens = {}
    for name in _NAMES:
        if content := _content(settings.get(name)):
            given = flags.get(content, settings[name])
            given = given if isinstance(given, Mapping) else {}
            known = {key: bool(given[key]) for key in ("single_word", "lstrip", "rstrip", "normalized") if key in given}
            tokens[name] = AddedToken(content, special=True, **({"normalized": False} | known))
    return tokens


def _content(token: Any) -> str:
    """The text of a special token: plain, or an object with flags."""
    return str(token.get("content", "")) if isinstance(token, Mapping) else str(token or "")
