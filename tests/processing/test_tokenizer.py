"""Token ids equal to transformers' CLIPTokenizer: every layout of files, many scripts, any length."""

import json
import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tokenizers
from hypothesis import given, strategies as st
from transformers import CLIPTokenizer

from sightline.errors import CheckpointError, UsageError
from sightline.processing.text_counts import TextCounts
from sightline.processing.tokenizer import Tokenizer
from support.examples import examples
from support.texts import strings

TEXTS = [*strings(10_000), "", " ", "a" * 10_000, "naïve café " * 1_000, "猫" * 300]
BARE = '{"<|startoftext|>": 0, "<|endoftext|>": 1, "a": 2}'
FLAGS = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": True}


def flagged(content, **flags):
    return {"content": content, **FLAGS, **flags}


def added(content, **flags):
    return {"__type": "AddedToken", **flagged(content, **flags)}


# What lies beside the vocabulary, as the checkpoints of several years have it.
LAYOUTS = {
    "bare": {},
    "old": {
        "tokenizer_config.json": {
            "unk_token": added("<|endoftext|>"),
            "bos_token": added("<|startoftext|>"),
            "eos_token": added("<|endoftext|>"),
            "pad_token": "<|endoftext|>",
            "model_max_length": 77,
            "name_or_path": "somewhere",
            "special_tokens_map_file": "/nowhere",
        },
        "special_tokens_map.json": {
            "bos_token": flagged("<|startoftext|>"),
            "eos_token": flagged("<|endoftext|>"),
            "pad_token": "<|endoftext|>",
        },
    },
    "decoder": {
        "tokenizer_config.json": {
            "added_tokens_decoder": {
                "0": flagged("<|startoftext|>", special=True),
                "1": flagged("<|endoftext|>", normalized=False, special=True),
            },
            "bos_token": "<|startoftext|>",
            "model_max_length": 77,
        }
    },
    "padded with zero": {"tokenizer_config.json": {"pad_token": "!", "model_max_length": 77}},
}


@pytest.fixture(params=[*LAYOUTS, "tokenizer.json", "tokenizer.json, flags", "tokenizer.json, other pad"])
def folder(request, vocabulary, tmp_path):
    """A tokenizer's folder in one of the layouts."""
    name = request.param
    shutil.copytree(vocabulary, tmp_path, dirs_exist_ok=True)
    size = len(json.loads((vocabulary / "vocab.json").read_text()))
    for file, data in LAYOUTS.get(name, {}).items():
        if tokens := data.get("added_tokens_decoder"):
            data = data | {"added_tokens_decoder": {str(size - 2 + int(i)): token for i, token in tokens.items()}}
        (tmp_path / file).write_text(json.dumps(data))
    if name not in LAYOUTS:
        CLIPTokenizer.from_pretrained(tmp_path).save_pretrained(tmp_path)
        for file in ("vocab.json", "merges.txt"):
            (tmp_path / file).unlink()
    if name == "tokenizer.json, flags":
        whole = json.loads((tmp_path / "tokenizer.json").read_text())
        for token in whole["added_tokens"]:
            token["normalized"] = True
        (tmp_path / "tokenizer.json").write_text(json.dumps(whole))
        (tmp_path / "tokenizer_config.json").unlink()
    if name == "tokenizer.json, other pad":
        config = json.loads((tmp_path / "tokenizer_config.json").read_text())
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(config | {"pad_token": "!"}))
    return tmp_path


@pytest.fixture(scope="module")
def tokenizer(vocabulary):
    return Tokenizer.from_folder(vocabulary, 77)


@pytest.fixture(scope="module")
def reference(vocabulary):
    return CLIPTokenizer.from_pretrained(vocabulary)


def agree(ours, reference, texts):
    assert [ids.tolist() for ids in ours.token_ids(texts)] == reference(texts).input_ids
    expected = reference(texts, truncation=True, max_length=77, padding=True, return_tensors="np")
    ids, mask = ours.pad(ours.encode(texts))
    np.testing.assert_array_equal(ids, expected.input_ids)
    np.testing.assert_array_equal(mask, expected.attention_mask)
    assert (ours.pad_id, ours.eos_id) == (reference.pad_token_id, reference.eos_token_id)


@pytest.mark.parity
def test_ids_are_the_references_in_every_layout_and_after_saving(folder, tmp_path_factory):
    texts = (
        TEXTS if (folder / "vocab.json").exists() and not (folder / "tokenizer_config.json").exists() else TEXTS[::7]
    )
    ours, reference = Tokenizer.from_folder(folder, 77), CLIPTokenizer.from_pretrained(folder)
    agree(ours, reference, texts)
    copy = tmp_path_factory.mktemp("saved")
    ours.save(copy)
    agree(Tokenizer.from_folder(copy), CLIPTokenizer.from_pretrained(copy), texts[::5])
    assert CLIPTokenizer.from_pretrained(copy).model_max_length == 77


@pytest.mark.shared
def test_ids_are_the_references_with_clips_own_vocabulary(shared, tmp_path):
    for kind in ("vocab.json", "merges.txt"):
        shutil.copy(shared / "data" / "vocab" / f"clip-{kind}", tmp_path / kind)
    agree(Tokenizer.from_folder(tmp_path, 77), CLIPTokenizer.from_pretrained(tmp_path), TEXTS)
    checkpoint = shared / "checkpoints" / "clip-flickr8k"
    agree(Tokenizer.from_folder(checkpoint), CLIPTokenizer.from_pretrained(checkpoint), TEXTS[::5])


@examples(300)
@given(texts=st.lists(st.text(max_size=40), max_size=4))
def test_any_text(tokenizer, reference, texts):
    for text in texts:
        ids = tokenizer.token_ids([text])[0].tolist()
        assert ids == reference(text).input_ids
        for skip in (False, True):
            assert tokenizer.decode(ids, skip) == reference.decode(ids, skip_special_tokens=skip)


@examples(100)
@given(length=st.integers(0, 200), limit=st.integers(2, 100))
def test_a_cut_text_ends_with_its_end_token(tokenizer, length, limit):
    ids = np.r_[1, np.full(length, 5), tokenizer.eos_id]
    cut = tokenizer.truncate(ids, limit)
    assert len(cut) == min(len(ids), limit)
    assert cut[-1] == tokenizer.eos_id
    assert (cut[:-1] == ids[: len(cut) - 1]).all()


def test_padding(tokenizer):
    rows = tokenizer.encode(["a cat", "", "a photo of a red cat"])
    ids, mask = tokenizer.pad(rows)
    assert ids.dtype == mask.dtype == np.int64
    assert ids.shape == mask.shape == (3, max(map(len, rows)))
    assert mask.sum(axis=1).tolist() == [len(row) for row in rows]
    assert (ids[mask == 0] == tokenizer.pad_id).all()
    assert tokenizer.pad(rows, 30)[0].shape == (3, 30)
    assert tokenizer.pad([])[0].shape == (0, 0)


@pytest.mark.parametrize(
    ("said", "asked", "expected"),
    [
        ({"model_max_length": 64}, None, 64),
        ({"model_max_length": 64}, 77, 64),
        ({"model_max_length": 77}, 32, 32),
        ({"model_max_length": 10**30}, 77, 77),
        ({"model_max_length": 1e30}, 77, 77),
        ({}, 77, 77),
    ],
)
def test_the_least_limit_counts(vocabulary, tmp_path, said, asked, expected):
    shutil.copytree(vocabulary, tmp_path, dirs_exist_ok=True)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(said))
    assert Tokenizer.from_folder(tmp_path, asked).max_length == expected


def test_a_limit_and_padding_in_tokenizer_json_are_read_and_not_applied(vocabulary, tmp_path, tokenizer):
    reference = CLIPTokenizer.from_pretrained(vocabulary)
    reference.backend_tokenizer.enable_truncation(20)
    reference.backend_tokenizer.enable_padding(pad_id=5, pad_token="!", length=40)
    reference.backend_tokenizer.save(str(tmp_path / "tokenizer.json"))
    ours = Tokenizer.from_folder(tmp_path)
    text = "a photo of a red cat " * 10
    assert ours.max_length == 20
    assert ours.pad_id == CLIPTokenizer.from_pretrained(tmp_path).pad_token_id
    assert ours.token_ids([text])[0].tolist() == tokenizer.token_ids([text])[0].tolist()


def test_half_a_surrogate_pair_is_a_question_mark(tokenizer):
    assert tokenizer.encode(["a \udc80 b"])[0].tolist() == tokenizer.encode(["a ? b"])[0].tolist()


def test_many_threads_share_one(tokenizer):
    texts = TEXTS[:400]
    expected = [ids.tolist() for ids in tokenizer.encode(texts)]
    with ThreadPoolExecutor(8) as pool:
        for rows in pool.map(lambda _: tokenizer.encode(texts), range(16)):
            assert [ids.tolist() for ids in rows] == expected


@pytest.mark.parametrize("bad", [3, None, b"bytes", ["nested"]])
def test_what_is_no_string_is_refused(tokenizer, bad):
    with pytest.raises(UsageError, match="strings"):
        tokenizer.encode(["fine", bad])


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({}, "no tokenizer in it"),
        ({"vocab.json": "{}"}, "no tokenizer in it"),
        ({"vocab.json": "{}", "merges.txt": ""}, "an empty file"),
        ({"vocab.json": "{}", "merges.txt": "#version"}, "has no"),
        ({"vocab.json": "[1]", "merges.txt": "#version"}, "expected an object"),
        ({"vocab.json": BARE, "merges.txt": "#version\na b c\n"}, "can't be read"),
        ({"tokenizer.json": "{}"}, "can't be read"),
        ({"tokenizer.json": "no json"}, "can't be read"),
        ({"tokenizer.json": "{}", "tokenizer_config.json": "no json"}, "not JSON"),
    ],
)
def test_files_that_are_no_tokenizer_are_named(tmp_path, files, says):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(CheckpointError, match=says) as caught:
        Tokenizer.from_folder(tmp_path, 77)
    assert str(tmp_path) in str(caught.value)


def test_a_template_with_a_token_that_is_missing_is_an_error(tmp_path):
    pipeline = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0, "<s>": 1, "</s>": 2}, unk_token="a"))
    ends = [("<s>", 1), ("</s>", 2)]
    pipeline.post_processor = tokenizers.processors.TemplateProcessing(single="<s> $A </s>", special_tokens=ends)
    content = json.loads(pipeline.to_str())
    del content["post_processor"]["special_tokens"]["</s>"]
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match="can't be read"):  # the library panics
        Tokenizer.from_folder(tmp_path, 77)


def test_no_limit_anywhere_is_an_error(vocabulary):
    with pytest.raises(CheckpointError, match="model_max_length"):
        Tokenizer.from_folder(vocabulary)


@pytest.mark.parametrize(
    "text", ["a" * 100_000, "猫" * 100_000, "so long " * 20_000, " " * 90_000 + "a cat", "a\u0301" * 9_000]
)
def test_of_a_long_text_only_the_beginning_is_read(tokenizer, text):
    started = time.process_time()
    (ids,) = tokenizer.encode([text])
    assert time.process_time() - started < 5  # minutes, if all of the first two were read
    (expected,) = tokenizer.token_ids([text[:95_000] if text[0] == " " else text[:4_000]])
    assert np.array_equal(ids, tokenizer.truncate(expected, tokenizer.max_length))


def test_long_texts_are_counted_as_cut(tokenizer):
    counts = TextCounts()
    tokenizer.encode(["a cat", "a" * 5_000, " " * 9_000 + "a cat"], counts)
    assert (counts.texts, counts.cut) == (3, 1)
