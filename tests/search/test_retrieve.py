"""The best of many texts and images against the whole matrix."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from sightline.errors import UsageError
from sightline.search.retrieve import retrieve
from support.examples import examples


def oracle(rows, columns, k):
    """From the whole matrix, by a stable sort: equal scores in the order of their positions."""
    scores = (rows @ columns.T).astype(np.float32)
    index = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return index, np.take_along_axis(scores, index, axis=1)


@examples(150)
@given(
    n_texts=st.integers(0, 13),
    n_images=st.integers(0, 13),
    k=st.integers(1, 20),
    tile=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    seed=st.integers(0, 99),
)
def test_as_from_the_whole_matrix(n_texts, n_images, k, tile, seed):
    # Small whole numbers: exact in float32 whatever the tile, with many ties, zeros and negative scores.
    rng = np.random.default_rng(seed)
    texts = rng.integers(-2, 3, (n_texts, 3)).astype(np.float32)
    images = rng.integers(-2, 3, (n_images, 3)).astype(np.float32)
    found = retrieve(None, images, texts, k, tile=tile)
    for nearest, (index, score) in (
        (found.text_to_image, oracle(texts, images, k)),
        (found.image_to_text, oracle(images, texts, k)),
    ):
        assert np.array_equal(nearest.index, index)
        assert np.array_equal(nearest.score, score)
        assert nearest.index.dtype == np.int64
        assert nearest.score.dtype == np.float32


def test_real_numbers_and_the_first_five_of_ten():
    rng = np.random.default_rng(0)
    texts, images = rng.normal(size=(2, 70, 32)).astype(np.float32)
    images = images[:50]
    ten, five = retrieve(None, images, texts, 10), retrieve(None, images, texts, 5)
    assert np.array_equal(ten.text_to_image.index[:, :5], five.text_to_image.index)
    assert np.array_equal(ten.image_to_text.score[:, :5], five.image_to_text.score)
    index, score = oracle(texts, images, 10)
    assert np.array_equal(ten.text_to_image.index, index)
    assert np.allclose(ten.text_to_image.score, score, atol=1e-5)


def test_lists_go_through_the_model(words):
    found = retrieve(words, ["b.jpg", "a.jpg"], ["a.jpg", "dog", "b.jpg"], k=1)
    assert found.text_to_image.index[[0, 2], 0].tolist() == [1, 0]
    assert found.image_to_text.index[:, 0].tolist() == [2, 0]
    mixed = retrieve(words, words.encode_images(["b.jpg", "a.jpg"]), ["a.jpg", "dog", "b.jpg"], k=1)
    assert np.array_equal(mixed.text_to_image.index, found.text_to_image.index)


@pytest.mark.parametrize(
    ("images", "texts", "k", "says"),
    [
        (np.ones((2, 3)), np.ones((2, 3)), 0, "at least 1"),
        (np.ones((2, 3)), np.ones((2, 4)), 1, "one model"),
        (np.full((2, 3), np.nan), np.ones((2, 3)), 1, "images .* not finite"),
        (np.ones((2, 3)), ["dog"], 1, "texts .* model"),
    ],
)
def test_wrong_use(images, texts, k, says):
    with pytest.raises(UsageError, match=says):
        retrieve(None, images, texts, k)
