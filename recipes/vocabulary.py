"""Vocabularies learned from captions: CLIP's kind for CLIP, GroupViT and X-CLIP, BERT's for ALIGN."""

import json
import string
from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

LIMIT = 1_024  # the scenes' own words are fewer
START, END = "<|startoftext|>", "<|endoftext|>"


def byte_pairs(captions: Iterable[str], tokens: int, limit: int = LIMIT) -> Tokenizer:
    """CLIP's kind of tokenizer (NFC, white space folded, lower case, byte-level BPE, `</w>`), texts cut at `tokens`.

    `limit`: of what is learned, single bytes among it.
    """

    def tokenizer(model: models.BPE) -> Tokenizer:
        made = Tokenizer(model)
        made.normalizer = normalizers.Sequence(
            [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
        )
        words = rf"{START}|{END}|'s|'t|'re|'ve|'m|'ll|'d|[\p{{L}}]+|[\p{{N}}]|[^\s\p{{L}}\p{{N}}]+"
        words = words.replace("|>", r"\|>").replace("<|", r"<\|")
        made.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(words), behavior="removed", invert=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False),
            ]
        )
        return made

    learner = tokenizer(models.BPE(end_of_word_suffix="</w>"))
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=limit, end_of_word_suffix="</w>", initial_alphabet=alphabet, show_progress=False
    )
    learner.train_from_iterator(captions, trainer)
    merges = [tuple(pair) for pair in json.loads(learner.to_str())["model"]["merges"]]
    # Every byte, inside a word and at its end, so that any string has tokens; then what was learned.
    learned = [*alphabet, *(f"{letter}</w>" for letter in alphabet), *("".join(pair) for pair in merges), START, END]
    ids = {token: i for i, token in enumerate(dict.fromkeys(learned))}
    made = tokenizer(models.BPE(vocab=ids, merges=merges, end_of_word_suffix="</w>", unk_token=END))
    made.add_special_tokens([START, END])
    made.post_processor = processors.RobertaProcessing(
        (END, ids[END]), (START, ids[START]), trim_offsets=False, add_prefix_space=False
    )
    made.enable_truncation(tokens)
    return made


def number_of(token: str, tokenizer: Tokenizer) -> int:
    """The id of a token that the tokenizer has."""
    number = tokenizer.token_to_id(token)
    assert number is not None, token
    return number


def clip_settings(tokens: int) -> dict[str, object]:
    """The `tokenizer_config.json` beside such a tokenizer."""
    return {
        "tokenizer_class": "CLIPTokenizer",
        "bos_token": START,
        "eos_token": END,
        "pad_token": END,
        "unk_token": END,
        "model_max_length": tokens,
    }


SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def word_pieces(captions: Iterable[str], tokens: int) -> Tokenizer:
    """BERT's kind of tokenizer (cleaned, lower case without accents, WordPiece), texts cut at `tokens`.

    Between equally frequent pairs the library chooses by chance: from run to run pieces inside words differ. The words
    that captions consist of are whole tokens; in three runs they had the same ids.
    """

    def tokenizer(model: models.WordPiece) -> Tokenizer:
        made = Tokenizer(model)
        made.normalizer = normalizers.BertNormalizer()
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        return made

    learner = tokenizer(models.WordPiece(unk_token="[UNK]"))
    learner.train_from_iterator(captions, trainers.WordPieceTrainer(vocab_size=LIMIT, show_progress=False))
    # Letters and digits, at a word's start and inside, so that any English word has tokens; then what was learned.
    alphabet = string.ascii_lowercase + string.digits
    numbers = learner.get_vocab()
    learned = sorted(numbers, key=lambda token: numbers[token])
    known = dict.fromkeys([*SPECIAL, *alphabet, *(f"##{letter}" for letter in alphabet), *string.punctuation, *learned])
    ids = {token: i for i, token in enumerate(known)}
    made = tokenizer(models.WordPiece(vocab=ids, unk_token="[UNK]"))
    made.add_special_tokens(list(SPECIAL))
    made.post_processor = processors.BertProcessing(("[SEP]", ids["[SEP]"]), ("[CLS]", ids["[CLS]"]))
    made.decoder = decoders.WordPiece()
    made.enable_truncation(tokens)
    return made


def bert_settings(tokens: int) -> dict[str, object]:
    """The `tokenizer_config.json` beside such a tokenizer."""
    return {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": True,
        **{f"{token[1:-1].lower()}_token": token for token in SPECIAL},
        "model_max_length": tokens,
    }
