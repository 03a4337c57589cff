"""Ranks in tiles against ranks of the whole matrix."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, strategies as st

from sightline.metrics import exact_cosines, pair_ranks, ranks
from sightline.vectors import unit
from support.examples import examples


def directions(seed, count, dim):
    return unit(np.random.default_rng(seed).standard_normal((count, dim)))


def whole(scores, owner):
    """The oracle: the matrix (N, T) at once."""
    return ranks(scores, [np.flatnonzero(owner == i) for i in range(len(scores))]), ranks(scores.T, owner[:, None])


def everything(scores, count, texts):
    return scores(slice(0, count), slice(0, texts))


@st.composite
def pairs(draw):
    """Scores of few values, so that most are equal, and one to three texts a picture."""
    owner = np.repeat(np.arange(draw(st.integers(1, 9))), draw(st.integers(1, 3)))
    drop = draw(st.integers(0, 1)) * (len(owner) > owner[-1] + 1)
    owner = owner[drop:]
    values = draw(st.integers(1, 6))
    seed = draw(st.integers(0, 10_000))
    return np.random.default_rng(seed).integers(0, values, (owner[-1] + 1, len(owner))).astype(float), owner


@examples(300)
@given(pairs(), st.tuples(st.integers(1, 10), st.integers(1, 10)))
def test_equal_scores_in_tiles_of_any_shape(given_pairs, tile):
    scores, owner = given_pairs
    found = pair_ranks(lambda r, c: scores[r, c], owner, np.arange(len(owner)), tile)
    for got, wanted in zip(found, whole(scores, owner), strict=True):
        np.testing.assert_array_equal(got, wanted)


@examples(300)
@given(pairs(), st.integers(1, 4), st.tuples(st.integers(1, 10), st.integers(1, 10)))
def test_equal_texts_are_all_right(given_pairs, most, tile):
    """Against the whole matrix, each copy of a text in a column of its own."""
    scores, owner = given_pairs
    text = np.random.default_rng(len(owner)).integers(0, most, len(owner))
    text = np.unique(text, return_inverse=True)[1]
    text = np.argsort(np.argsort(np.unique(text, return_index=True)[1]))[text]  # numbered as they first appear
    different = scores[:, : text.max() + 1]
    has = np.zeros(different.shape, bool)
    has[owner, text] = True
    wanted = (
        ranks(different[:, text], [np.flatnonzero(has[i, text]) for i in range(len(scores))]),
        ranks(different[:, text].T, [np.flatnonzero(has[:, d]) for d in text]),
    )
    found = pair_ranks(lambda r, c: different[r, c], owner, text, tile)
    for got, right in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(got, right)


@pytest.mark.parametrize("tile", [(1, 1), (7, 13), (64, 100), (1000, 1000)])
def test_vectors_with_twins(tile):
    owner = np.repeat(np.arange(60), np.random.default_rng(1).integers(1, 6, 60))
    images, texts = directions(1, 60, 48), directions(2, len(owner), 48)
    texts += 0.5 * images[owner]  # so that ranks are of all sizes
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    images[30:40] = images[:10]
    texts[40:80] = texts[80:40:-1]
    scores = exact_cosines(images, texts)
    found = pair_ranks(scores, owner, np.arange(len(owner)), tile)
    for got, wanted in zip(found, whole(everything(scores, 60, len(owner)), owner), strict=True):
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("dim", [1, 3, 192, 1024])
def test_cosines_are_exact(dim):
    images, texts = directions(3, 37, dim), directions(4, 53, dim)
    scores = exact_cosines(images, texts)
    # In whole numbers nothing is rounded.
    in_integers = [np.rint(rows * np.float32(2**26)).astype(np.int64) for rows in (images, texts)]
    exact = (in_integers[0] @ in_integers[1].T).astype(np.float64) / 2.0**52
    np.testing.assert_array_equal(everything(scores, 37, 53), exact)
    one = np.block([[scores(slice(i, i + 1), slice(j, j + 1)) for j in range(53)] for i in range(37)])
    np.testing.assert_array_equal(one, exact)
    np.testing.assert_allclose(exact, images.astype(np.float64) @ texts.T.astype(np.float64), rtol=0, atol=1e-7)


@pytest.mark.parametrize("axis", ["rows", "columns"])
def test_twins_have_equal_scores_wherever_they_stand(axis):
    images, texts = np.tile(directions(5, 1, 500), (133, 1)), directions(6, 77, 500)
    found = everything(exact_cosines(images, texts), 133, 77)
    assert (found == found[:1]).all()


def test_memory_is_that_of_a_tile():
    """A matrix of 640 MB is never there, and with four times the pairs a call takes no more than the lists grow."""
    tile, peaks = (256, 1024), []
    for count, texts in ((2000, 10_000), (4000, 20_000)):
        images, words, owner = (
            directions(7, count, 16),
            directions(8, texts, 16),
            np.repeat(np.arange(count), texts // count),
        )
        tracemalloc.start()
        pair_ranks(exact_cosines(images, words), owner, np.arange(texts), tile)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    scores = tile[0] * tile[1] * 8
    assert peaks[1] < 4 * scores
    assert peaks[1] - peaks[0] < 8 * 8 * (2000 + 10_000)


def test_what_has_no_ranks():
    with pytest.raises(ValueError, match="order of their images"):
        pair_ranks(lambda r, c: np.zeros((2, 2)), np.array([1, 0]), np.arange(2))
    with pytest.raises(ValueError, match="each image needs one"):
        pair_ranks(lambda r, c: np.zeros((3, 2)), np.array([0, 2]), np.arange(2))
    with pytest.raises(ValueError, match="each image needs one"):
        pair_ranks(lambda r, c: np.zeros((3, 2)), np.array([1, 1]), np.arange(2))
    with pytest.raises(ValueError, match="NaN"):
        pair_ranks(lambda r, c: np.full((2, 2), np.nan), np.array([0, 1]), np.arange(2))
    with pytest.raises(ValueError, match="unit length"):
        exact_cosines(2 * directions(0, 2, 4), directions(0, 2, 4))
    with pytest.raises(ValueError, match="texts are not"):
        exact_cosines(directions(0, 2, 4), np.full((1, 4), np.nan, np.float32))
    with pytest.raises(ValueError, match="numbered from 0"):
        pair_ranks(lambda r, c: np.zeros((2, 2)), np.array([0, 1]), np.array([0, 2]))
    none = np.empty(0, np.int64)
    assert [len(found) for found in pair_ranks(lambda r, c: np.zeros((0, 0)), none, none)] == [0, 0]


def test_one_hears_how_far_it_is():
    heard = []
    pair_ranks(
        lambda r, c: np.zeros((r.stop - r.start, c.stop - c.start)), np.arange(5), np.arange(5), (2, 2), heard.append
    )
    assert heard == [2, 4, 5]
