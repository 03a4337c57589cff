import importlib
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sightline.errors import IndexDamaged, UsageError
from sightline.index.scan import Scan

module = importlib.import_module("sightline.index.scan")


def units(rng, n, dim):
    rows = rng.standard_normal((n, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def oracle(ids, matrix, query, k, allow=None):
    """All scores in float64, sorted by score and id."""
    scores = (matrix.astype(np.float64) @ query.astype(np.float64)).astype(np.float32)
    keep = np.arange(len(ids)) if allow is None else np.flatnonzero(np.isin(ids, allow))
    keep = sorted(keep, key=lambda place: (-scores[place], ids[place]))[:k]
    return scores[keep], ids[keep]


@st.composite
def searches(draw):
    """A matrix in which rows are often copies of each other, ids in no order, a query, a k, a filter."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n, dim = draw(st.integers(0, 300)), draw(st.sampled_from([1, 8, 33]))
    distinct = units(rng, draw(st.integers(1, 5)) if draw(st.booleans()) else max(n, 1), dim).astype(np.float16)
    matrix = distinct[rng.integers(0, len(distinct), n)]
    ids = rng.choice(10 * n + 1, n, replace=False)
    queries = units(rng, draw(st.integers(1, 3)), dim) * draw(st.sampled_from([1.0, 1e-3, 40.0]))
    if draw(st.booleans()) and n:
        queries[0] = matrix[0]
    allow = draw(st.sampled_from([None, 0.0, 0.02, 0.5, 1.0]))
    allow = None if allow is None else rng.permutation(np.append(ids[rng.random(n) < allow], [-5, 10**9]))
    return ids, matrix, queries, draw(st.integers(0, n + 2)), allow


@settings(deadline=None, max_examples=200)
@given(searches())
def test_top_is_what_sorting_all_scores_gives(search):
    ids, matrix, queries, k, allow = search
    scores, found = Scan(ids, matrix).top(queries, k, allow)
    assert scores.dtype == np.float32
    assert found.dtype == np.int64
    for row, query in enumerate(queries):
        expected_scores, expected_ids = oracle(ids, matrix, query, k, allow)
        np.testing.assert_array_equal(scores[row], expected_scores)
        np.testing.assert_array_equal(found[row], expected_ids)


@pytest.fixture(scope="module")
def many():
    """20,000 rows of which 3,000 are copies of one."""
    rng = np.random.default_rng(1)
    matrix = units(rng, 20_000, 64).astype(np.float16)
    matrix[rng.choice(20_000, 3000, replace=False)] = matrix[0]
    return rng.permutation(20_000), matrix, Scan(np.arange(20_000), matrix)


def test_a_tie_wider_than_k_gives_its_lowest_ids(many):
    _, matrix, scan = many
    copies = np.flatnonzero((matrix == matrix[0]).all(axis=1))
    scores, found = scan.top(matrix[0].astype(np.float32), 10)
    np.testing.assert_array_equal(found[0], copies[:10])
    assert len(set(scores[0].tolist())) == 1


def test_a_score_is_the_same_whatever_k_the_batch_or_the_filter(many):
    shuffled, matrix, scan = many
    queries = np.concatenate([units(np.random.default_rng(2), 5, 64), matrix[:1].astype(np.float32)])
    scores, found = scan.top(queries, 4000)
    for row, query in enumerate(queries):
        for k in (1, 3, 100):
            alone, ids = scan.top(query, k)
            np.testing.assert_array_equal(alone[0], scores[row, :k])
            np.testing.assert_array_equal(ids[0], found[row, :k])
        half = shuffled[:10_000]
        filtered, ids = scan.top(query, 50, allow=half)
        kept = np.isin(found[row], half)
        np.testing.assert_array_equal(ids[0], found[row][kept][:50])
        np.testing.assert_array_equal(filtered[0], scores[row][kept][:50])


def test_large_matrices_are_split_among_threads_and_into_blocks(many, monkeypatch):
    scan = many[2]
    queries = units(np.random.default_rng(3), 7, 64)
    expected = scan.top(queries, 50)
    monkeypatch.setattr(module, "_PART", 1 << 18)
    monkeypatch.setattr(module, "_BLOCK", 1000)
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    for found, wanted in zip(scan.top(queries, 50), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_the_matrix_is_not_copied_and_queries_leave_nothing_behind():
    matrix = units(np.random.default_rng(4), 100_000, 64).astype(np.float16)
    scan = Scan(np.arange(100_000), matrix)
    assert np.shares_memory(scan._matrix, matrix)
    half = np.arange(50_000)
    for _ in range(3):
        scan.top(matrix[:5], 10)
        scan.top(matrix[:5], 10, allow=half)
    threads = 1 + matrix.nbytes // module._PART
    assert {uses: len(scanners) for uses, scanners in scan._scanners.items()} == {False: 5 * threads, True: 5 * threads}


def test_threads_may_ask_at_once(many):
    scan = many[2]
    queries = units(np.random.default_rng(5), 8, 64)
    halves = [np.arange(row, 20_000, 8) for row in range(8)]
    expected = [scan.top(queries[row], 9, allow=halves[row])[1].tolist() for row in range(8)]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(20):
            found = pool.map(lambda row: scan.top(queries[row], 9, allow=halves[row])[1].tolist(), range(8))
            assert list(found) == expected


@pytest.mark.parametrize(
    ("query", "k", "message"),
    [
        (np.full(8, np.nan), 1, "not finite"),
        (np.full(8, np.inf), 1, "not finite"),
        (np.ones(7), 1, "7 dimensions, the index has 8"),
        (np.ones(8), -1, "negative"),
    ],
)
def test_bad_questions_are_refused(query, k, message):
    with pytest.raises(UsageError, match=message):
        Scan(np.arange(3), np.eye(3, 8, dtype=np.float16)).top(query, k)


def test_vectors_that_are_not_numbers_are_damage():
    matrix = np.eye(3, 8, dtype=np.float16)
    matrix[1] = np.nan
    with pytest.raises(IndexDamaged, match="fsck"):
        Scan(np.arange(3), matrix).top(np.ones(8), 3)


def test_an_empty_table_and_no_queries_have_empty_answers():
    scan = Scan(np.empty(0, np.int64), np.empty((0, 8), np.float16))
    assert [part.shape for part in scan.top(np.ones((2, 8)), 5)] == [(2, 0), (2, 0)]
    assert [part.shape for part in Scan(np.arange(3), np.eye(3, 8)).top(np.empty((0, 8)), 2)] == [(0, 2), (0, 2)]
