"""A checkpoint's tokenizer files: their settings, and the `tokenizers` library's pipeline, read whole or built."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors

from sightline.errors import CheckpointError
from sightline.files import read_checkpoint_json, wrong_content
from sightline.processing.pipelines import add_missing, byte_pairs, complete_decoder, set_ends, word_pieces
from sightline.processing.special_tokens import TOKEN_NAMES, extra_tokens, further_tokens, special_tokens

_FILES = ("tokenizer.json", "vocab.json", "merges.txt", "vocab.txt")
_NORMALIZER_SETTINGS = {"do_lower_case": "lowercase", "strip_accents": "strip_accents"}
_NORMALIZER_SETTINGS |= {"tokenize_chinese_chars": "handle_chinese_chars"}
"""BERT's settings: names in `tokenizer_config.json` and in the library's normalizer."""

CALL_SETTINGS = (
    "padding",
    "truncation",
    "max_length",
    "stride",
    "pad_to_multiple_of",
    "return_tensors",
    "return_attention_mask",
    "return_token_type_ids",
    "return_length",
)
"""Arguments of calls that files may hold: defaults of a processor's calls."""

KEPT_SETTINGS = (
    *_NORMALIZER_SETTINGS,
    *CALL_SETTINGS,
    "add_prefix_space",
    "trim_offsets",
    "errors",
    "model_input_names",
    "padding_side",
    "truncation_side",
    "clean_up_tokenization_spaces",
    "split_special_tokens",
    "extra_special_tokens",
    "additional_special_tokens",
    "model_specific_special_tokens",
)
"""Settings that are written back as they were read."""

_READ_SETTINGS = (*TOKEN_NAMES, *KEPT_SETTINGS, "added_tokens_decoder", "model_max_length", "tokenizer_class")


def read_settings(folder: Path) -> dict[str, Any]:
    """What the files beside the vocabulary say of limits, special tokens and normalization. Raises CheckpointError."""
    config, tokens = folder / "tokenizer_config.json", folder / "special_tokens_map.json"
    settings = read_checkpoint_json(config) if config.is_file() else {}
    if tokens.is_file() and "added_tokens_decoder" not in settings:
        settings |= read_checkpoint_json(tokens)
    return settings_of(settings)


def settings_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that count here, those with a value. `further_tokens` are at one place."""
    if further := further_tokens(settings):
        listed = settings.get("extra_special_tokens")
        settings = {**settings, "model_specific_special_tokens": further}
        settings["extra_special_tokens"] = None if isinstance(listed, Mapping) else listed
    return {key: settings[key] for key in _READ_SETTINGS if settings.get(key) is not None}


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
        add_missing(pipeline, special_tokens(settings))
    elif vocabulary.is_file() and merges.is_file():
        pipeline = byte_pairs(read_checkpoint_json(vocabulary), read_merges(merges), settings, vocabulary)
    elif words.is_file():
        pipeline = word_pieces(read_words(words), settings, words)
    else:
        raise CheckpointError(
            f"{whole.parent}: no tokenizer in it; expected tokenizer.json, or vocab.json and merges.txt, or vocab.txt"
        )
    _apply(pipeline, settings)
    add_missing(pipeline, extra_tokens(settings))
    set_ends(pipeline, settings)
    complete_decoder(pipeline)
    return pipeline


def read_merges(path: Path) -> list[tuple[str, ...]]:
    """Byte pairs in the order in which they are merged, one a line."""
    lines = path.read_text(encoding="utf-8").split("\n")
    return [tuple(line.split(" ")) for line in lines[lines[0].startswith("#version") :] if line]


def read_words(path: Path) -> dict[str, int]:
    """A word a line, whose number in the file is its id."""
    lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    return {word: number for number, word in enumerate(lines)}


def _apply(pipeline: Any, settings: Mapping[str, Any]) -> None:
    """What `tokenizer_config.json` says of BERT's normalizer and RoBERTa's spaces goes before `tokenizer.json`."""
    for name, attribute in _NORMALIZER_SETTINGS.items():
        if name in settings and isinstance(pipeline.normalizer, normalizers.BertNormalizer):
            setattr(pipeline.normalizer, attribute, settings[name])
    spaces = pipeline.pre_tokenizer
    is_roberta = isinstance(spaces, pre_tokenizers.ByteLevel)
    if is_roberta and "trim_offsets" in settings and isinstance(pipeline.post_processor, processors.RobertaProcessing):
        pipeline.post_processor.trim_offsets = bool(settings["trim_offsets"])
    space = settings.get("add_prefix_space")
    if space is not None and is_roberta and spaces.add_prefix_space != space:
        pipeline.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=bool(space))
        if isinstance(pipeline.post_processor, processors.RobertaProcessing):
            pipeline.post_processor.add_prefix_space = bool(space)
