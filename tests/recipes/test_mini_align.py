"""The ALIGN in the package: it knows its scenes, and `transformers` opens it and finds the same."""

import json

import numpy as np
import pytest
import torch
import transformers

import sightline
from sightline import scenes
from sightline.checkpoint.names import PACKAGED
from sightline.processing.tokenizer import Tokenizer

pytestmark = pytest.mark.system

FOLDER = PACKAGED / "mini-align"


@pytest.fixture(scope="module")
def encoder() -> sightline.Encoder:
    return sightline.load("mini-align", precision="float32")


def test_finds_scenes_it_never_saw(encoder: sightline.Encoder) -> None:
    """The recipe's `evaluate` says it over 1,000; here a chance hit would be one in a hundred."""
    tests = scenes.distinct(100, seed=2)
    images = encoder.encode_images([scene.draw(64) for scene in tests])
    texts = encoder.encode_text([scene.caption for scene in tests])
    found = (texts @ images.T).argmax(axis=1)
    assert (found == np.arange(100)).mean() >= 0.9


def test_transformers_opens_it_and_finds_the_same(encoder: sightline.Encoder) -> None:
    tests = scenes.distinct(4, seed=3)
    pictures, texts = [scene.draw(200) for scene in tests], [*(scene.caption for scene in tests), "Ünknown, 犬!"]
    model = transformers.AlignModel.from_pretrained(FOLDER, dtype=torch.float32).eval()
    processor = transformers.AlignProcessor.from_pretrained(FOLDER)
    inputs = processor(
        text=texts, images=pictures, padding="longest", truncation=True, max_length=64, return_tensors="pt"
    )
    with torch.no_grad():
        out = model(**inputs)
    np.testing.assert_allclose(encoder.encode_images(pictures), out.image_embeds, atol=1e-4)
    np.testing.assert_allclose(encoder.encode_text(texts), out.text_embeds, atol=1e-5)


def test_batch_norms_remember_more_than_the_last_batch() -> None:
    vision = json.loads((FOLDER / "config.json").read_text())["vision_config"]
    assert vision["batch_norm_momentum"] == 0.01


def test_both_files_hold_the_same_vocabulary() -> None:
    lines = (FOLDER / "vocab.txt").read_text().splitlines()
    assert {word: i for i, word in enumerate(lines)} == Tokenizer.from_folder(FOLDER).vocabulary()
    assert json.loads((FOLDER / "config.json").read_text())["text_config"]["vocab_size"] == len(lines)


def test_every_word_of_the_scenes_is_one_token() -> None:
    tokenizer = Tokenizer.from_folder(FOLDER)
    pieces = {piece for i in range(200) for text in scenes.unseen(i).captions for piece in tokenizer.tokens(text)}
    assert "[UNK]" not in pieces
    assert {piece for piece in pieces if piece.startswith("##")} == set()
