"""The CLIP in the package: opened like any other, and it knows its scenes."""

import json
from pathlib import Path

import numpy as np
import pytest

import sightline
from sightline import scenes

pytestmark = pytest.mark.system

FOLDER = Path(sightline.__file__).parent / "pretrained" / "mini"


def test_ends_where_the_end_token_is() -> None:
    """An `eos_token_id` of 2 would mean: at the largest id."""
    text = json.loads((FOLDER / "config.json").read_text())["text_config"]
    vocabulary = json.loads((FOLDER / "tokenizer.json").read_text())["model"]["vocab"]
    assert text["eos_token_id"] == text["pad_token_id"] == vocabulary["<|endoftext|>"] != 2
    assert text["bos_token_id"] == vocabulary["<|startoftext|>"]
    assert text["vocab_size"] == len(vocabulary)


def test_finds_scenes_it_never_saw() -> None:
    """The recipe's `evaluate` says it over 1,000; here a chance hit would be one in a hundred."""
    tests = scenes.distinct(100, seed=2)
    encoder = sightline.load("mini", precision="float32")
    images = encoder.encode_images([scene.draw(64) for scene in tests])
    texts = encoder.encode_text([scene.caption for scene in tests])
    found = (texts @ images.T).argmax(axis=1)
    assert (found == np.arange(100)).mean() >= 0.9
