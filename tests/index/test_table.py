"""The table on disk: rows, vectors, filters, versions, what other versions and processes do to it."""

import os
import threading
import time
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sightline.errors import IndexDamaged, IndexFault, IndexMissing, IndexTooNew, UsageError
from sightline.index import Limits, Table, cleanup
from sightline.index.folder import FIRST_TABLE, manifests
from sightline.index.schema import ModelRecord
from support.examples import examples
from support.tables import MODEL, rows


@pytest.fixture
def table(tmp_path):
    table = Table.create(tmp_path, MODEL)
    table.append(rows(range(5)))
    table.append(rows(range(5, 9)))
    return table


def test_it_says_who_built_it(table):
    opened = Table.open(str(table.folder))
    assert (opened.model, opened.version, opened.count(), opened.folder) == (MODEL, 3, 9, table.folder)
    assert ModelRecord.from_metadata({**MODEL.to_metadata(), "sightline.model.revision": "main"}).revision == "main"


@pytest.mark.parametrize("name", ["a b", "50%20", "x#y?z", "索引", "it's", "-r", "s3:", "file:"])
def test_the_folder_may_have_any_name_and_be_relative(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    Table.create(name, MODEL).append(rows([1]))
    opened = Table.open(name)
    assert (tmp_path / name / FIRST_TABLE).is_dir()
    monkeypatch.chdir("/")
    assert opened.rows([1], ["uri"]) == [{"id": 1, "uri": "/photos/1.jpg"}]
    assert opened.newest() is opened


def test_vectors_and_rows_belong_together(table):
    table.remove([0, 6])
    table.replace(rows([3], uri=["/elsewhere.jpg"], vector=[[30] + [0] * 7]))
    ids, matrix = table.vectors()
    assert matrix.dtype == np.float16
    assert ids.dtype == np.int64
    np.testing.assert_array_equal(matrix[:, 0], np.where(ids == 3, 30, ids))
    assert sorted(ids) == [1, 2, 3, 4, 5, 7, 8]
    asked = [8, 3, 1, 8]
    assert table.rows(asked, ["uri"]) == [
        {"id": id, "uri": "/elsewhere.jpg" if id == 3 else f"/photos/{id}.jpg"} for id in asked
    ]
    assert table.rows([], ["uri"]) == []
    assert [row["hash"] for row in table.rows(ids)] == [f"{id:032x}" for id in ids]


def test_a_row_that_is_not_there_is_not_answered_with_another(table):
    table.remove([4])
    for missing in (4, 9, -1):
        with pytest.raises(KeyError, match=f"no row {missing}"):
            table.rows([1, missing])


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("size > 106", [7, 8]),
        ("uri LIKE '%/3.jpg' OR id IN (1, 2)", [1, 2, 3]),
        ("taken > timestamp '2020-06-01 00:00:00'", [1]),
        ("taken IS NULL AND id < 4", [2, 3]),
        ("caption = 'it''s'", [0]),
        ("width > height", list(range(9))),
        ("false", []),
        ("caption is null or caption != 'a;b'", list(range(9))),
    ],
)
def test_filters_are_sql(table, sql, found):
    times = [np.datetime64("2020-01-01", "us"), np.datetime64("2021-01-01", "us")]
    table.replace(rows([0, 1], taken=times, caption=["it's", "so"]))
    assert sorted(table.ids_where(sql)) == found


@pytest.mark.parametrize(
    "sql", ["", "size >", "color = 'red'", "size", "uri = 5", "id / 0 = 1", "('", "id >= 0; and more"]
)
def test_a_filter_that_makes_no_sense_is_named(table, sql):
    with pytest.raises(UsageError, match="not understood") as caught:
        table.ids_where(sql)
    assert repr(sql) in str(caught.value)
    assert ".rs:" not in str(caught.value)


def test_a_snapshot_stays_as_it_is(table):
    reader = Table.open(table.folder)
    assert reader.newest() is reader
    table.append(rows([20]))
    table.remove([1])
    assert reader.count() == 9
    assert reader.rows([1])[0]["uri"] == "/photos/1.jpg"
    newest = reader.newest()
    assert newest.count() == 9
    assert newest.rows([20])[0]["uri"] == "/photos/20.jpg"
    with pytest.raises(KeyError):
        newest.rows([1])
    assert reader.rows([1])[0]["uri"] == "/photos/1.jpg"


def test_ids_set_aside_are_never_given_again(table):
    assert table.reserve(3) == 9
    assert table.reserve(2) == 12
    table.append(rows([40]))
    table.remove([40])
    table.append(rows([30]))
    assert Table.open(table.folder).next_id() == 31
    assert table.reserve(1) == 31


def test_tidying_merges_small_parts_and_spares_readers(table):
    table.limits = Limits(small_fragments=3, fragment_rows=20)
    reader = Table.open(table.folder)
    large = rows(range(100, 115))
    table.append(large)
    data = set((table.path / "data").iterdir())
    cleanup.tidy(table)
    assert len(table.dataset.get_fragments()) == 3, "two small parts are not enough"
    table.append(rows([200]))
    table.append(rows([201]))
    table.append(rows([202]))
    cleanup.tidy(table)
    assert len(table.dataset.get_fragments()) == 3, "those before and after the large one, and the large one"
    assert data < set((table.path / "data").iterdir()), "nothing that a reader may need is gone"
    assert reader.count() == len(reader.vectors()[0]) == 9
    assert sorted(table.vectors()[0]) == [*range(9), *range(100, 115), 200, 201, 202]


def test_a_reader_that_slept_too_long_is_told_so_and_goes_on(table):
    table.limits = Limits(keep=timedelta(microseconds=1), small_fragments=2)
    reader = Table.open(table.folder)
    cleanup.tidy(table)
    table.append(rows([20]))
    cleanup.tidy(table)
    with pytest.raises(IndexFault, match="open it again"):
        reader.vectors()
    assert len(reader.newest().vectors()[0]) == 10
    assert len(manifests(table.path)) == table.limits.keep_last


@pytest.mark.system
def test_a_version_may_be_read_for_an_hour_after_it_was_replaced_however_old_it_is(table):
    """An index of last week is open for searching when somebody adds to it."""
    for age, file in enumerate(manifests(table.path).values(), start=7):
        os.utime(file, times=2 * (time.time() - 86_400 * age,))
    time.sleep(1.1)  # Lance's own note of when the version was made
    reader = Table.open(table.folder)
    table.limits = Limits(small_fragments=2)
    for id in range(20, 26):
        table.append(rows([id]))
        cleanup.tidy(table)
    assert len(reader.vectors()[0]) == 9
    assert [row["uri"] for row in reader.rows([3])] == ["/photos/3.jpg"]
    assert not {1, 2} & manifests(table.path).keys(), "what was replaced last week is gone"


def test_a_tag_that_somebody_gave_a_version_is_no_obstacle(table):
    table.limits = Limits(keep=timedelta(microseconds=1))
    table.dataset.tags.create("mine", 2)
    table.append(rows([20]))
    cleanup.tidy(table)
    assert 2 in manifests(table.path)
    assert 1 not in manifests(table.path)


def test_leftovers_are_what_no_version_knows(table):
    assert cleanup.leftovers(table) == []
    strays = [table.path / name for name in ("data/x.lance", "_deletions/y.arrow", "_versions/z.manifest#1")]
    for stray in strays:
        stray.parent.mkdir(exist_ok=True)
        stray.touch()
    assert sorted(cleanup.leftovers(table)) == sorted(strays)
    cleanup.sweep(table)
    assert cleanup.leftovers(table) == []
    assert len(table.vectors()[0]) == 9


def test_a_filter_on_a_column_that_is_damaged_is_not_blamed(table, monkeypatch):
    class Damaged:
        """Lance fails while it reads."""

        version = latest_version = table.dataset.version

        def to_table(self, columns, filter):
            raise OSError("failed to decode")

    monkeypatch.setattr(table, "dataset", Damaged())
    with pytest.raises(IndexDamaged, match="fsck --repair"):
        table.ids_where("width > 1")


@pytest.mark.parametrize("missing", ["folder", "table", "files"])
def test_no_index_says_how_to_make_one(tmp_path, missing):
    folder = tmp_path / "index"
    if missing != "folder":
        (folder / FIRST_TABLE if missing == "files" else folder).mkdir(parents=True)
    with pytest.raises(IndexMissing, match=f"sightline index PATH --index {folder}"):
        Table.open(folder)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"sightline.version": "4"}, IndexTooNew),
        ({"sightline.version": "x"}, IndexDamaged),
        ({"sightline.version": None}, IndexDamaged),
        ({"sightline.model.dim": "9"}, IndexDamaged),
        ({"sightline.model.fingerprint": None}, IndexDamaged),
    ],
)
def test_metadata_that_is_not_ours(table, changes, error):
    table.dataset.update_schema_metadata(changes)
    with pytest.raises(error, match="3.*update" if error is IndexTooNew else "fsck --repair"):
        Table.open(table.folder)


def test_damage_is_an_error_that_names_the_way_out(table):
    for file in (table.path / "data").iterdir():
        os.truncate(file, file.stat().st_size // 2)
    damaged = Table.open(table.folder)
    for read in (damaged.vectors, lambda: damaged.rows([1]), lambda: damaged.ids_where("id = 1")):
        with pytest.raises(IndexDamaged, match=f"fsck --repair --index {table.folder}"):
            read()
    newest = manifests(table.path)
    newest[max(newest)].write_bytes(b"no manifest")
    with pytest.raises(IndexDamaged, match="fsck --repair"):
        Table.open(table.folder)


def test_rust_panics_are_errors_and_stay_off_the_terminal(table, capfd):
    """A manifest whose footer points nowhere makes Lance panic."""
    newest = manifests(table.path)
    path = newest[max(newest)]
    content = bytearray(path.read_bytes())
    content[:4] = (2**31).to_bytes(4, "little")
    for place in range(len(content) - 16, len(content) - 8):
        content[place] = 0
    path.write_bytes(content)
    with pytest.raises(IndexDamaged, match="fsck --repair"):
        Table.open(table.folder)
    assert capfd.readouterr().err == ""


def test_a_list_of_removed_rows_that_is_damaged(tmp_path):
    """Alone, Lance would take some of these bits for a size, and end the process for want of memory."""
    table = Table.create(tmp_path, MODEL)
    table.append(rows(range(200)))
    table.remove(range(3, 6))
    [file] = (tmp_path / FIRST_TABLE / "_deletions").iterdir()
    content = bytearray(file.read_bytes())
    content[-20] ^= 0x40
    file.write_bytes(content)
    with pytest.raises(IndexDamaged, match="fsck --repair"):
        Table.open(tmp_path)


def test_reading_from_many_threads(table):
    failures = []

    def read():
        try:
            for _ in range(20):
                assert [row["id"] for row in table.rows([7, 2], ["uri"])] == [7, 2]
                assert len(table.ids_where("id < 3")) == 3
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


class AnyHistory(RuleBasedStateMachine):
    """Whatever is appended, replaced, removed and merged: the table is the dict that it should be."""

    @initialize(folder=st.just(None))
    def create(self, folder):
        import tempfile

        self.place = tempfile.TemporaryDirectory()
        self.table = Table.create(self.place.name, MODEL)
        self.held = {}

    def teardown(self):
        self.place.cleanup()

    def put(self, ids, salt):
        for id in ids:
            self.held[id] = f"/{salt}/{id}"
        return rows(ids, uri=[self.held[id] for id in ids])

    @rule(count=st.integers(1, 30), salt=st.integers())
    def append(self, count, salt):
        first = self.table.reserve(count)
        assert first > max(self.held, default=-1)
        self.table.append(self.put(range(first, first + count), salt))

    @rule(data=st.data(), salt=st.integers())
    def replace(self, data, salt):
        if self.held:
            chosen = data.draw(st.lists(st.sampled_from(sorted(self.held)), unique=True, min_size=1))
            self.table.replace(self.put(chosen, salt))

    @rule(data=st.data())
    def remove(self, data):
        if self.held:
            chosen = data.draw(st.lists(st.sampled_from(sorted(self.held)), unique=True, min_size=1))
            self.table.remove(chosen)
            for id in chosen:
                del self.held[id]

    @rule()
    def merge(self):
        self.table.dataset.optimize.compact_files(target_rows_per_fragment=16)
        self.table = Table.open(self.place.name)

    @invariant()
    def is_what_it_should_be(self):
        assert self.table.count() == len(self.held)
        found = self.table.rows(sorted(self.held), ["uri"])
        assert {row["id"]: row["uri"] for row in found} == self.held
        assert sorted(self.table.vectors()[0]) == sorted(self.held)


AnyHistory.TestCase.settings = settings(examples(15), stateful_step_count=12)
TestAnyHistory = AnyHistory.TestCase


def test_rows_that_do_not_fit_the_model_are_damage(tmp_path):
    model = ModelRecord("m", "f", 8, None, regions=(3, 4, 4))
    assert ModelRecord.from_metadata(model.to_metadata()) == model
    assert model.extra_rows == 3 + 2
    for regions in ("3x4", "x", "3x4x4x4"):
        with pytest.raises(ValueError):
            ModelRecord.from_metadata(model.to_metadata() | {"sightline.model.regions": regions})
    table = Table.create(tmp_path, model)
    for changed in ({"sightline.model.regions": "3x4x8"}, {"sightline.model.dim": "0"}):
        table.dataset.update_schema_metadata(changed)
        with pytest.raises(IndexDamaged):
            Table.open(tmp_path)
