"""Token ids equal to transformers' BertTokenizer: every layout of files, many scripts."""

import json
import shutil

import numpy as np
import pytest
from transformers import BertTokenizer

from sightline.errors import CheckpointError
from sightline.processing.tokenizer import Tokenizer
from support.texts import strings

TEXTS = [
    *strings(1500),
    "",
    " ",
    "a" * 300,
    "a photo of cats",
    "Hund läuft, HUND LÄUFT!",
    "naïve café " * 300,
    "猫犬猫",
]
TEXTS += ["[CLS] a [MASK] [SEP] [PAD] [pad]", "e\u0301clair", "\x00\ufffd\u00ad a\u200bb", "don't"]

SETTINGS = {
    "bare": None,
    "uncased": {"do_lower_case": True, "model_max_length": 512, "tokenizer_class": "BertTokenizer"},
    "cased": {"do_lower_case": False, "model_max_length": 64},
    "accents kept": {"do_lower_case": True, "strip_accents": False},
    "accents off, cased": {"do_lower_case": False, "strip_accents": True},
    "Chinese in words": {"tokenize_chinese_chars": False},
    "of another kind": {"pad_token": "[unused0]", "cls_token": "[SEP]", "sep_token": "[CLS]"},
    "untyped": {"model_input_names": ["input_ids", "attention_mask"]},
}


def agree(ours: Tokenizer, reference: BertTokenizer, texts: list[str]) -> None:
    assert [ids.tolist() for ids in ours.token_ids(texts)] == reference(texts).input_ids
    expected = reference(texts, truncation=True, max_length=ours.max_length, padding=True, return_tensors="np")
    ids, mask = ours.pad(ours.encode(texts))
    np.testing.assert_array_equal(ids, expected.input_ids)
    np.testing.assert_array_equal(mask, expected.attention_mask)
    assert ours.has_token_types == ("token_type_ids" in expected)
    ends = (reference.pad_token_id, reference.cls_token_id, reference.sep_token_id)
    assert (ours.pad_id, ours.bos_id, ours.eos_id) == ends
    assert [ours.decode(row) for row in ids[::50]] == [reference.decode(row) for row in ids[::50]]


@pytest.mark.parity
@pytest.mark.parametrize("whole", [False, True], ids=["vocab.txt", "tokenizer.json"])
@pytest.mark.parametrize("name", SETTINGS)
def test_ids_are_the_references_in_every_layout_and_after_saving(word_pieces, tmp_path, name, whole):
    folder = tmp_path / "theirs"
    shutil.copytree(word_pieces, folder)
    if SETTINGS[name] is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(SETTINGS[name]))
    if whole:
        BertTokenizer.from_pretrained(folder).save_pretrained(folder)
        (folder / "vocab.txt").unlink()
    ours, reference = Tokenizer.from_folder(folder, 100), BertTokenizer.from_pretrained(folder)
    agree(ours, reference, TEXTS)
    (tmp_path / "ours").mkdir()
    ours.save(tmp_path / "ours")
    again = BertTokenizer.from_pretrained(tmp_path / "ours")
    agree(Tokenizer.from_folder(tmp_path / "ours"), again, TEXTS)
    assert again(TEXTS).input_ids == reference(TEXTS).input_ids
    assert again.special_tokens_map == reference.special_tokens_map
    assert again.model_max_length == ours.max_length


@pytest.mark.shared
def test_ids_are_the_references_with_berts_own_vocabulary(shared, tmp_path):
    shutil.copy(shared / "data" / "vocab" / "bert-uncased-vocab.txt", tmp_path / "vocab.txt")
    agree(Tokenizer.from_folder(tmp_path, 512), BertTokenizer.from_pretrained(tmp_path), strings(10_000))


def test_the_settings_beside_it_go_before_tokenizer_json(word_pieces, tmp_path):
    BertTokenizer.from_pretrained(word_pieces, do_lower_case=False).save_pretrained(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"do_lower_case": true}')
    agree(Tokenizer.from_folder(tmp_path, 64), BertTokenizer.from_pretrained(tmp_path), ["Hund läuft", "CATS"])


def test_a_vocabulary_without_its_special_words_is_named(tmp_path):
    (tmp_path / "vocab.txt").write_text("[PAD]\n[CLS]\na\n")
    with pytest.raises(CheckpointError, match=r"vocab\.txt: has no \[SEP\] and no \[UNK\]"):
        Tokenizer.from_folder(tmp_path, 64)
