"""The `tokenizers` library's pipeline of a checkpoint: read whole, or built from a vocabulary."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from sightline.errors import CheckpointError
from sightline.files import read_checkpoint_json
from sightline.processing.tokenizer_config import (
    BERT_TOKENS,
    CLIP_TOKENS,
    END,
    NORMALIZER_SETTINGS,
    ROBERTA_TOKENS,
    START,
    special_tokens,
)


def read_pipeline(folder: Path, settings: Mapping[str, Any]) -> Tokenizer:
    """From `tokenizer.json`, or `vocab.json` with `merges.txt` (CLIP's or, by its words, RoBERTa's), or `vocab.txt`.

    Raises CheckpointError, and whatever the library raises for broken files.
    """
    whole, vocabulary, merges = folder / "tokenizer.json", folder / "vocab.json", folder / "merges.txt"
    words = folder / "vocab.txt"
    if whole.is_file():
        pipeline = Tokenizer.from_file(str(whole))
        _add_missing(pipeline, special_tokens(settings))
    elif vocabulary.is_file() and merges.is_file():
        pipeline = _byte_pairs(vocabulary, merges, settings)
    elif words.is_file():
        pipeline = _bert(words, special_tokens(BERT_TOKENS | dict(settings)))
    else:
        raise CheckpointError(
            f"{folder}: no tokenizer in it; expected tokenizer.json, or vocab.json and merges.txt, or vocab.txt"
        )
    _set_normalizer(pipeline, settings)
    return pipeline


def tokenizer_class(pipeline: Tokenizer) -> str:
    """The reference's class of tokenizer, as `tokenizer_class` in its files, by the pipeline's words."""
    if isinstance(pipeline.model, models.WordPiece):
        return "BertTokenizer"
    return "RobertaTokenizer" if _is_roberta(pipeline.get_vocab()) else "CLIPTokenizer"


def _is_roberta(words: Mapping[str, Any]) -> bool:
    return START not in words and {"<s>", "</s>", "<pad>"} <= words.keys()


def _byte_pairs(vocabulary: Path, merges: Path, settings: Mapping[str, Any]) -> Tokenizer:
    """Byte-level BPE: CLIP's or, by its words, RoBERTa's."""
    lines = merges.read_text(encoding="utf-8").split("\n")
    pairs: Any = [tuple(line.split(" ")) for line in lines[lines[0].startswith("#version") :] if line]
    words = read_checkpoint_json(vocabulary)
    defaults, build = (ROBERTA_TOKENS, _roberta) if _is_roberta(words) else (CLIP_TOKENS, _clip)
    tokens = special_tokens(defaults | dict(settings))
    if missing := {tokens[f"{which}_token"].content for which in ("bos", "eos")} - words.keys():
        raise CheckpointError(f"{vocabulary}: has no {' and no '.join(sorted(missing))}")
    return build(words, pairs, tokens, settings)


def _roberta(
    words: dict[str, int], pairs: Any, tokens: Mapping[str, AddedToken], settings: Mapping[str, Any]
) -> Tokenizer:
    """GPT-2's byte-level BPE between RoBERTa's start and end (Liu et al., 2019, section 4.4)."""
    bpe = models.BPE(vocab=words, merges=pairs, continuing_subword_prefix="", end_of_word_suffix="")
    space = bool(settings.get("add_prefix_space", False))
    pipeline: Any = Tokenizer(bpe)
    pipeline.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=space)
    pipeline.decoder = decoders.ByteLevel()
    pipeline.add_tokens(list(tokens.values()))
    end, start = tokens["sep_token"].content, tokens["cls_token"].content
    pipeline.post_processor = processors.RobertaProcessing(
        (end, pipeline.token_to_id(end)), (start, pipeline.token_to_id(start)), add_prefix_space=space
    )
    built: Tokenizer = pipeline
    return built


def _clip(
    words: dict[str, int], pairs: Any, tokens: Mapping[str, AddedToken], settings: Mapping[str, Any]
) -> Tokenizer:
    """CLIP's byte-level BPE (Radford et al., 2021, section 2.4) as the reference's release 5 has it: no ftfy."""
    end, start = tokens["eos_token"].content, tokens["bos_token"].content
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
    pipeline.decoder = decoders.ByteLevel()
    pipeline.add_tokens(list(tokens.values()))
    pipeline.post_processor = processors.RobertaProcessing(
        (end, pipeline.token_to_id(end)),
        (start, pipeline.token_to_id(start)),
        trim_offsets=False,
        add_prefix_space=False,
    )
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
    for name, attribute in NORMALIZER_SETTINGS.items():
        if name in settings and isinstance(pipeline.normalizer, normalizers.BertNormalizer):
            setattr(pipeline.normalizer, attribute, settings[name])


def _add_missing(pipeline: Tokenizer, tokens: Mapping[str, AddedToken]) -> None:
    known = {token.content for token in pipeline.get_added_tokens_decoder().values()}
    pipeline.add_tokens([token for token in tokens.values() if token.content not in known])
