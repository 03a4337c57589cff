"""The approximate first pass against exact search."""

from collections import Counter

import numpy as np
import pytest

from sightline.index import Table, ivf
from sightline.index.folder import IVF_FILE
from sightline.index.ivf import InvertedLists, refresh
from sightline.index.scan import Scan
from sightline.index.schema import ModelRecord
from sightline.index.sync import sync
from support.images import draw
from support.tables import rows_of

DIM, ROWS = 16, 3000


def units(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def clustered(count, seed=0):
    """Directions around one of 40 centres each."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(7).standard_normal((40, DIM))
    return units(centres[rng.integers(0, 40, count)] + 0.3 * rng.standard_normal((count, DIM)))


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Inverted lists for small tables; one row in fifty and at least 120 are candidates."""
    for name, value in {
        "FIRST_PASS_ROWS": 1000,
        "_LISTS": 16,
        "_LEAST_CANDIDATES": 120,
        "_CANDIDATE_FRACTION": 50,
        "_TRAINING_ROWS": 2000,
    }.items():
        monkeypatch.setattr(ivf, name, value)


@pytest.fixture
def table(tmp_path):
    """A table of ROWS clustered rows, with ids from 0, and its lists."""
    table = Table.create(tmp_path, ModelRecord("words", "f00d", DIM))
    table.append(rows_of(clustered(ROWS)))
    refresh(table)
    return table


@pytest.fixture
def queries():
    return clustered(40, seed=1)


def opened(table):
    """A scan with the lists as they are on disk, which must be used."""
    ids, matrix = table.vectors()
    first = InvertedLists.of(table, ids, matrix)
    assert first is not None
    return Scan(ids, matrix, lambda: first)


def one_by_one(scan, queries, k, **how):
    """Scores and ids of queries that are asked alone."""
    return [np.concatenate(each) for each in zip(*(scan.top(q[None], k, **how) for q in queries), strict=True)]


def recall(found, truth):
    return np.mean([np.isin(right, row).mean() for right, row in zip(truth, found, strict=True)])


def test_all_candidates_give_what_an_exact_search_gives(table, queries, monkeypatch):
    monkeypatch.setattr(ivf, "_LEAST_CANDIDATES", ROWS)
    monkeypatch.setattr(ivf, "_PROBE_FRACTION", 1)
    scan = opened(table)
    for k in (1, 10, 100):
        found, truth = one_by_one(scan, queries, k), one_by_one(scan, queries, k, exact=True)
        np.testing.assert_array_equal(found[0], truth[0])
        np.testing.assert_array_equal(found[1], truth[1])


def test_few_candidates_hold_nearly_all_of_the_nearest(table, queries):
    scan = opened(table)
    scores, ids = one_by_one(scan, queries, 10)
    looked_at = [len(scan._lists().near(query)) for query in queries]
    assert max(looked_at) == 120
    assert recall(ids, one_by_one(scan, queries, 10, exact=True)[1]) > 0.97
    _, matrix = table.vectors()
    for row, query in enumerate(queries):  # rows are numbered like ids here
        expected = (matrix[ids[row]].astype(np.float64) * query.astype(np.float64)).sum(axis=1).astype(np.float32)
        np.testing.assert_array_equal(scores[row], expected)


def test_the_first_of_many_are_the_few(table, queries):
    scan = opened(table)
    _, most = one_by_one(scan, queries, 100)
    for k in (1, 10, 99):
        np.testing.assert_array_equal(one_by_one(scan, queries, k)[1], most[:, :k])


def test_what_must_be_exact_does_without(table, queries, monkeypatch):
    scan = opened(table)
    truth = one_by_one(Scan(*table.vectors()), queries, 150)[1]
    everything = np.arange(ROWS)
    monkeypatch.setattr(InvertedLists, "near", lambda *_: pytest.fail("the lists were asked"))
    np.testing.assert_array_equal(one_by_one(scan, queries, 10, exact=True)[1], truth[:, :10])
    np.testing.assert_array_equal(one_by_one(scan, queries, 10, allow=everything)[1], truth[:, :10])
    np.testing.assert_array_equal(one_by_one(scan, queries, 10, allow=everything[:50])[1] < 50, True)
    np.testing.assert_array_equal(one_by_one(scan, queries, 150)[1], truth)
    np.testing.assert_array_equal(scan.top(queries, 10)[1], truth[:, :10])
    with pytest.raises(pytest.fail.Exception, match="were asked"):
        scan.top(queries[:1], 10)


def test_new_changed_and_removed_rows(table, queries):
    """Lists from before: what is new or changed is found where it is now, what is gone is not."""
    fresh = units(queries[:20] + 1e-3)
    nearest = one_by_one(opened(table), queries, 1)[1][:, 0]
    changed = np.setdiff1d(np.arange(ROWS), nearest)[:10]
    table.append(rows_of(fresh[:10], first=ROWS))
    for i, id in enumerate(changed):
        table.replace(rows_of(fresh[10 + i : 11 + i], first=int(id)))
    gone = np.unique(nearest[20:])
    table.remove(gone.tolist())
    scan = opened(table)
    found = one_by_one(scan, queries, 10)[1]
    np.testing.assert_array_equal(found[:10, 0], np.arange(ROWS, ROWS + 10))
    np.testing.assert_array_equal(found[10:20, 0], changed)
    assert not np.isin(found, gone).any()
    truth = one_by_one(scan, queries, 10, exact=True)[1]
    np.testing.assert_array_equal(found[:20, 0], truth[:20, 0])
    assert recall(found, truth) > 0.97


def test_lists_of_rows_that_are_gone_lead_to_an_exact_search(table):
    """All around a query is gone: no candidate is left, and the exact search steps in."""
    _, matrix = table.vectors()
    query = matrix[0].astype(np.float32)
    near = np.argsort(-(matrix.astype(np.float32) @ query))[:1500]
    table.remove(near.tolist())
    scan = opened(table)
    assert scan._lists().near(query) is None
    np.testing.assert_array_equal(scan.top(query[None], 10)[1], scan.top(query[None], 10, exact=True)[1])


@pytest.mark.parametrize("power", [-44, -30, 30])
def test_the_length_of_a_query_does_not_matter(table, queries, power):
    scan = opened(table)
    np.testing.assert_array_equal(
        one_by_one(scan, queries[:5] * np.float32(2.0**power), 5)[1], one_by_one(scan, queries[:5], 5)[1]
    )
    nothing = np.zeros((1, DIM), np.float32)
    np.testing.assert_array_equal(scan.top(nothing, 5)[1], [[0, 1, 2, 3, 4]])


def damage(file, how):
    data = bytearray(file.read_bytes())
    if how == "cut":
        data = data[: len(data) // 2]
    elif how == "empty":
        data = b""
    elif how == "other bytes":
        data = np.random.default_rng(0).bytes(5000)
    else:
        data[int(how * (len(data) - 1))] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize("how", ["cut", "empty", "other bytes", 0.0, 0.001, 0.1, 0.5, 0.9, 1.0])
def test_a_damaged_file_is_no_file_and_is_made_again(table, how):
    file = table.folder / IVF_FILE
    whole = file.read_bytes()
    damage(file, how)
    ids, matrix = table.vectors()
    assert InvertedLists.of(table, ids, matrix) is None
    refresh(table)
    assert file.read_bytes() == whole
    assert opened(table)


@pytest.mark.parametrize(("fingerprint", "dim"), [("beef", DIM), ("f00d", 8)])
def test_a_file_of_another_model_is_no_file(table, tmp_path, fingerprint, dim):
    other = Table.create(tmp_path / "other", ModelRecord("words", fingerprint, dim))
    other.append(rows_of(clustered(ROWS)[:, :dim]))
    (table.folder / IVF_FILE).rename(other.folder / IVF_FILE)
    assert InvertedLists.of(other, *other.vectors()) is None
    refresh(other)
    assert InvertedLists.of(other, *other.vectors()) is not None


def test_lists_are_written_anew_when_enough_is_new_or_gone(table):
    file = table.folder / IVF_FILE
    before = file.stat().st_ino, file.read_bytes()
    table.append(rows_of(clustered(100, seed=2), first=ROWS))
    refresh(table)
    assert (file.stat().st_ino, file.read_bytes()) == before, "100 of 3100 are few"
    table.remove(list(range(200)))
    refresh(table)
    assert file.read_bytes() != before[1], "200 and 100 are not, though the number is nearly the same"
    assert not len(opened(table)._lists()._uncovered)
    assert {entry.name for entry in table.folder.iterdir()} == {IVF_FILE, "items.lance"}


def test_a_table_that_became_small_loses_its_lists(table):
    table.remove(list(range(500, ROWS)))
    assert InvertedLists.of(table, *table.vectors()) is None
    refresh(table)
    assert not (table.folder / IVF_FILE).exists()


def test_what_a_killed_writer_left_is_cleared(table):
    left = table.folder / f".{IVF_FILE}.abc"
    left.write_bytes(b"half")
    refresh(table)
    assert not left.exists()


def test_an_interrupt_keeps_the_file_of_before(table, monkeypatch):
    before = (table.folder / IVF_FILE).read_bytes()
    table.append(rows_of(clustered(1000, seed=2), first=ROWS))
    real, calls = ivf._checksums, Counter()

    def interrupted(matrix):
        calls["checksums"] += 1
        raise KeyboardInterrupt

    monkeypatch.setattr(ivf, "_checksums", interrupted)
    with pytest.raises(KeyboardInterrupt):
        refresh(table)
    assert calls
    monkeypatch.setattr(ivf, "_checksums", real)
    assert (table.folder / IVF_FILE).read_bytes() == before
    monkeypatch.setattr(ivf.faiss, "write_index", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        refresh(table)
    assert (table.folder / IVF_FILE).read_bytes() == before
    assert {entry.name for entry in table.folder.iterdir()} == {IVF_FILE, "items.lance"}
    assert len(opened(table)._lists()._uncovered) == 1000


def test_a_reader_keeps_the_lists_it_opened(table, queries):
    scan = opened(table)
    before = one_by_one(scan, queries, 10)[1]
    table.remove(list(range(1000)))
    refresh(table)
    np.testing.assert_array_equal(one_by_one(scan, queries, 10)[1], before)
    (table.folder / IVF_FILE).unlink()
    np.testing.assert_array_equal(one_by_one(scan, queries, 10)[1], before)


def test_sync_writes_them_for_a_large_table_only(photos, index, encoder, monkeypatch):
    monkeypatch.setattr(ivf, "_LISTS", 2)
    monkeypatch.setattr(ivf, "FIRST_PASS_ROWS", 17)
    sync(index, [photos], encoder)
    assert not (index / IVF_FILE).exists()
    for seed in range(20):
        draw(photos / "more" / f"{seed}.png", 100 + seed)
    sync(index, [photos], encoder)
    table = Table.open(index)
    assert len(opened(table)._lists()._places) == 28
    made = (index / IVF_FILE).stat().st_ino
    draw(photos / "one.png", 200)
    sync(index, [photos], encoder)
    assert (index / IVF_FILE).stat().st_ino == made, "one of 29 is too few"


def test_checksums_tell_each_row():
    rows = clustered(5000).astype(np.float16)
    sums = ivf._checksums(rows)
    assert len(np.unique(sums)) == len(np.unique(rows, axis=0))
    changed = rows.copy()
    changed.view(np.uint16)[np.arange(5000), np.arange(5000) % DIM] ^= 1
    assert (ivf._checksums(changed) != sums).all()
