"""A checkpoint's tokenizer files: their settings, and the `tokenizers` library's pipeline, read whole or built."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from sightline.errors import CheckpointError
from sightline.files import read_checkpoint_json, wrong_content

_FILES = ("tokenizer.json", "vocab.json", "merges.txt", "vocab.txt")
_START, _END = "<|startoftext|>", "<|endoftext|>"
_CLIP_TOKENS = {"bos_token": _START, "eos_token": _END, "unk_token": _END, "pad_token": _END}
BERT_TOKENS = {f"{name}_token": f"[{name.upper()}]" for name in ("unk", "sep", "pad", "cls", "mask")}
ROBERTA_TOKENS = {f"{name}_token": f"<{name}>" for name in ("unk", "pad", "mask")}
ROBERTA_TOKENS |= {"bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>"}
"""Special tokens by name, as each kind of tokenizer has them where the files name no others."""

_NORMALIZER_SETTINGS = {"do_lower_case": "lowercase", "strip_accents": "strip_accents"}
_NORMALIZER_SETTINGS |= {"tokenize_chinese_chars": "handle_chinese_chars"}
"""BERT's settings: names in `tokenizer_config.json` and in the library's normalizer."""

TOKEN_NAMES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
"""In the order in which the reference adds special tokens."""

KEPT_SETTINGS = (*_NORMALIZER_SETTINGS, "add_prefix_space", "model_input_names")
"""Settings that are written back as they were read."""

_READ_SETTINGS = (*TOKEN_NAMES, *KEPT_SETTINGS, "added_tokens_decoder", "model_max_length", "tokenizer_class")


def read_settings(folder: Path) -> dict[str, Any]:
    """What the files beside the vocabulary say of limits, special tokens and normalization. Raises CheckpointError."""
    config, tokens = folder / "tokenizer_config.json", folder / "special_tokens_map.json"
    settings = read_checkpoint_json(config) if config.is_file() else {}
    if tokens.is_file() and "added_tokens_decoder" not in settings:
        settings |= read_checkpoint_json(tokens)
    return {key: settings[key] for key in _READ_SETTINGS if settings.get(key) is not None}


def special_tokens(settings: Mapping[str, Any]) -> dict[str, AddedToken]:
    """The special tokens by name, in the order in which the reference adds them.

    Of tokens with the same text the last one's flags count. Special tokens are found inside a text too.
    """
    declared = {token_text(token): token for token in settings.get("added_tokens_decoder", {}).values()}
    tokens = {}
    for name in TOKEN_NAMES:
        if text := token_text(settings.get(name)):
            token = declared.get(text, settings[name])
            values = token if isinstance(token, Mapping) else {}
            names = ("single_word", "lstrip", "rstrip", "normalized")
            flags = {flag: bool(values[flag]) for flag in names if flag in values}
            tokens[name] = AddedToken(text, special=True, **({"normalized": False} | flags))
    return tokens


def token_text(token: Any) -> str:
    """The text of a special token, which files give as a string or as an object with flags; "" for none."""
    return str(token.get("content", "")) if isinstance(token, Mapping) else str(token or "")


def has_tokenizer(folder: Path) -> bool:
    """Whether files of a tokenizer are in `folder`."""
    return any((folder / name).is_file() for name in _FILES)


def read_pipeline(folder: Path, settings: Mapping[str, Any]) -> Tokenizer:
    """See `Tokenizer.from_folder`. Raises CheckpointError, and what the library raises for broken files."""
    paths = tuple(folder / name for name in _FILES)
    try:
        return _read_pipeline(paths, settings)
    except Exception as error:
        for path in paths:
            if path.is_file() and (wrong := wrong_content(path)):
                raise CheckpointError(f"{path}: {wrong}") from error
        raise


def _read_pipeline(paths: Sequence[Path], settings: Mapping[str, Any]) -> Tokenizer:
    whole, vocabulary, merges, words = paths
    if whole.is_file():
        pipeline = Tokenizer.from_file(str(whole))
        _add_missing(pipeline, special_tokens(settings))
    elif vocabulary.is_file() and merges.is_file():
        pipeline = _byte_pairs(vocabulary, merges, settings)
    elif words.is_file():
        pipeline = _bert(words, special_tokens(BERT_TOKENS | dict(settings)))
    else:
        raise CheckpointError(
            f"{whole.parent}: no tokenizer in it; expected tokenizer.json, or vocab.json and merges.txt, or vocab.txt"
        )
    _set_normalizer(pipeline, settings)
    return pipeline


def tokenizer_class(pipeline: Tokenizer) -> str:
    """The reference's class of tokenizer, as `tokenizer_class` in its files, by the pipeline's words."""
    if isinstance(pipeline.model, models.WordPiece):
        return "BertTokenizer"
    return "RobertaTokenizer" if _is_roberta(pipeline.get_vocab()) else "CLIPTokenizer"


def _is_roberta(words: Mapping[str, Any]) -> bool:
    return _START not in words and {"<s>", "</s>", "<pad>"} <= words.keys()


def _byte_pairs(vocabulary: Path, merges: Path, settings: Mapping[str, Any]) -> Tokenizer:
    """Byte-level BPE: CLIP's or, by its words, RoBERTa's."""
    lines = merges.read_text(encoding="utf-8").split("\n")
    pairs: Any = [tuple(line.split(" ")) for line in lines[lines[0].startswith("#version") :] if line]
    words = read_checkpoint_json(vocabulary)
    tokens = special_tokens((ROBERTA_TOKENS if _is_roberta(words) else _CLIP_TOKENS) | dict(settings))
    if missing := {tokens[f"{which}_token"].content for which in ("bos", "eos")} - words.keys():
        raise CheckpointError(f"{vocabulary}: has no {' and no '.join(sorted(missing))}")
    if _is_roberta(words):
        return _roberta(words, pairs, tokens, space=bool(settings.get("add_prefix_space", False)))
    return _clip(words, pairs, tokens)


def _roberta(words: dict[str, int], pairs: Any, tokens: Mapping[str, AddedToken], space: bool) -> Tokenizer:
    """GPT-2's byte-level BPE between RoBERTa's start and end (Liu et al., 2019, section 4.4)."""
    bpe = models.BPE(vocab=words, merges=pairs, continuing_subword_prefix="", end_of_word_suffix="")
    pipeline: Any = Tokenizer(bpe)
    pipeline.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=space)
    return _with_ends(pipeline, tokens, "cls_token", "sep_token", add_prefix_space=space)


def _clip(words: dict[str, int], pairs: Any, tokens: Mapping[str, AddedToken]) -> Tokenizer:
    """CLIP's byte-level BPE (Radford et al., 2021, section 2.4) as the reference's release 5 has it: no ftfy."""
    bpe = models.BPE(
        vocab=words,
        merges=pairs,
        continuing_subword_prefix="",
        end_of_word_suffix="</w>",
        unk_token=tokens["unk_token"].content,
    )
    pipeline: Any = Tokenizer(bpe)
    pipeline.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    # Words with their apostrophes, digits one by one, runs of anything else.
    pattern = r"'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"
    special = "|".join(re.escape(token) for token in (_START, _END))
    split = pre_tokenizers.Split(Regex(f"{special}|{pattern}"), behavior="removed", invert=True)
    pipeline.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    return _with_ends(pipeline, tokens, "bos_token", "eos_token", trim_offsets=False, add_prefix_space=False)


def _with_ends(pipeline: Any, tokens: Mapping[str, AddedToken], start: str, end: str, **offsets: Any) -> Tokenizer:
    """The byte-level pipeline with its special tokens, the two of these names around each text."""
    pipeline.decoder = decoders.ByteLevel()
    pipeline.add_tokens(list(tokens.values()))
    first, last = ((tokens[name].content, pipeline.token_to_id(tokens[name].content)) for name in (start, end))
    pipeline.post_processor = processors.RobertaProcessing(last, first, **offsets)
    built: Tokenizer = pipeline
    return built


def _bert(words: Path, tokens: Mapping[str, AddedToken]) -> Tokenizer:
    """BERT's WordPiece (Devlin et al., 2019, section 3): a word a line, whose number in the file is its id."""
    lines = words.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    vocabulary = {word: number for number, word in enumerate(lines)}
    if missing := {token.content for token in tokens.values()} - vocabulary.keys() - {"[MASK]"}:
        raise CheckpointError(f"{words}: has no {' and no '.join(sorted(missing))}")
    pipeline: Any = Tokenizer(models.WordPiece(vocabulary, unk_token=tokens["unk_token"].content))
    pipeline.normalizer = normalizers.BertNormalizer()
    pipeline.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    pipeline.decoder = decoders.WordPiece(prefix="##")
    _add_missing(pipeline, tokens)
    start, end = tokens["cls_token"].content, tokens["sep_token"].content
    ids = [(token, vocabulary[token]) for token in (start, end)]
    pipeline.post_processor = processors.TemplateProcessing(single=[start, "$A", end], special_tokens=ids)
    built: Tokenizer = pipeline
    return built


def _set_normalizer(pipeline: Tokenizer, settings: Mapping[str, Any]) -> None:
    """BERT's normalizer as `tokenizer_config.json` says, which goes before what `tokenizer.json` says."""
    for name, attribute in _NORMALIZER_SETTINGS.items():
        if name in settings and isinstance(pipeline.normalizer, normalizers.BertNormalizer):
            setattr(pipeline.normalizer, attribute, settings[name])


def _add_missing(pipeline: Tokenizer, tokens: Mapping[str, AddedToken]) -> None:
    known = {token.content for token in pipeline.get_added_tokens_decoder().values()}
    pipeline.add_tokens([token for token in tokens.values() if token.content not in known])
