"""Which table is the live one: the pointer, switched under readers, damaged, repaired."""

import shutil

import pytest

from sightline.errors import IndexDamaged, IndexMissing
from sightline.index import Table, fsck
from sightline.index.folder import FIRST_TABLE, POINTER, UPGRADE, claim, live_table, switch, write_note
from sightline.index.sync import sync
from support.encoders import FakeEncoder
from support.tables import MODEL, contents, rows

pytestmark = pytest.mark.system

UNIT = [1.0] + [0] * 7


@pytest.fixture
def two(tmp_path):
    """An index that was switched from a table of three rows to one of two; both are there."""
    Table.create(tmp_path, MODEL).append(rows(range(3), vector=[UNIT] * 3))
    Table.create(tmp_path, MODEL, name="items-2.lance").append(rows(range(2), vector=[UNIT] * 2))
    switch(tmp_path, "items-2.lance")
    return tmp_path


def test_a_new_index_needs_no_pointer(photos, index, encoder):
    sync(index, [photos], encoder)
    assert not (index / POINTER).exists()
    assert live_table(index) == Table.open(index).path == index / FIRST_TABLE


def test_a_reader_keeps_its_table_when_another_takes_its_place(two):
    switch(two, FIRST_TABLE)
    reader = Table.open(two)
    assert reader.count() == 3
    switch(two, "items-2.lance")
    assert reader.count() == len(reader.rows([0, 1, 2])) == 3
    newest = reader.newest()
    assert (newest.count(), newest.path.name) == (2, "items-2.lance")
    assert newest.newest() is newest
    Table.open(two).append(rows([7], vector=[UNIT]))
    assert (reader.newest().count(), newest.count(), reader.count()) == (3, 2, 3)


def test_what_is_written_goes_into_the_live_table(photos, index, encoder):
    sync(index, [photos], encoder)
    before = contents(index)
    shutil.copytree(index / FIRST_TABLE, index / "items-5.lance")
    switch(index, "items-5.lance")
    (photos / "1.png").unlink()
    sync(index, [photos], FakeEncoder())
    assert len(contents(index)) == 7
    switch(index, FIRST_TABLE)
    assert contents(index) == before


@pytest.mark.parametrize(
    "content", ["", "soup", "[]", "{}", '{"table": 5}', '{"table": "../items.lance"}', '{"table": "items-9.lance"}']
)
def test_a_broken_pointer_is_damage_that_can_be_repaired(two, content):
    (two / POINTER).write_text(content)
    for look in (Table.open, lambda folder: sync(folder, [folder], FakeEncoder())):
        with pytest.raises(IndexDamaged, match="fsck --repair"):
            look(two)
    problems = fsck.check(two)
    assert [(problem.where, problem.repairable) for problem in problems] == [(str(two / POINTER), True)]
    assert fsck.repair(two)[:1] == problems
    assert fsck.check(two) == []
    assert Table.open(two).count() == 2, "the later of the two"


def test_a_table_that_was_not_finished_is_no_way_out(two):
    write_note(two / UPGRADE, {"source": FIRST_TABLE, "version": 2, "target": "items-2.lance"})
    (two / POINTER).write_text("soup")
    fsck.repair(two)
    assert Table.open(two).count() == 3


def test_with_a_broken_note_the_latest_table_counts_as_unfinished(two):
    (two / UPGRADE).write_text("soup")
    (two / POINTER).unlink()
    assert live_table(two).name == FIRST_TABLE
    (two / POINTER).write_text("soup")
    fsck.repair(two)
    assert Table.open(two).count() == 3


def test_a_pointer_that_is_gone(two):
    (two / POINTER).unlink()
    for look in (Table.open, lambda folder: sync(folder, [folder], FakeEncoder())):
        with pytest.raises(IndexDamaged, match=r"current\.json is missing.*fsck --repair"):
            look(two)
    (problem,) = fsck.check(two)
    assert (problem.what, problem.where, problem.repairable) == ("is missing", str(two / POINTER), True)
    fsck.repair(two)
    assert (fsck.check(two), live_table(two).name, Table.open(two).count()) == ([], "items-2.lance", 2)
    (two / POINTER).unlink()
    shutil.rmtree(two / FIRST_TABLE)
    with pytest.raises(IndexDamaged, match=r"current\.json is missing.*fsck --repair"):
        Table.open(two)
    fsck.repair(two)
    assert Table.open(two).count() == 2


def test_a_folder_with_remains_of_an_index_can_be_claimed(tmp_path):
    for name in (POINTER, f".{POINTER}.0a1b2c3d", UPGRADE, "lists.faiss", "writer.lock"):
        (tmp_path / name).touch()
    claim(tmp_path)


def test_what_is_to_be_copied_is_quoted(tmp_path):
    folder = tmp_path / "my index"
    with pytest.raises(IndexMissing, match=f"--index '{folder}'`"):
        Table.open(folder)
    Table.create(folder, MODEL)
    (folder / POINTER).write_text("soup")
    with pytest.raises(IndexDamaged, match=f"--index '{folder}'`"):
        Table.open(folder)
