"""Groups of near duplicates."""

import itertools
import os
from datetime import datetime
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from sightline.errors import UsageError
from sightline.search import similar as module
from sightline.search.similar import HASH_BITS, near_duplicates
from sightline.vectors import unit


def at(*degrees):
    """Unit vectors in a plane: the cosine of two is that of the angle between them."""
    return np.stack([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], axis=1)


def ids(groups):
    return [[item.id for item in group] for group in groups]


@pytest.mark.parametrize("tile", [(1, 1), (2, 3), (1024, 4096)])
def test_all_of_a_group_are_near_to_its_first(make_table, tile):
    # 0, 10 and 20 degrees hang together through the middle; 90 and 95 are a pair; 200 is alone.
    table = make_table(at(90, 10, 200, 0, 95, 20))
    assert ids(near_duplicates(table, 0.98, tile=tile)) == [[1, 3, 5], [0, 4]]
    chain = make_table(at(*range(0, 80, 10)))
    assert ids(near_duplicates(chain, 0.98, tile=tile)) == [[0, 1], [2, 3], [4, 5], [6, 7]]
    table = make_table(at(90, 20, 200, 0, 95, 10))
    assert ids(near_duplicates(table, 0.98, tile=tile)) == [[0, 4], [1, 5]], "10 may be deleted: then 0 is alone"
    assert ids(near_duplicates(table, 0.99, tile=tile)) == [[0, 4]]
    assert near_duplicates(table, 1.0, tile=tile) == []


def test_the_first_is_the_one_to_keep(make_table):
    facts = {
        0: {"width": 100, "height": 100, "size": 9},
        1: {"width": 300, "height": 200, "size": 5},
        2: {"width": 200, "height": 300, "size": 7},
        3: {"width": 300, "height": 200, "size": 7},
    }
    table = make_table(at(0, 2, 4, 1), facts=facts.__getitem__)
    (group,) = near_duplicates(table, 0.95)
    assert [item.id for item in group] == [2, 1, 3, 0]
    assert [item.score for item in group] == pytest.approx([1, *np.cos(np.radians([2, 3, 4]))], abs=1e-3)
    first = {"match": "first", "score": 1.0, "size": 7, "missing": True}
    assert group[0] == module.Duplicate(id=2, uri="/pictures/00002.jpg", **first, width=200, height=300)


def test_of_as_many_pixels_the_one_with_a_date_is_kept(make_table):
    """Such as a camera's original rather than an export of it, which has more bytes and lost the date."""
    sizes = [(300, 9, None), (300, 5, datetime(2019, 7, 1)), (200, 5, datetime(2019, 7, 1)), (301, 1, None)]
    facts = [{"width": width, "height": 200, "size": size, "taken": taken} for width, size, taken in sizes]
    (group,) = near_duplicates(make_table(at(0, 1, 2), facts=facts.__getitem__))
    assert group[0].id == 1
    (group,) = near_duplicates(make_table(at(0, 1, 2, 3), facts=facts.__getitem__))
    assert group[0].id == 3, "more pixels are more"


def test_equal_files_belong_together_whatever_their_vectors(make_table):
    table = make_table(at(0, 90, 180, 270), facts=lambda i: {"hash": "same" if i in (1, 3) else str(i)})
    assert ids(near_duplicates(table)) == [[1, 3]]


def test_many_equal_images_make_one_group(make_table):
    rng = np.random.default_rng(0)
    vectors = unit(rng.normal(size=(2, 32)))[rng.integers(0, 2, 500)]
    table = make_table(vectors, facts=lambda i: {"hash": "same" if i % 50 == 0 else str(i)})
    heard = []
    groups = near_duplicates(table, 1.0, progress=heard.append, tile=(64, 100), hashes=30)
    assert [(progress.done, progress.total) for progress in heard] == [
        (min(end, 500), 500) for end in range(64, 513, 64)
    ]
    assert sum(len(group) for group in groups) == 500
    assert len(groups) in (1, 2)  # one, where a file of the one kind has the bytes of one of the other


@settings(deadline=None)
@given(st.integers(1, 30).flatmap(lambda n: st.tuples(st.just(n), st.lists(
    st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=60))))  # fmt: skip
def test_join_finds_the_components(case):
    n, pairs = case
    label = np.arange(n)
    half = len(pairs) // 2
    for part in (pairs[:half], pairs[half:]):
        array = np.array(part, dtype=np.int64).reshape(-1, 2)
        module._join(label, array[:, 0], array[:, 1])
    expected = list(range(n))
    for one, other in pairs:
        low, high = sorted((expected[one], expected[other]))
        expected = [low if value == high else value for value in expected]
    assert label.tolist() == expected


def test_an_empty_table_has_none_and_a_threshold_is_a_cosine(make_table):
    table = make_table(np.empty((0, 4)))
    assert near_duplicates(table) == []
    for wrong in (0, -1, 1.1, float("nan")):
        with pytest.raises(UsageError, match="threshold"):
            near_duplicates(table, wrong)


def films(*sizes):
    """Facts of rows that are films of so many moments each, one after the other; 0 is a picture."""
    facts = []
    for number, size in enumerate(sizes):
        for second in range(size):
            times = {"start": second, "end": second + 1, "moments": size}
            facts.append({"kind": "moment", "uri": f"/films/{number}.mp4", "hash": f"film {number}", **times})
        if not size:
            facts.append({})
    return facts.__getitem__


@pytest.mark.parametrize("tile", [(1, 1), (2, 3), (1024, 4096)])
def test_videos_are_alike_when_all_of_each_is_in_the_other(make_table, tile):
    #                         0         1         2, a part  3, more      4, a picture  5, still   6, once more
    vectors = at(0, 50, 100, 51, 101, 1, 50, 100, 0, 50, 100, 150, 30, 30, 31, 29, 2, 52, 102)
    table = make_table(vectors, facts=films(3, 3, 2, 4, 0, 3, 3))
    groups = near_duplicates(table, 0.99, tile=tile)
    assert ids(groups) == [[0, 3, 16], [12, 13]]
    assert groups[0][1].score == pytest.approx(np.cos(np.radians(1)), abs=1e-3)
    assert groups[0][2].uri == "/films/6.mp4"
    assert [item.score for item in groups[1]] == pytest.approx([1, np.mean(np.cos(np.radians([0, 1, 1])))], abs=1e-3)
    assert near_duplicates(table, 1.0, tile=tile) == []


def test_moments_of_one_film_are_no_duplicates(make_table):
    assert near_duplicates(make_table(at(0, 0, 0, 90), facts=films(3, 1))) == []


def test_the_moments_of_a_film_may_lie_anywhere_in_the_table(make_table):
    """Rows that are replaced go to the end."""
    facts = films(2, 2)
    order = [3, 0, 2, 1]
    table = make_table(at(91, 0, 1, 90), facts=lambda i: facts(order[i]))
    assert ids(near_duplicates(table, 0.99)) == [[0, 1]]


def test_equal_films_belong_together(make_table):
    facts = films(2, 2, 2)
    table = make_table(at(0, 90, 180, 270, 45, 135), facts=lambda i: {**facts(i), "hash": "same" if i < 4 else "other"})
    assert ids(near_duplicates(table, 1.0)) == [[0, 2]]


@pytest.mark.parametrize("kind", ["symbolic", "chain", "folder", "hard", "hard, unstable numbers", "mount"])
def test_other_names_of_a_file_are_no_duplicates(make_table, tmp_path, monkeypatch, kind):
    folder = tmp_path / "photos"
    files = [folder / "b" / "0.jpg", folder / "a" / "1.jpg", folder / "2.jpg"]  # the first is the real one
    for file in files:
        file.parent.mkdir(exist_ok=True, parents=True)
    files[0].write_bytes(b"same")
    files[2].write_bytes(b"same")
    if kind == "chain":
        (folder / "step").symlink_to(files[0])
        files[1].symlink_to(folder / "step")
    elif kind == "folder":
        files[1] = folder / "c" / "0.jpg"
        files[1].parent.symlink_to("b")
    elif kind.startswith("hard"):
        os.link(files[0], files[1])
    elif kind == "symbolic":
        files[1].symlink_to(files[0])
    else:
        files[1].write_bytes(b"same")
    really, count = os.stat, itertools.count(1)

    def stat(path, **options):
        if kind == "mount" and os.fspath(path) == str(files[1]):  # two paths of one file, neither of them a link
            path = files[0]
        found = really(path, **options)
        if kind != "hard, unstable numbers":
            return found
        fields = {name: getattr(found, name) for name in dir(found) if name.startswith("st_")}
        return SimpleNamespace(**fields | {"st_ino": next(count)})

    monkeypatch.setattr("sightline.search.similar.os.stat", stat)
    uris = [files[1], files[0], files[2]]  # the link has the first row
    table = make_table(at(0, 0, 0), facts=lambda i: {"uri": str(uris[i]), "hash": "0" * 32})
    (group,) = near_duplicates(table)
    first = files[1] if kind.startswith(("hard", "mount")) else files[0]
    assert {item.uri for item in group} == {str(first), str(files[2])}
    files[2].unlink()
    files[2].symlink_to(files[0])
    assert near_duplicates(table) == []


def test_files_that_are_not_there_stay_in_their_groups(make_table):
    assert ids(near_duplicates(make_table(at(0, 0)))) == [[0, 1]]


def test_the_hashes_are_the_second_witness(make_table):
    """Two images that a model takes for the same are near only where light and dark lie alike."""
    bits = {0: 0, 1: (1 << HASH_BITS) - 1, 2: (1 << (HASH_BITS + 1)) - 1, 3: -1, 4: None}
    table = make_table(at(0, 0, 0, 0, 0), facts=lambda i: {"phash": bits[i]})
    (group,) = near_duplicates(table)
    assert {item.id for item in group} == {0, 1, 4}, "a row without a hash is judged by its cosine"
    assert near_duplicates(make_table(at(0, 90), facts=lambda i: {"phash": 0})) == [], "hashes alone are no witness"
    same = make_table(at(0, 0, 90), facts=lambda i: {"phash": -i, "hash": "same"})
    assert [item.match for item in near_duplicates(same)[0]] == ["first", "exact", "exact"]


def test_moments_are_compared_by_their_hashes_too(make_table):
    facts = films(2, 2, 2)
    hashes = [0, -1, 0, -1, -1, 0]
    table = make_table(at(0, 0, 0, 0, 0, 90), facts=lambda i: {**facts(i), "phash": hashes[i]})
    assert ids(near_duplicates(table)) == [[0, 2]]


def test_what_is_still_there_is_kept(make_table, tmp_path):
    """The largest is gone: who deletes what is beside the first must not lose the picture."""
    (tmp_path / "00001.jpg").write_bytes(b"1")
    (tmp_path / "00003.jpg").write_bytes(b"3")
    facts = {0: {"width": 9000}, 1: {"width": 100}, 2: {"width": 8000}, 3: {"width": 50}}
    table = make_table(at(0, 3, 1, 2), folder=tmp_path, facts=facts.__getitem__)
    (group,) = near_duplicates(table)
    assert [(item.id, item.match, item.missing) for item in group] == [
        (1, "first", False), (3, "near", False), (2, "near", True), (0, "near", True),
    ]  # fmt: skip
