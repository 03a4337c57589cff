"""Nouns of captions as prompts: found, sampled, in batches."""

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from sightline import CLIPProcessor, scenes
from sightline.data import Sample
from sightline.errors import UsageError
from sightline.train.loader import Loader
from sightline.train.nouns import CAPTION, TEMPLATES, Nouns, number
from support.examples import examples

WORDS = ["dog", "hot dog", "cat", "bus", "glass", "café", "T-shirt"]


@pytest.mark.parametrize(
    ("caption", "found"),
    [
        ("A dog and two cats", ["dog", "cat"]),
        ("hot dogs for the dog", ["hot dog", "dog"]),
        ("DOG, dog; Dog!", ["dog"]),
        ("a doghouse, a bobcat, concatenated", []),
        ("buses of glasses", ["bus", "glass"]),
        ("a t-shirt in a CAFÉ", ["T-shirt", "café"]),
        ("", []),
    ],
)
def test_nouns_of_a_list_are_whole_words(caption, found):
    assert Nouns(WORDS).in_caption(caption) == found


def test_a_function_may_find_them():
    nouns = Nouns(lambda caption: [word for word in caption.split() if word.isupper()], templates=["the {}"])
    assert nouns.in_caption("a RED fox and a RED FOX") == ["RED", "FOX"]
    assert nouns.prompts("a RED fox", np.random.default_rng(0)) == [("the RED", number("RED"))]


@examples(100)
@given(st.lists(st.sampled_from(WORDS), max_size=7), st.integers(1, 4), st.integers(0, 2**32))
def test_at_most_so_many_different_ones_each_in_a_sentence(words, count, seed):
    nouns, caption = Nouns(WORDS, count=count), " and ".join(words)
    prompts = nouns.prompts(caption, np.random.default_rng(seed))
    assert prompts == nouns.prompts(caption, np.random.default_rng(seed))
    assert len(prompts) == min(count, len(nouns.in_caption(caption)))
    assert len({found for _, found in prompts}) == len(prompts)
    for text, found in prompts:
        assert any(text == template.replace("{}", noun) for template in TEMPLATES for noun in set(words))
        assert any(found == number(noun) and noun in text for noun in set(words))
        assert 0 <= found < 2**63


def test_every_noun_and_every_sentence_comes_up():
    nouns, rng = Nouns(WORDS, count=1), np.random.default_rng(0)
    texts = {nouns.prompts("a dog, a cat", rng)[0][0] for _ in range(300)}
    assert texts == {template.replace("{}", noun) for template in TEMPLATES for noun in ("dog", "cat")}


def test_what_makes_no_prompts_is_said():
    for told in ({"count": 0}, {"templates": []}, {"templates": ["a photo"]}):
        with pytest.raises(UsageError):
            Nouns(WORDS, **told)
    with pytest.raises(UsageError, match="no nouns: give a list"):
        Nouns([])


def test_the_loader_adds_prompts_to_each_caption_and_draws_the_rest_as_without(tmp_path):
    samples = []
    for i in range(8):
        path = tmp_path / f"{i}.png"
        scenes.sample(1, i).draw(64).save(path)
        samples.append(Sample(str(i), path, (scenes.sample(1, i).caption,)))
    processor = CLIPProcessor.from_pretrained("mini")
    known = list(scenes.SHAPES)
    loaders = [
        Loader(samples, processor, batch_size=4, seed=3, crop=(0.5, 1.0), nouns=nouns, workers=2)
        for nouns in (None, Nouns(known, count=2))
    ]
    for plain, told in zip(*(loader.stream(0, 4) for loader in loaders), strict=True):
        captions = told.extras["nouns"] == CAPTION
        assert plain.extras == {}
        assert torch.equal(told.pixel_values, plain.pixel_values)
        width = plain.input_ids.shape[1]
        assert torch.equal(told.input_ids[captions][:, :width], plain.input_ids)
        assert torch.equal(told.owner[captions], plain.owner)
        assert (told.owner.diff() >= 0).all()
        texts = processor.tokenizer.batch_decode(told.input_ids, skip_special_tokens=True)
        said = dict(
            zip(told.owner[captions].tolist(), (t for t, c in zip(texts, captions, strict=True) if c), strict=True)
        )
        numbers = {number(noun): noun for noun in known}
        for text, owner, noun in zip(texts, told.owner.tolist(), told.extras["nouns"].tolist(), strict=True):
            if noun != CAPTION:
                assert numbers[noun] in text
                assert numbers[noun] in said[owner]
        assert 0 < (~captions).sum() <= 8
