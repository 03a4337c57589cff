"""Queries that hold vectors made before."""

import numpy as np
import pytest
import torch

from sightline.errors import UsageError
from sightline.search import Query, open_index
from sightline.vectors import unit

DIM = 16


@pytest.fixture
def vectors():
    return unit(np.random.default_rng(0).normal(size=(40, DIM)))


@pytest.fixture
def index(make_table, words, vectors):
    return open_index(make_table(vectors).folder, words)


def found(results):
    return [result.id for result in results]


@pytest.mark.parametrize(
    "given",
    [
        lambda v: v,
        lambda v: v[None],
        lambda v: [v],
        lambda v: list(map(float, v)),
        lambda v: v.astype(np.float16),
        lambda v: v.astype(np.float64) * 1e300,
        lambda v: v.astype(np.float64) * 1e-300,
        lambda v: (v * 1000).round().astype(np.int64),
        lambda v: torch.from_numpy(v.copy()).to(torch.bfloat16).requires_grad_(),
        lambda v: [torch.from_numpy(v.copy())],
    ],
)
def test_a_vector_of_any_length_and_type(index, words, vectors, given):
    results = index.search(Query(vectors=given(vectors[7])), k=3)
    assert results[0].id == 7
    assert results[0].score == pytest.approx(1, abs=1e-3)
    assert words.asked == [], "no model is needed"


def test_several_vectors_are_averaged_and_mixed_with_words(index, words, vectors):
    middle = unit(vectors[3] + vectors[9])
    assert found(index.search(Query(vectors=vectors[[3, 9]] * [[1], [50]]), k=5)) == found(
        index.search(Query(vectors=middle), k=5)
    )
    dog = words.encode_text(["dog"])[0]
    assert found(index.search(Query("dog", vectors=vectors[3]), k=40)) == found(
        index.search(Query(images="dog", vectors=vectors[3]), k=40)
    ), "a part counts the same, whatever it is made from"
    alone = [found(index.search(Query(vectors=vector), k=40)) for vector in (dog, vectors[3])]
    assert found(index.search(Query("dog", vectors=vectors[3]), k=40)) not in alone
    avoided = index.search(Query(vectors=vectors[3], avoid="dog"), k=40)
    assert found(avoided) not in alone


def test_many_at_once(index, vectors):
    queries = [
        Query(vectors=vectors[4]),
        "dog",
        Query("dog", vectors=vectors[5]),
        Query(images="a", vectors=vectors[6]),
    ]
    one_by_one = [found(index.search(query, k=5)) for query in queries]
    assert [found(results) for results in index.search_many(queries, k=5)] == one_by_one


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (np.zeros(DIM), "is zero"),
        ([np.ones(DIM), np.zeros(DIM)], "is zero"),
        (np.full(DIM, np.nan), "not finite"),
        (np.append(np.ones(DIM - 1), np.inf), "not finite"),
        (np.ones((1, 1, DIM)), "no numbers in one row"),
        ([[1, 2], [1]], "no numbers in one row"),
        ("dog", "no numbers in one row"),
        (["dog"], "no numbers in one row"),
        (None, "no numbers in one row"),
        (np.ones(DIM, bool), "no numbers in one row"),
        (np.ones(DIM, complex), "no numbers in one row"),
        ((), "the query is empty"),
        (np.empty((0, DIM)), "the query is empty"),
    ],
)
def test_what_is_no_vector(wrong, said):
    with pytest.raises(UsageError, match=said):
        Query(vectors=wrong)


def test_another_length_is_refused_before_a_model_is_opened(index, words):
    with pytest.raises(UsageError, match=r"have 3 numbers, those of .* have 16"):
        index.search(Query("dog", vectors=np.ones(3)))
    assert words.asked == []


def test_vectors_that_cancel_each_other_out(index, vectors):
    with pytest.raises(UsageError, match="cancel"):
        index.search(Query(vectors=[vectors[0], -vectors[0]]))


def test_only_words_are_scored_again(index, vectors):
    with pytest.raises(UsageError, match="leave rescore out"):
        index.search(Query("dog", vectors=vectors[0]), rescore=5)


def test_a_query_is_shown_in_a_line(vectors):
    query = Query("a beach", images=["/p/sunset.jpg", b"\0" * 10**6], avoid="people", vectors=vectors[:2])
    assert repr(query) == (
        "Query(texts=['a beach'], images=['sunset.jpg', 'an image'], avoid=['people'], vectors=<2 of 16 numbers>)"
    )
    assert str(query) == "“a beach” + sunset.jpg + an image + 2 vectors − “people”"
    assert repr(Query("red")) == "Query(texts=['red'])"


@pytest.mark.parametrize("least", [0.5, 0, -0.5, np.float32(0.25), 2])
def test_results_below_the_least_score_are_left_out(index, least):
    every = index.search("dog", k=40)
    assert index.search("dog", k=40, min_score=least) == [result for result in every if result.score >= least]
    assert index.search_many(["dog"], k=40, min_score=least)[0] == index.search("dog", k=40, min_score=least)


@pytest.mark.parametrize("least", ["high", float("nan")])
def test_the_least_score_is_a_number(index, least):
    with pytest.raises(UsageError, match="min_score"):
        index.search("dog", min_score=least)


@pytest.mark.parametrize("text", ["a" * 10_000, "dog " * 3000, "a\0b\n\x1b[31m\x7f", "\ud800", "\u202e犬🐕"])
def test_any_text_is_answered(text):
    """With a real tokenizer."""
    from sightline.encoder import TextEncoder

    vector = TextEncoder("mini").encode_text([text])
    assert np.isfinite(vector).all()
