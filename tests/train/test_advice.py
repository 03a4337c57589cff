"""What a run says of its captions before the first step."""

from pathlib import Path

import pytest

from sightline import CLIPProcessor
from sightline.data import Captions, LeftOut, Sample
from sightline.errors import SightlineError
from sightline.train import Recipe, advice
from sightline.train.advice import memory_advice, remarks


@pytest.fixture(scope="module")
def tokenizer():
    return CLIPProcessor.from_pretrained("mini").tokenizer.tokenizer


def said(tokenizer, captions, **changes):
    samples = tuple(Sample(str(i), Path(f"{i}.png"), tuple(texts)) for i, texts in enumerate(captions))
    recipe = Recipe(**{"model": "mini", "data": "x.csv", "steps": 1, **changes})
    return remarks(Captions("x", samples), tokenizer, recipe)


def test_nothing_is_said_of_captions_that_need_nothing(tokenizer):
    assert said(tokenizer, [["a dog", "a dog"], ["a cat"]]) == []


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({}, "in a batch they count as wrong answers for each other; --equal-captions ignored does not"),
        ({"equal_captions": "ignored"}, "in a batch they are not compared with each other"),
        ({"loss": len}, "to the recipe's loss they may be wrong answers"),
    ],
)
def test_equal_captions_are_counted_with_what_becomes_of_them(tokenizer, changes, advice):
    (line,) = said(tokenizer, [[text] for text in ("red", "green", "blue", "grey") for _ in range(8)], **changes)
    assert line.startswith("32 captions, 4 different; 32 of 32 images share a caption")
    assert advice in line


def test_captions_that_are_cut_are_counted(tokenizer, monkeypatch):
    limit = tokenizer.max_length
    words = "red " * (limit - 2)  # with start and end as many tokens as the model takes
    texts = [words, words + "red", "a red disc", "狗" * limit, "狗"]
    assert [len(ids) for ids in tokenizer.token_ids(texts[:2])] == [limit, limit + 1]
    cut, spelled = said(tokenizer, [[text] for text in texts])
    assert cut == f"2 of 5 captions are longer than the model's {limit} tokens and are cut there"
    assert spelled.startswith("2 of 5 captions are mostly words that mini spells byte by byte, such as “狗狗狗")
    monkeypatch.setattr(advice, "_LOOKED_AT", 3)  # the first, the middle one, the last
    assert said(tokenizer, [[text] for text in (words + "red", *"abc", texts[1] + " disc")]) == [
        f"2 of 3 (of 5, as many were counted) captions are longer than the model's {limit} tokens and are cut there"
    ]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({}, "64 images at a time: add --micro-batch-size 32, .* or --grad-checkpointing, or --precision bfloat16"),
        (
            {"micro_batch_size": 8, "grad_checkpointing": True},
            "8 images at a time: add --micro-batch-size 4, .*bfloat16",
        ),
        (
            {"micro_batch_size": 1, "grad_checkpointing": True, "precision": "bfloat16"},
            "1 images at a time: train a smaller model",
        ),
    ],
)
@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_no_memory_names_the_options_that_are_left(changes, named, error):
    recipe = Recipe(model="mini", data="x.csv", steps=1, **changes)
    with pytest.raises(SightlineError, match=f"step 5: not enough memory for {named}"), memory_advice(recipe, 5, 64):
        raise error
    with pytest.raises(RuntimeError, match="another"), memory_advice(recipe, 5, 64):
        raise RuntimeError("another")


def test_what_the_data_lack_is_said_first(tokenizer):
    left_out = LeftOut()
    left_out.add("with no caption", "a.jpg")
    data = Captions("x", (Sample("a", Path("a"), ("a",)), Sample("b", Path("b"), ("a",))), left_out)
    first, second = remarks(data, tokenizer, Recipe(model="mini", data="x.csv", steps=1))
    assert first == "left out of the data: 1 with no caption: a.jpg"
    assert second.startswith("2 captions, 1 different")
