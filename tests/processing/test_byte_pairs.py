"""Token ids equal to transformers' RobertaTokenizer: every layout of files, many scripts."""

import json
import shutil

import numpy as np
import pytest
from transformers import RobertaTokenizer

from sightline.errors import CheckpointError
from sightline.processing.tokenizer import Tokenizer
from support.texts import strings

TEXTS = [*strings(1000), "", " ", "  two  spaces ", "a photo of cats", "Hund läuft, HUND!", "猫犬猫", "a" * 300]
TEXTS += ["<s> a <mask> b</s><pad>", "e\u0301clair", "\x00\ufffd\u00ad a\u200bb", "don't\n\tstop"]

SETTINGS = {
    "bare": None,
    "named": {"model_max_length": 64, "tokenizer_class": "RobertaTokenizer"},
    "spaced": {"add_prefix_space": True},
    "of another kind": {"pad_token": "a", "cls_token": "</s>", "sep_token": "<s>"},
    "a mask that takes the space": {"mask_token": {"content": "<mask>", "lstrip": True, "__type": "AddedToken"}},
}


def agree(ours: Tokenizer, reference: RobertaTokenizer, texts: list[str]) -> None:
    assert [ids.tolist() for ids in ours.token_ids(texts)] == reference(texts).input_ids
    expected = reference(texts, truncation=True, max_length=ours.max_length, padding=True, return_tensors="np")
    ids, mask = ours.pad(ours.encode(texts))
    np.testing.assert_array_equal(ids, expected.input_ids)
    np.testing.assert_array_equal(mask, expected.attention_mask)
    assert not ours.has_token_types
    ends = (reference.pad_token_id, reference.cls_token_id, reference.sep_token_id)
    assert (ours.pad_id, ours.bos_id, ours.eos_id) == ends


@pytest.mark.parity
@pytest.mark.parametrize("whole", [False, True], ids=["vocab.json", "tokenizer.json"])
@pytest.mark.parametrize("name", SETTINGS)
def test_ids_are_the_references_in_every_layout_and_after_saving(byte_pairs, tmp_path, name, whole):
    folder = tmp_path / "theirs"
    shutil.copytree(byte_pairs, folder)
    if SETTINGS[name] is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(SETTINGS[name]))
    if whole:
        RobertaTokenizer.from_pretrained(folder).save_pretrained(folder)
        (folder / "vocab.json").unlink()
        (folder / "merges.txt").unlink()
    ours, reference = Tokenizer.from_folder(folder, 100), RobertaTokenizer.from_pretrained(folder)
    agree(ours, reference, TEXTS)
    (tmp_path / "ours").mkdir()
    ours.save(tmp_path / "ours")
    again = RobertaTokenizer.from_pretrained(tmp_path / "ours")
    agree(Tokenizer.from_folder(tmp_path / "ours"), again, TEXTS)
    assert again(TEXTS).input_ids == reference(TEXTS).input_ids
    assert again.special_tokens_map == reference.special_tokens_map
    assert again.model_max_length == ours.max_length


def test_tokenizer_json_alone_knows_its_padding(byte_pairs, tmp_path):
    RobertaTokenizer.from_pretrained(byte_pairs).save_pretrained(tmp_path)
    (tmp_path / "tokenizer_config.json").unlink()
    agree(Tokenizer.from_folder(tmp_path, 50), RobertaTokenizer.from_pretrained(tmp_path), TEXTS[:50])


def test_a_vocabulary_without_its_special_words_is_named(byte_pairs, tmp_path):
    shutil.copytree(byte_pairs, tmp_path, dirs_exist_ok=True)
    (tmp_path / "tokenizer_config.json").write_text('{"sep_token": "<end>", "eos_token": "<end>"}')
    with pytest.raises(CheckpointError, match=r"vocab\.json: has no <end>"):
        Tokenizer.from_folder(tmp_path, 64)
