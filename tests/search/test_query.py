"""Queries as vectors."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, strategies as st

from sightline.errors import ImageError, UsageError
from sightline.search import open_index
from sightline.search.query import AVOID_WEIGHT, Query, query_vectors
from sightline.vectors import unit
from support.encoders import NameEncoder

EMPTY = np.empty((0, 16), np.float16)


def vector_of(query, encoder, sample):
    """The query's vector, of a `LazyEncoder` that has this encoder for all queries."""
    lazy = SimpleNamespace(for_words=lambda table: encoder, for_images=lambda table: encoder)
    return query_vectors([query], lazy, None, sample)[0]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Query(),
        lambda: Query(texts=("",)),
        lambda: Query(texts=("dog", " \n")),
        lambda: Query(avoid=("dog",)),
        lambda: Query(texts=("dog",), avoid=("",)),
        lambda: Query(texts=(7,)),
        lambda: Query.of(""),
    ],
)
def test_nothing_to_look_for_is_an_error(make):
    with pytest.raises(UsageError, match="empty"):
        make()


def test_one_thing_needs_no_tuple():
    assert Query("dog", "a.jpg", "cat") == Query(("dog",), ("a.jpg",), ("cat",))
    assert Query.of("dog") == Query(texts=("dog",))
    assert Query.of(Path("dog.jpg")) == Query(images=(Path("dog.jpg"),))
    assert str(Query("dog", "/x/a.jpg", "cat")) == "“dog” + a.jpg − “cat”"


def test_one_part_is_its_own_direction(words):
    sample = np.random.default_rng(0).normal(size=(50, 16))
    for collection in (sample, EMPTY):
        assert np.array_equal(vector_of(Query("dog"), words, collection), unit(words.encode_text(["dog"])[0]))
        expected = unit(words.encode_text(["dog", "sea"]).mean(axis=0))
        assert np.allclose(vector_of(Query(("dog", "sea")), words, collection), expected, atol=1e-6)


def test_films_are_among_the_pictures(words):
    a, b = words.encode_images(["a.jpg"])[0], words.encode_videos(["b.MP4"])[0]
    assert np.array_equal(vector_of(Query.of(Path("b.MP4")), words, EMPTY), unit(b))
    assert np.allclose(vector_of(Query(images=("b.MP4", "a.jpg")), words, EMPTY), unit(a + b), atol=1e-6)
    assert str(Query("dog", "/x/b.MP4")) == "“dog” + b.MP4"


def test_a_text_is_cut_from_what_is_avoided_in_one_call(words):
    vector = vector_of(Query("dog", avoid="sea"), words, EMPTY)
    dog, sea = words.encode_text(["dog", "sea"])
    assert np.allclose(vector, unit(dog - AVOID_WEIGHT * sea), atol=1e-6)
    assert vector @ sea < dog @ sea


class Gap:
    """A model with CLIP's gap: pictures lie in one cone and texts in another; a text moves the score of a picture by
    hundredths, another picture by tenths."""

    def __init__(self) -> None:
        rng = np.random.default_rng(5)
        self.topics = np.linalg.qr(rng.normal(size=(64, 64)))[0].astype(np.float32)
        self.pictures = unit(self.topics[0] + 0.25 * rng.normal(size=(400, 8)) @ self.topics[2:10])

    def encode_text(self, texts):
        return unit([self.topics[1] + 0.15 * self.topics[int(text)] for text in texts])

    def encode_images(self, images):
        return self.pictures[list(images)]


def test_words_and_a_picture_have_the_same_say_across_the_gap():
    model = Gap()
    text, image = model.encode_text(["4"])[0], model.encode_images([7])[0]
    text_scores, image_scores = model.pictures @ text, model.pictures @ image
    assert np.std(image_scores) > 3 * np.std(text_scores), "the model must have the gap that this test is about"

    def agreement(vector):
        scores = model.pictures @ vector
        return np.corrcoef(scores, text_scores)[0, 1], np.corrcoef(scores, image_scores)[0, 1]

    plain = agreement(text + image)
    ours = agreement(vector_of(Query("4", images=(7,)), model, model.pictures.astype(np.float16)))
    assert plain[1] > 0.95, "a plain sum ranks as the picture alone does"
    assert ours[0] == pytest.approx(ours[1], abs=0.01)
    assert min(ours) > plain[0] + 0.2


def test_an_image_that_is_broken_is_named_with_its_query(make_table, words, monkeypatch):
    def broken(images):
        raise ImageError("a.png", "not an image")

    index = open_index(make_table(np.eye(2, words.dim)).folder, words)
    monkeypatch.setattr(words, "encode_images", broken)
    with pytest.raises(ImageError, match=r"^query 2 of 2, a\.png: not an image$"):
        index.search_many(["a dog", Query(images="a.png")])
    with pytest.raises(ImageError, match=r"^a\.png: not an image$"):
        index.search(Query(images="a.png"))


def test_parts_that_cancel_are_an_error():
    class Opposite:
        def encode_text(self, texts):
            return np.array([[1, 0] if text == "up" else [-1, 0] for text in texts], np.float32)

    with pytest.raises(UsageError, match="cancel"):
        vector_of(Query(("up", "down")), Opposite(), EMPTY)


@given(
    texts=st.lists(st.sampled_from("abcdef"), max_size=3),
    images=st.lists(st.sampled_from("uvw"), max_size=2),
    avoid=st.lists(st.sampled_from("xyz"), max_size=2),
    rows=st.sampled_from([0, 1, 2, 30]),
    same=st.booleans(),
)
def test_every_mix_is_one_unit_vector(texts, images, avoid, rows, same):
    collection = np.random.default_rng(1).normal(size=(rows, 16)).astype(np.float16)
    if same and rows:
        collection[:] = collection[0]  # no spread to measure
    if not texts and not images:
        return
    vector = vector_of(Query(tuple(texts), tuple(images), tuple(avoid)), NameEncoder(), collection)
    assert vector.dtype == np.float32
    assert vector.shape == (16,)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
