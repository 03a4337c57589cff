"""The X-CLIP in the package tells how things move, and needs the whole film for it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import sightline
from sightline import XCLIPModel, XCLIPProcessor, scenes
from sightline.scenes import MOTIONS

pytestmark = pytest.mark.system

FOLDER = Path(sightline.__file__).parent / "pretrained" / "mini-xclip"
FILMS = scenes.distinct_videos(80, seed=3)


@pytest.fixture(scope="module")
def model() -> XCLIPModel:
    return XCLIPModel.from_pretrained("mini-xclip", dtype="float32").eval()


def motions(model: XCLIPModel, shown: list[list]) -> float:
    """The share of films for which the caption with the right motion wins among those with another in its place."""
    processor = XCLIPProcessor.from_pretrained("mini-xclip")
    right = []
    for film, frames in zip(FILMS, shown, strict=True):
        captions = [replace(film, motion=motion).caption for motion in MOTIONS]
        inputs = processor(text=captions, videos=frames, padding=True, return_tensors="pt")
        with torch.inference_mode():
            scores = model(**inputs).logits_per_video[0]
        right.append(list(MOTIONS)[int(scores.argmax())] == film.motion)
    return float(np.mean(right))


def test_pools_where_the_end_token_is() -> None:
    """X-CLIP pools at the highest id, so the end token must be the last of the vocabulary."""
    text = json.loads((FOLDER / "config.json").read_text())["text_config"]
    vocabulary = json.loads((FOLDER / "tokenizer.json").read_text())["model"]["vocab"]
    assert text["eos_token_id"] == vocabulary["<|endoftext|>"] == max(vocabulary.values()) == text["vocab_size"] - 1


def test_tells_motions_apart(model: XCLIPModel) -> None:
    """The recipe's `evaluate` says it over 1,000; chance is 0.1."""
    assert motions(model, [film.frames(8, 64) for film in FILMS]) >= 0.8


def test_one_frame_tells_no_motion(model: XCLIPModel) -> None:
    assert motions(model, [film.frames(1, 64) * 8 for film in FILMS]) <= 0.2


def test_finds_films_by_words() -> None:
    encoder = sightline.load("mini-xclip", precision="float32")
    films = encoder.encode_videos([film.frames(8, 64) for film in FILMS])
    texts = encoder.encode_text([film.caption for film in FILMS])
    assert ((texts @ films.T).argmax(axis=1) == np.arange(len(FILMS))).mean() >= 0.6
