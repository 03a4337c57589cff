"""The `tokenizers` library's pipelines: built from a vocabulary as each kind of tokenizer has them, and copied."""

import re
from collections.abc import Mapping
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from sightline.errors import CheckpointError
from sightline.processing.special_tokens import (
    BERT_TOKENS,
    CLIP_TOKENS,
    END,
    ROBERTA_TOKENS,
    START,
    special_tokens,
    token_text,
)

GENERAL = ("PreTrainedTokenizerFast", "TokenizersBackend")
"""Classes of the reference, as files name them, that take a pipeline as it stands."""
PARTS = ("normalizer", "pre_tokenizer", "post_processor", "decoder")


def tokenizer_class(pipeline: Tokenizer) -> str:
    """The reference's class of tokenizer, as `tokenizer_class` in its files, by the pipeline's words."""
    if isinstance(pipeline.model, models.WordPiece):
        return "BertTokenizer"
    return "RobertaTokenizer" if is_roberta(pipeline.get_vocab()) else "CLIPTokenizer"


def is_roberta(words: Mapping[str, Any]) -> bool:
    return START not in words and {"<s>", "</s>", "<pad>"} <= words.keys()


def byte_pairs(words: dict[str, int], pairs: Any, settings: Mapping[str, Any], source: Any) -> Tokenizer:
    """Byte-level BPE: CLIP's or, by its words, RoBERTa's. `source` names the vocabulary in errors."""
    roberta = is_roberta(words)
    tokens = special_tokens((ROBERTA_TOKENS if roberta else CLIP_TOKENS) | dict(settings))
    if missing := {tokens[f"{which}_token"].content for which in ("bos", "eos")} - words.keys():
        raise CheckpointError(f"{source}: has no {' and no '.join(sorted(missing))}")
    if roberta:
        return _roberta(words, pairs, tokens, settings)
    return _clip(words, pairs, tokens)


def _roberta(
    words: dict[str, int], pairs: Any, tokens: Mapping[str, AddedToken], settings: Mapping[str, Any]
) -> Tokenizer:
    """GPT-2's byte-level BPE between RoBERTa's start and end (Liu et al., 2019, section 4.4)."""
    space, trims = bool(settings.get("add_prefix_space", False)), bool(settings.get("trim_offsets", True))
    bpe = models.BPE(vocab=words, merges=pairs, continuing_subword_prefix="", end_of_word_suffix="")
    pipeline: Any = Tokenizer(bpe)
    pipeline.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=space)
    return _with_ends(pipeline, tokens, "cls_token", "sep_token", trim_offsets=trims, add_prefix_space=space)


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
    special = "|".join(re.escape(token) for token in (START, END))
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


def word_pieces(vocabulary: dict[str, int], settings: Mapping[str, Any], source: Any) -> Tokenizer:
    """BERT's WordPiece (Devlin et al., 2019, section 3). `source` names the vocabulary in errors."""
    tokens = special_tokens(BERT_TOKENS | dict(settings))
    usual = {token.content for name, token in tokens.items() if token.content == BERT_TOKENS.get(name)}
    if missing := usual - vocabulary.keys() - {"[MASK]"}:
        raise CheckpointError(f"{source}: has no {' and no '.join(sorted(missing))}")
    pipeline: Any = Tokenizer(models.WordPiece(vocabulary, unk_token=tokens["unk_token"].content))
    pipeline.normalizer = normalizers.BertNormalizer(
        lowercase=bool(settings.get("do_lower_case", True)),
        strip_accents=settings.get("strip_accents"),
        handle_chinese_chars=bool(settings.get("tokenize_chinese_chars", True)),
    )
    pipeline.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    pipeline.decoder = decoders.WordPiece(prefix="##")
    add_missing(pipeline, tokens)
    _set_template(pipeline, tokens["cls_token"].content, tokens["sep_token"].content)
    built: Tokenizer = pipeline
    return built


def set_ends(pipeline: Any, settings: Mapping[str, Any]) -> None:
    """The start, end and unknown token that the settings name go before the pipeline's, and a WordPiece pipeline
    that says how one text is enclosed, but not two, encloses two as BERT does."""
    ends = pipeline.encode("").tokens
    if len(ends) != 2 or settings.get("tokenizer_class") in GENERAL:
        return
    is_pieces = isinstance(pipeline.model, models.WordPiece)
    unknown = token_text(settings.get("unk_token"))
    if unknown and getattr(pipeline.model, "unk_token", None) not in (None, unknown):
        pipeline.model.unk_token = unknown
    names = ("bos_token", "eos_token") if pipeline.token_to_id(START) is not None else ("cls_token", "sep_token")
    wanted = [token_text(settings.get(name)) or end for name, end in zip(names, ends, strict=True)]
    if is_pieces and (wanted != ends or pipeline.num_special_tokens_to_add(True) < 3):
        _set_template(pipeline, *wanted)
    elif wanted != ends:
        space = bool(settings.get("add_prefix_space", False))
        trims = names[0] == "cls_token" and bool(settings.get("trim_offsets", True))
        first, last = ((token, pipeline.token_to_id(token)) for token in wanted)
        pipeline.post_processor = processors.RobertaProcessing(last, first, trim_offsets=trims, add_prefix_space=space)


def complete_decoder(pipeline: Any) -> None:
    """A byte-pair pipeline whose file doesn't say how tokens become a text makes one of their bytes."""
    if isinstance(pipeline.model, models.BPE) and pipeline.decoder is None:
        pipeline.decoder = decoders.ByteLevel()


def _set_template(pipeline: Any, start: str, end: str) -> None:
    pipeline.post_processor = processors.TemplateProcessing(
        single=[start, "$A", end],
        pair=[start, "$A", end, "$B:1", f"{end}:1"],
        special_tokens=[(token, pipeline.token_to_id(token)) for token in dict.fromkeys((start, end))],
    )


def add_missing(pipeline: Tokenizer, tokens: Mapping[str, AddedToken]) -> None:
    """Adds those tokens that the pipeline doesn't have as added ones."""
    known = {token.content for token in pipeline.get_added_tokens_decoder().values()}
    pipeline.add_tokens([token for token in tokens.values() if token.content not in known])


def copied(pipeline: Tokenizer) -> Tokenizer:
    """A pipeline that does the same, with neither truncation nor padding, and can have other parts and added tokens.

    Both share the trained model and the parts; a copy by way of JSON, where added tokens leave ids free, shares none.
    """
    source: Any = pipeline
    copy: Any = Tokenizer(source.model)
    for part in PARTS:
        if getattr(source, part) is not None:
            setattr(copy, part, getattr(source, part))
    added = source.get_added_tokens_decoder()
    copy.add_tokens([added[number] for number in sorted(added)])
    if copy.get_added_tokens_decoder() != added:
        copy = Tokenizer.from_str(source.to_str())
        copy.no_truncation()
        copy.no_padding()
    copy.encode_special_tokens = source.encode_special_tokens
    made: Tokenizer = copy
    return made
