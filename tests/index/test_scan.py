"""Exact search: every answer against all scores; in threads, in parts, in processes."""

import importlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from sightline.errors import IndexDamaged, UsageError
from sightline.index.scan import Scan
from support.examples import examples

module = importlib.import_module("sightline.index.scan")
batch_product = importlib.import_module("sightline.index.batch_product")


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
    """A matrix in which rows are often copies of each other, or differ in their lowest bits only, ids in no order,
    queries, a k, a filter."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n, dim = draw(st.integers(0, 300)), draw(st.sampled_from([1, 8, 33, 64]))
    distinct = units(rng, draw(st.integers(1, 5)) if draw(st.booleans()) else max(n, 1), dim).astype(np.float16)
    matrix = distinct[rng.integers(0, len(distinct), n)]
    if draw(st.booleans()):
        matrix = (matrix.view(np.uint16) ^ rng.integers(0, 8, matrix.shape, dtype=np.uint16)).view(np.float16)
    ids = rng.choice(10 * n + 1, n, replace=False)
    queries = units(rng, draw(st.sampled_from([1, 3, 4, 9])), dim) * draw(
        st.sampled_from([1.0, 1e-30, 1e-42, 1e30, 0.0])
    )
    if draw(st.booleans()) and n:
        queries[0] = matrix[0]
    allow = draw(st.sampled_from([None, 0.0, 0.02, 0.5, 0.9, 1.0]))
    allow = None if allow is None else np.append(ids[rng.random(n) < allow], [-5, 10**9])
    if allow is not None:
        allow = np.sort(allow) if draw(st.booleans()) else rng.permutation(allow)
    return ids, matrix, queries, draw(st.integers(0, n + 2)), allow


@pytest.mark.parametrize(
    ("fast", "rows", "most", "few"),
    [(False, 8192, 4096, 0), (True, 8192, 4096, 256), (True, 32, 4096, 0), (True, 32, 20, 20)],
)
@examples(100)
@given(search=searches())
def test_top_is_what_sorting_all_scores_gives(fast, rows, most, few, search):
    """With and without the product of matrices, in one block and in several, also for queries that it leaves."""
    ids, matrix, queries, k, allow = search
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_FEW", few)
        patch.setattr(batch_product, "is_fast", lambda: fast)
        patch.setattr(batch_product, "_ROWS", rows)
        patch.setattr(batch_product, "_MOST_CANDIDATES", most)
        scores, found = Scan(ids, matrix).top(queries, k, allow)
    assert scores.dtype == np.float32
    assert found.dtype == np.int64
    for row, query in enumerate(queries):
        expected_scores, expected_ids = oracle(ids, matrix, query, k, allow)
        np.testing.assert_array_equal(scores[row], expected_scores)
        np.testing.assert_array_equal(found[row], expected_ids)


@examples(100)
@given(st.integers(0, 2**32), st.sampled_from([2, 16, 200, 1024]), st.sampled_from([1e-3, 1.0]))
def test_the_bound_of_the_product_holds(seed, dim, spread):
    """Rows that lose as much as a float16 can lose, all in one direction; numbers below the normal ones; whole ties."""
    rng = np.random.default_rng(seed)
    matrix = units(rng, 500, dim) * np.where(rng.random((500, dim)) < 0.3, 1e-4, 1)
    matrix = (matrix / np.linalg.norm(matrix, axis=1, keepdims=True)).astype(np.float16)
    matrix = ((matrix.view(np.uint16) & 0xFFF8) | np.where(rng.random((500, 1)) < 0.5, 7, 0).astype(np.uint16)).view(
        np.float16
    )
    queries = matrix[:9].astype(np.float32) + np.float32(spread) * units(rng, 9, dim)
    unit = queries / np.linalg.norm(queries.astype(np.float64), axis=1, keepdims=True)
    search = batch_product._Product(matrix, queries, 5, None)
    (rough, of, rows), _ = search._partition(0, 500)
    exact = (matrix[rows].astype(np.float64) * unit[of]).sum(axis=1)
    assert (np.abs(rough - exact) <= search.error[of] + 2.0**-8 * np.abs(rough)).all()
    for query, chosen in zip(queries, search.candidates(), strict=True):
        assert set(oracle(np.arange(500), matrix, query, 5)[1]) <= set(chosen)


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


@pytest.mark.parametrize("fast", [False, True])
def test_large_matrices_are_split_among_threads_and_into_blocks(many, monkeypatch, fast):
    scan = many[2]
    queries = units(np.random.default_rng(3), 7, 64)
    few = np.arange(0, 20_000, 9)
    expected, expected_of_few = scan.top(queries, 50), scan.top(queries, 50, few)
    monkeypatch.setattr(module, "_THREAD_BYTES", 1 << 18)
    monkeypatch.setattr(module, "_CACHE_BYTES", 1000)
    monkeypatch.setattr(batch_product, "_ROWS", 300)
    monkeypatch.setattr(batch_product, "_QUERIES", 5)
    monkeypatch.setattr(batch_product, "is_fast", lambda: fast)
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    for allow, wanted in ((None, expected), (few, expected_of_few)):
        for found, values in zip(scan.top(queries, 50, allow), wanted, strict=True):
            np.testing.assert_array_equal(found, values)


def test_a_filter_that_takes_the_best_away_finds_the_next(many):
    """All the nearest are forbidden, so that a broad filter cannot be answered from the best of all rows."""
    shuffled, matrix, scan = many
    copies = np.flatnonzero((matrix == matrix[0]).all(axis=1))
    others = np.setdiff1d(shuffled, copies)
    query = matrix[0].astype(np.float32)
    scores, found = scan.top(np.tile(query, (5, 1)), 10, allow=others)
    wanted_scores, wanted = oracle(np.arange(20_000), matrix, query, 10, others)
    for row in range(5):
        np.testing.assert_array_equal(found[row], wanted)
        np.testing.assert_array_equal(scores[row], wanted_scores)


def test_torch_computes_with_as_many_threads_after_a_product_as_before(many):
    before = torch.get_num_threads()
    batch_product.candidates(many[1], units(np.random.default_rng(6), 5, 64), 3, None)
    assert torch.get_num_threads() == before
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(torch.get_num_threads).result() == before


@pytest.mark.system
def test_few_queries_do_not_import_torch():
    code = (
        "import sys, numpy; from sightline.index.scan import Scan;"
        "Scan(numpy.arange(9), numpy.eye(9, dtype=numpy.float16)).top(numpy.ones((3, 9)), 2);"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_matrix_is_not_copied_and_queries_leave_nothing_behind():
    matrix = units(np.random.default_rng(4), 100_000, 64).astype(np.float16)
    scan = Scan(np.arange(100_000), matrix)
    assert np.shares_memory(scan._matrix, matrix)
    half = np.arange(50_000)
    for _ in range(3):
        scan.top(matrix[:3], 10)
        scan.top(matrix[:3], 10, allow=half)
    assert len(scan._scanners) == 3 * (1 + matrix.nbytes // module._THREAD_BYTES)


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
    for damage in (np.nan, -np.nan, np.inf, -np.inf):
        matrix = np.eye(300, 8, dtype=np.float16)
        matrix[200, 5] = damage
        with pytest.raises(IndexDamaged, match="fsck"):
            Scan(np.arange(300), matrix)


def test_an_empty_table_and_no_queries_have_empty_answers():
    scan = Scan(np.empty(0, np.int64), np.empty((0, 8), np.float16))
    assert [part.shape for part in scan.top(np.ones((2, 8)), 5)] == [(2, 0), (2, 0)]
    assert [part.shape for part in Scan(np.arange(3), np.eye(3, 8)).top(np.empty((0, 8)), 2)] == [(0, 2), (0, 2)]


@pytest.mark.system
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes that fork are POSIX's")
def test_a_child_of_a_fork_searches_too():
    code = """
import os, sys
import numpy as np
from sightline.index.scan import Scan
rng = np.random.default_rng(0)
scan = Scan(np.arange(30_000), rng.standard_normal((30_000, 16)).astype(np.float16) / 4)
queries = rng.standard_normal((8, 16)).astype(np.float32)
before = scan.top(queries, 3)[1].tolist()
child = os.fork()
if not child:
    os._exit(0 if scan.top(queries, 3)[1].tolist() == before else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code], timeout=120).returncode == 0


def test_queries_beyond_float32_are_given_to_the_scanner():
    """Ties at infinity, in the order of ids, however many queries are asked at once."""
    scan = Scan(np.arange(200), np.full((200, 64), 0.125, np.float16))
    many = np.full((5, 64), 2e38, np.float32)
    with np.errstate(over="ignore"):
        assert scan.top(many, 3)[1].tolist() == [[0, 1, 2]] * 5
