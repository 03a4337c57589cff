"""Texts in batches by their tokens: each once, bounded in tokens, texts and padding; and pairs of images and texts."""

from itertools import pairwise

import pytest
import transformers
from hypothesis import given, strategies as st

import sightline
from sightline.encoder.text_batches import SMALL, WASTE, by_cost, for_threads
from sightline.errors import UsageError
from support.examples import examples

LENGTHS = st.lists(st.integers(1, 100), max_size=120)


@given(LENGTHS, st.integers(1, 900), st.none() | st.integers(1, 40))
@examples(100)
def test_batches_are_bounded(lengths, tokens, rows):
    batches = list(by_cost(lengths, tokens, rows))
    assert sorted(place for batch in batches for place in batch) == list(range(len(lengths)))
    for batch in batches:
        own = [lengths[place] for place in batch]
        padded = len(batch) * max(own)
        assert own == sorted(own)
        assert len(batch) == 1 or padded <= tokens
        assert rows is None or len(batch) <= rows
        assert padded <= max(SMALL, (1 + WASTE) * sum(own))


@given(LENGTHS, st.integers(50, 900))
@examples(50)
def test_no_text_fits_into_the_batch_before(lengths, tokens):
    """Batches are as large as the bounds allow."""
    batches = list(by_cost(lengths, tokens))
    for batch, after in pairwise(batches):
        longer, count = lengths[after[0]], len(batch) + 1
        own = sum(lengths[place] for place in batch) + longer
        assert count * longer > min(tokens, max(SMALL, (1 + WASTE) * own))


@given(st.lists(st.integers(1, 40), min_size=1, max_size=30), st.integers(1, 4), st.none() | st.integers(1, 40))
@examples(100)
def test_few_texts_are_a_batch_for_each_thread(lengths, threads, rows):
    batches = for_threads(lengths, 640, threads, rows)
    assert sorted(place for batch in batches for place in batch) == list(range(len(lengths)))
    each = -(-len(lengths) // threads)
    if (rows is None or each <= rows) and (even := each * max(lengths)) <= SMALL:
        assert len(batches) <= threads
        assert max(len(batch) * lengths[batch[-1]] for batch in batches) <= even


def test_many_texts_are_batches_by_cost():
    lengths = [3, 9, 14, 22] * 200
    assert for_threads(lengths, 640, 2) == list(by_cost(lengths, 640))
    assert for_threads([], 640, 2) == []


class Words:
    """A tokenizer with a token a word."""

    def __call__(self, texts):
        return {"input_ids": [text.split() for text in texts]}


@given(st.lists(st.integers(0, 30), max_size=40), st.integers(1, 25))
@examples(100)
def test_each_pair_is_in_one_batch(counts, most):
    images, texts = list(range(len(counts))), [" ".join(["word"] * count) for count in counts]
    batches = sightline.dynamic_batching(images, texts, most, tokenizer=Words())
    assert [image for batch in batches for image in batch["images"]] == images
    assert [text for batch in batches for text in batch["texts"]] == texts
    for batch in batches:
        assert batch["token_count"] == sum(len(text.split()) for text in batch["texts"])
        assert batch["token_count"] <= most or len([text for text in batch["texts"] if text]) == 1


def test_tokens_are_counted_by_the_tokenizer_with_its_start_and_end():
    tokenizer = sightline.CLIPTokenizer.from_pretrained("mini")
    texts = ["a photo", "a red circle on sand", "a"]
    each = [len(tokenizer(text)["input_ids"]) for text in texts]
    processor = sightline.CLIPProcessor.from_pretrained("mini")
    for given_one in (None, tokenizer, processor):
        found = sightline.dynamic_batching(list("abc"), texts, 1, tokenizer=given_one)
        assert [batch["token_count"] for batch in found] == each
    assert sightline.dynamic_batching(list("abc"), texts, tokenizer=tokenizer)[0]["token_count"] == sum(each)


def test_a_tokenizer_of_the_reference_counts_the_same(tmp_path):
    ours = sightline.CLIPTokenizer.from_pretrained("mini")
    ours.save_pretrained(tmp_path)
    theirs = transformers.CLIPTokenizer.from_pretrained(tmp_path)
    texts = ["a photo of a dog", "two of them"]
    both = [sightline.dynamic_batching([1, 2], texts, 5, tokenizer=tokenizer) for tokenizer in (ours, theirs)]
    assert both[0] == both[1]


def test_no_pairs_make_no_batch():
    assert sightline.dynamic_batching([], []) == []


def test_what_is_wrong_is_named():
    with pytest.raises(UsageError, match="2 images and 1 texts"):
        sightline.dynamic_batching([1, 2], ["a"])
    with pytest.raises(UsageError, match="max_tokens is 0"):
        sightline.dynamic_batching([1], ["a"], 0)
    with pytest.raises(UsageError, match="tokenizer is a int"):
        sightline.dynamic_batching([1], ["a"], tokenizer=3)


def test_a_text_batch_size_bounds_the_texts(monkeypatch):
    encoder = sightline.load("mini", device="cpu", batch_size=3)
    sizes = []
    tower = encoder.text_side.tower
    embed = tower.embed
    monkeypatch.setattr(tower, "embed", lambda ids, mask: sizes.append(len(ids)) or embed(ids, mask))
    encoder.encode_text(["a red circle"] * 10)
    assert max(sizes) <= 3
    assert sum(sizes) == 10
