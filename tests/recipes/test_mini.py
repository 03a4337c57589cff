"""The model in the package: small enough, opened like any other, and it knows its scenes."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

import sightline
from sightline import scenes
from sightline.processing.tokens import Tokenizer

FOLDER = Path(sightline.__file__).parent / "pretrained" / "mini"


def test_small_and_half_precision() -> None:
    weights = FOLDER / "model.safetensors"
    assert weights.stat().st_size <= 8_000_000
    with safe_open(weights, "pt") as file:
        slices = [file.get_slice(name) for name in file.keys()]  # noqa: SIM118, it is no mapping
        assert sum(int(np.prod(part.get_shape())) for part in slices) <= 4_000_000
        assert {part.get_dtype() for part in slices} == {"F16"}


def test_ends_where_the_end_token_is() -> None:
    """An `eos_token_id` of 2 would mean: at the largest id."""
    text = json.loads((FOLDER / "config.json").read_text())["text_config"]
    vocabulary = json.loads((FOLDER / "tokenizer.json").read_text())["model"]["vocab"]
    assert text["eos_token_id"] == text["pad_token_id"] == vocabulary["<|endoftext|>"] != 2
    assert text["bos_token_id"] == vocabulary["<|startoftext|>"]
    assert text["vocab_size"] == len(vocabulary)


@pytest.mark.parametrize("text", ["", "a red circle", "Δοκιμή", "灰色の魚", "🐟🏠", "e\u0301", "a\tb", "x" * 10_000])
def test_any_text_has_a_vector(text: str) -> None:
    tokenizer = Tokenizer.from_folder(FOLDER)
    (ids,) = tokenizer.encode([text])
    assert len(ids) <= 64
    assert ids[-1] == tokenizer.eos_id
    assert (ids == tokenizer.eos_id).sum() == 1  # it is also the unknown token: nothing is unknown


def test_finds_scenes_it_never_saw() -> None:
    """The recipe's `evaluate` says it over 1,000; here a chance hit would be one in a hundred."""
    tests = scenes.distinct(100, seed=2)
    encoder = sightline.load("mini", dtype="float32")
    images = encoder.encode_images([scene.draw(64) for scene in tests])
    texts = encoder.encode_text([scene.caption for scene in tests])
    found = (texts @ images.T).argmax(axis=1)
    assert (found == np.arange(100)).mean() >= 0.9
