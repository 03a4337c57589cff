"""Searching an index: nearest of all, with conditions, while it changes."""

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from sightline.errors import IndexMissing, ModelMismatch, UsageError
from sightline.index import batch_product, ivf
from sightline.search.index import Index, default_folder, open_index
from sightline.search.query import Query, query_vectors
from sightline.vectors import unit
from support.encoders import NameEncoder
from support.tables import rows_of

DIM = 16


@pytest.fixture
def vectors():
    return unit(np.random.default_rng(3).normal(size=(60, DIM)))


def found(results):
    return [result.id for result in results]


def best(vectors, query, k, allow=None):
    scores = vectors.astype(np.float16).astype(np.float64) @ query
    order = np.argsort(-scores, kind="stable")
    return [int(i) for i in order if allow is None or i in allow][:k]


def test_words_find_the_nearest_of_all(make_table, words, vectors):
    index = open_index(make_table(vectors).folder, words)
    query = words.encode_text(["dog"])[0]
    results = index.search("dog", k=7)
    assert found(results) == best(vectors, query, 7)
    assert [result.rank for result in results] == [1, 2, 3, 4, 5, 6, 7]
    first = results[0]
    assert (first.uri, first.kind, first.start, first.end) == (f"/pictures/{first.id:05}.jpg", "image", None, None)
    assert first.score == pytest.approx(vectors[first.id] @ query, abs=1e-3)
    assert results == index.search("dog", k=40)[:7], "the first seven of forty"
    assert len(index.search("dog", k=1000)) == len(index) == 60


def test_a_picture_and_a_mix_find_theirs(make_table, words, vectors):
    vectors[17] = words.encode_images(["a.jpg"])[0]
    index = open_index(make_table(vectors).folder, words)
    assert found(index.search(Path("/elsewhere/a.jpg"), k=1)) == [17]
    assert found(index.search(Query(images=("a.jpg",)), k=1)) == [17]
    mixed = Query("dog", "a.jpg", "sea")
    (vector,) = query_vectors([mixed], index.encoder, index.table, vectors.astype(np.float16))
    assert found(index.search(mixed, k=9)) == best(vectors, vector, 9)


def test_conditions_come_before_the_search(make_table, words, vectors):
    table = make_table(vectors, facts=lambda i: {"width": i})
    index = open_index(table.folder, words)
    query = words.encode_text(["dog"])[0]
    assert found(index.search("dog", k=5, where="width >= 50")) == best(vectors, query, 5, range(50, 60))
    assert len(index.search("dog", k=50, where="width < 3")) == 3
    assert index.search("dog", where="width < 0") == []
    for wrong in ("width >>> 3", "color = 'red'", ""):
        with pytest.raises(UsageError, match="filter"):
            index.search("dog", where=wrong)


def test_equal_vectors_come_in_the_order_of_indexing(make_table, words):
    index = open_index(make_table(np.tile(unit(np.ones(DIM)), (30, 1))).folder, words)
    assert found(index.search("dog", k=12)) == list(range(12))


def test_the_table_may_change_under_an_open_index(make_table, words, vectors):
    table = make_table(vectors)
    index = open_index(table.folder, words)
    assert index.search("dog", k=1)[0].score < 0.99
    table.append(rows_of(words.encode_text(["dog"]), first=60))
    assert found(index.search("dog", k=1)) == [60]
    table.remove([60])
    assert found(index.search("dog", k=1)) == best(vectors, words.encode_text(["dog"])[0], 1)


def test_threads_share_an_index_while_the_table_changes(make_table, words, vectors):
    """Every answer comes from one version: a row may be gone by the time its facts are asked for."""
    table = make_table(vectors)
    index, failures, done = open_index(table.folder, words), [], threading.Event()
    index.search("dog")

    def search():
        while not done.is_set():
            try:
                assert len({result.uri for result in index.search("dog", k=50)}) == 50
            except Exception as error:
                failures.append(error)

    threads = [threading.Thread(target=search) for _ in range(4)]
    for thread in threads:
        thread.start()
    best = words.encode_text(["dog"])
    for id in range(60, 75):
        table.append(rows_of(best, first=id))
        table.remove([id])
    done.set()
    for thread in threads:
        thread.join()
    assert not failures


def test_an_empty_table_answers_nothing_and_needs_no_model(make_table, words):
    index = open_index(make_table(np.empty((0, DIM))).folder, words)
    assert index.search("dog") == []
    assert words.asked == []


@pytest.mark.parametrize("k", [0, -1, True, 2.5, None])
def test_k_is_a_positive_whole_number(make_table, words, k):
    index = open_index(make_table(np.eye(DIM)).folder, words)
    with pytest.raises(UsageError, match="at least 1"):
        index.search("dog", k=k)


def test_another_model_is_refused_before_it_answers(make_table, words, vectors):
    other = NameEncoder()
    other.fingerprint = "beef"
    folder = make_table(vectors).folder
    with pytest.raises(ModelMismatch, match=r"built by the model names.*--model"):
        open_index(folder, other)
    changed = Index(open_index(folder, words).table, other)
    with pytest.raises(ModelMismatch):
        changed.search("dog")


def test_names_that_are_no_text_come_back_whole(make_table, words):
    name = os.fsdecode(b"/pictures/caf\xe9 \xff.jpg")
    index = open_index(
        make_table(np.eye(DIM)[:1], facts=lambda i: {"uri": "file:///pictures/caf%E9%20%FF.jpg"}).folder, words
    )
    assert index.search("dog")[0].uri == name


def test_an_index_shows_its_encoder_without_opening_it(make_table, words, vectors):
    folder = make_table(vectors).folder
    assert repr(open_index(folder).encoder) == 'LazyEncoder("names")'
    assert repr(open_index(folder, words).encoder) == repr(words)


def test_the_default_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("SIGHTLINE_INDEX", str(tmp_path / "mine"))
    assert default_folder() == tmp_path / "mine"
    with pytest.raises(IndexMissing, match="sightline index"):
        open_index()
    monkeypatch.delenv("SIGHTLINE_INDEX")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert default_folder().name == "index"
    assert "sightline" in default_folder().parts


def test_a_large_table_has_a_first_pass_unless_asked_to_be_exact(make_table, words, monkeypatch):
    for name, value in {"FIRST_PASS_ROWS": 500, "_LISTS": 8, "_LEAST_CANDIDATES": 100}.items():
        monkeypatch.setattr(ivf, name, value)
    asked, near = [], ivf.InvertedLists.near
    monkeypatch.setattr(ivf.InvertedLists, "near", lambda self, query: asked.append(query) or near(self, query))
    vectors = unit(np.random.default_rng(3).normal(size=(600, DIM)))
    table = make_table(vectors)
    ivf.refresh(table)
    query = words.encode_text(["dog"])[0]
    index = open_index(table.folder, words)
    assert found(index.search("dog", exact=True)) == best(vectors, query, 10)
    assert found(index.search("dog", where="id < 300")) == best(vectors, query, 10, range(300))
    assert not asked
    results = index.search("dog")
    assert len(asked) == 1
    exact = {result.id: result.score for result in index.search("dog", k=600, exact=True)}
    assert [exact[result.id] for result in results] == [result.score for result in results]
    assert results[0].id in best(vectors, query, 3)


@pytest.mark.parametrize("where", [None, "width < 50", "width >= 58"])
@pytest.mark.parametrize("k", [1, 7, 100])
def test_many_queries_have_the_results_that_each_has_alone(make_table, words, vectors, where, k):
    vectors[20:30] = vectors[19]  # ties
    vectors[5] = words.encode_text(["dog"])[0]
    index = open_index(make_table(vectors, facts=lambda i: {"width": i}).folder, words)
    queries = [
        "dog",
        Path("a.jpg"),
        Query("dog", "a.jpg", "sea"),
        "dog",
        Query(("cat", "sun"), avoid="sea"),
        Path("b.mp4"),
    ]
    alone = [index.search(query, k, where) for query in queries]
    assert index.search_many(queries, k, where) == alone
    assert index.search_many(iter(queries[:2]), k, where) == alone[:2]
    assert index.search_many([], k, where) == []


def test_the_words_of_many_queries_are_encoded_in_one_call(make_table, words, vectors, monkeypatch):
    calls, encode = [], words.encode_text
    monkeypatch.setattr(words, "encode_text", lambda texts: calls.append(list(texts)) or encode(texts))
    index = open_index(make_table(vectors).folder, words)
    index.search_many(["dog", Query("cat", avoid="sea"), Query("sun", "a.jpg")])
    assert calls[:2] == [["dog", "cat", "sea"], ["sun"]]


@pytest.mark.parametrize("fast", [False, True])
def test_many_queries_are_one_product(make_table, words, vectors, monkeypatch, fast):
    asked, candidates = [], batch_product.candidates
    monkeypatch.setattr(batch_product, "is_fast", lambda: fast)
    monkeypatch.setattr(batch_product, "candidates", lambda *args: asked.append(len(args[1])) or candidates(*args))
    index = open_index(make_table(vectors).folder, words)
    queries = [f"dog {number}" for number in range(64)]
    assert index.search_many(queries) == [index.search(query) for query in queries]
    assert asked == [64] * fast


def test_one_wrong_query_of_many_is_an_error(make_table, words, vectors):
    index = open_index(make_table(vectors).folder, words)
    with pytest.raises(UsageError, match="empty"):
        index.search_many(["dog", " "])
    with pytest.raises(UsageError, match=r"query 2 of 2: None is no query: give a text, an image or a Query"):
        index.search_many(["dog", None])
    for single in ("dog", Path("a.jpg"), Query("dog"), b"bytes", 5, None, {"dog": 1}):
        with pytest.raises(UsageError, match="list of queries"):
            index.search_many(single)
    with pytest.raises(UsageError, match="at least 1"):
        index.search_many(["dog"], k=0)
    assert open_index(make_table(np.empty((0, DIM))).folder, words).search_many(["dog", "cat"]) == [[], []]


@pytest.mark.parametrize("queries", [[], ["dog"]])
@pytest.mark.parametrize("rows", [0, 3])
@pytest.mark.parametrize("wrong", [{"rescore": 5}, {"rescore": "some"}, {"regions": True}])
def test_options_are_checked_without_a_query_and_without_a_row(make_table, words, vectors, queries, rows, wrong):
    index = open_index(make_table(vectors[:rows]).folder, words)
    with pytest.raises(UsageError, match=r"rescore|regions"):
        index.search_many(queries, **wrong)
