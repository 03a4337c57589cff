"""Indexes of older formats: searched as they are, brought up to today's without encoding, whatever ends a run."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from sightline.cli.main import main
from sightline.errors import IndexFault
from sightline.index import Limits, ModelRecord, Table, fsck
from sightline.index.folder import UPGRADE, live_table, upgrade_target, write_note
from sightline.index.schema import VERSION, item_schema
from sightline.index.sync import forget, sync
from sightline.index.upgrade import UNREAD, upgrade
from sightline.progress import no_progress
from sightline.search import Index
from support.encoders import FakeEncoder
from support.format2 import make_old
from support.headers import DESCRIPTION, ORIGINAL, exif, gps, jpeg
from support.images import draw
from support.tables import counts, rows
from support.videos import film

pytestmark = pytest.mark.system

HERE = Path(__file__).parent


class NoEncoder(FakeEncoder):
    """Fails if it is asked to encode anything."""

    def stream(self, items, read, *more, **named):
        assert not list(items)
        return super().stream([], read)


@pytest.fixture
def old(photos, index, encoder):
    """An index in format 2 of eight images, one of them with a date and a place, and a video of three moments."""
    jpeg(
        photos / "tagged.jpg",
        exif({DESCRIPTION: "A tag"}, {ORIGINAL: "2020:02:03 04:05:06"}, gps((1, 2, 0), (3, 4, 0), 5)),
    )
    film(photos / "film.mp4", [11, 12, 13])
    sync(index, [photos], encoder)
    make_old(index)
    return index


def snapshot(index):
    """All that must not change: ids, vectors, and answers."""
    table = Table.open(index)
    order, matrix = table.vectors()
    answers = [
        [(result.id, result.score, result.uri, result.start) for result in found]
        for where in (None, "kind = 'moment'", "width > 48 or start > 0.5")
        for found in [Index(table, FakeEncoder()).search("anything", 20, where)]
    ]
    return {id: vector.tobytes() for id, vector in zip(order.tolist(), matrix, strict=True)}, answers


def test_an_old_index_is_read_as_it_is(old):
    table = Table.open(old)
    assert (table.version, table.count()) == (2, 12)
    assert fsck.check(old) == []
    (row,) = table.rows([table.ids_where("taken is not null")[0]])
    assert list(row) == item_schema(table.model).names
    assert row["taken"] == datetime(2020, 2, 3, 4, 5, 6)
    assert (row["latitude"], row["keywords"], row["phash"]) == (None, None, None)
    assert len(Index(table, FakeEncoder()).search("anything", 20)) == 12
    with pytest.raises(Exception, match="`sightline index` of its folders adds more"):
        table.ids_where("latitude > 0")


def test_info_lists_the_columns_that_an_old_table_stores(old, capfd):
    assert main(["info", "--index", str(old)]) == 0
    _, listed = capfd.readouterr().out.split("what it is\n")
    names = re.findall(r"^(\w+) .* [0-9]+  ", listed, re.MULTILINE) + re.findall(
        r"(\w+) \(", listed.split("no values")[1]
    )
    assert "taken" in names
    assert "latitude" not in names
    for name in names:
        Table.open(old).ids_where(f"{name} is not null")


def test_the_next_run_brings_it_up_without_encoding(old, photos):
    before, next_id = snapshot(old), Table.open(old).next_id()
    stages = []
    report = sync(old, [photos], NoEncoder(), stages.append, limits=Limits(upgraded_rows=5))
    assert counts(report) == {"unchanged": 10}
    upgrading = [(at.done, at.total) for at in stages if at.stage == "upgrading"]
    assert upgrading == [(0, 12), (5, 12), (10, 12), (12, 12)]
    table = Table.open(old)
    assert (table.version, table.next_id()) == (VERSION, next_id)
    assert snapshot(old) == before
    assert fsck.check(old) == []
    sync(old.parent / "fresh", [photos], FakeEncoder())
    fresh = Table.open(old.parent / "fresh")
    names = [name for name in item_schema(table.model).names if name not in ("added", "precision")]
    assert table.rows(sorted(before[0]), names) == fresh.rows(sorted(before[0]), names)
    assert {(row["added"], row["precision"]) for row in table.rows(sorted(before[0]))} == {(None, None)}
    assert sync(old, [photos], NoEncoder()).unchanged == 10
    assert Table.open(old).path == table.path


def test_files_that_are_gone_or_changed(old, photos):
    kept = photos.parent / "kept"
    (photos / "tagged.jpg").rename(kept)
    (photos / "0.png").unlink()
    draw(photos / "1.png", 99, (64, 48))
    (photos / "2.png").rename(photos / "moved.png")
    sync(old, [photos / "3.png"], FakeEncoder())  # upgrades all, compares one
    tagged = row_of(old, photos / "tagged.jpg")
    assert (tagged["taken"], tagged["taken_source"], tagged["latitude"]) == (
        datetime(2020, 2, 3, 4, 5, 6),
        "exif",
        None,
    )
    assert tagged["phash"] is not None
    kept.rename(photos / "new name.jpg")
    assert counts(sync(old, [photos], FakeEncoder())) == {"moved": 2, "changed": 1, "removed": 1, "unchanged": 6}
    tagged = row_of(old, photos / "new name.jpg")
    assert (tagged["caption"], tagged["latitude"]) == ("A tag", pytest.approx(1 + 2 / 60))


def test_files_that_were_away_have_their_headers_read_when_they_are_back(old, photos, tmp_path):
    vectors, _ = snapshot(old)
    photos.rename(tmp_path / "unmounted")
    photos.mkdir()
    with pytest.raises(IndexFault, match="is its disk mounted"):
        sync(old, [photos], NoEncoder())
    assert Table.open(old).version == 2, "nothing was upgraded"
    photos.rmdir()
    other = draw(tmp_path / "other" / "a.png", 77).parent
    sync(old, [other], FakeEncoder())
    assert {row["mtime"] for row in Table.open(old).rows(sorted(vectors), ["mtime"])} == {UNREAD}
    assert fsck.check(old) == []
    (tmp_path / "unmounted").rename(photos)
    assert counts(sync(old, [photos], NoEncoder())) == {"unchanged": 10}
    sync(tmp_path / "fresh", [photos], FakeEncoder())
    table, fresh = Table.open(old), Table.open(tmp_path / "fresh")
    names = [name for name in item_schema(table.model).names if name not in ("added", "precision")]
    assert table.rows(sorted(vectors), names) == fresh.rows(sorted(vectors), names)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="what is forbidden can be read here")
def test_a_file_that_may_not_be_read_is_noted(old, photos):
    (photos / "tagged.jpg").chmod(0)
    sync(old, [photos / "3.png"], NoEncoder())
    assert row_of(old, photos / "tagged.jpg")["mtime"] == -1
    (photos / "tagged.jpg").chmod(0o644)
    sync(old, [photos], NoEncoder())
    assert row_of(old, photos / "tagged.jpg")["caption"] == "A tag"


def row_of(index, path):
    table = Table.open(index)
    (row,) = table.rows(table.ids_where(f"uri = '{path}'"))
    return row


def stopped_after(commits, old, photos):
    """Ctrl-C in the middle of an upgrade."""
    said = []

    def stop(progress):
        said.append(progress)
        if progress.stage == "upgrading" and progress.done == 4 * commits:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sync(old, [photos], NoEncoder(), stop, limits=Limits(upgraded_rows=4))


def test_a_run_that_was_stopped_is_resumed(old, photos):
    before = snapshot(old)
    stopped_after(2, old, photos)
    assert Table.open(old).version == 2
    assert fsck.check(old) == [], "what can be resumed is nothing wrong"
    assert snapshot(old) == before
    target = upgrade_target(old)
    (target / "data" / "stray.lance").touch()
    stages = []
    sync(old, [photos], NoEncoder(), stages.append, limits=Limits(upgraded_rows=4))
    assert [at.done for at in stages if at.stage == "upgrading"] == [8, 12]
    assert (live_table(old), snapshot(old)) == (target, before)
    assert not (old / UPGRADE).exists()
    assert fsck.check(old) == []


def test_what_was_begun_from_another_version_is_given_up(old, photos):
    stopped_after(2, old, photos)
    assert forget(old, [photos / "film.mp4"]).files == 1
    before = snapshot(old)
    sync(old, [photos / "deep"], NoEncoder())
    assert snapshot(old) == before
    assert sorted(path.name for path in old.glob("items*")) == ["items-2.lance", "items.lance"]
    assert fsck.check(old) == []


@pytest.mark.parametrize("broken", ["note", "table"])
def test_what_was_begun_and_is_broken_is_given_up(old, photos, broken):
    before = snapshot(old)
    stopped_after(1, old, photos)
    if broken == "note":
        (old / UPGRADE).write_text("soup")
    else:
        for manifest in (upgrade_target(old) / "_versions").iterdir():
            manifest.write_bytes(b"soup")
    sync(old, [photos], NoEncoder())
    assert snapshot(old) == before
    assert fsck.check(old) == []


def test_a_note_that_names_the_live_table_harms_nothing(old, photos):
    before, note = snapshot(old), {"target": "items.lance", "source": "items.lance", "version": 1}
    write_note(old / UPGRADE, note)
    assert upgrade_target(old) is None
    sync(old, [photos], NoEncoder())
    assert (live_table(old).name, snapshot(old)) == ("items-2.lance", before)
    write_note(old / UPGRADE, note)
    sync(old, [photos], NoEncoder())
    assert snapshot(old) == before


def test_a_kill_after_the_switch_leaves_nothing_to_do(old, photos):
    stopped_after(1, old, photos)
    note = (old / UPGRADE).read_bytes()
    sync(old, [photos], NoEncoder())
    (old / UPGRADE).write_bytes(note)
    before = snapshot(old)
    assert fsck.check(old) == []
    sync(old, [photos], NoEncoder())
    assert snapshot(old) == before
    assert not (old / UPGRADE).exists()


def test_readers_keep_the_old_table_until_it_is_outdated(old, photos):
    reader = Table.open(old)
    order = reader.vectors()[0]
    sync(old, [photos], NoEncoder())
    assert reader.version == 2
    np.testing.assert_array_equal(reader.vectors()[0], order)
    assert len(reader.rows(order)) == 12
    newest = reader.newest()
    assert newest.version == VERSION
    assert newest.newest() is newest
    sync(old, [photos], NoEncoder())
    assert reader.path.exists(), "not an hour has passed"
    sync(old, [photos], NoEncoder(), limits=Limits(keep=timedelta(0)))
    assert not reader.path.exists()
    assert newest.count() == 12
    with pytest.raises(Exception, match="open it again"):
        Table(reader.path, reader.dataset).take(order, ["thumbnail"])


def test_the_first_format(photos, index, encoder):
    sync(index, [photos], encoder)
    make_old(index, version=1)
    before = snapshot(index)
    assert (Table.open(index).version, fsck.check(index)) == (1, [])
    assert forget(index, [photos / "deep" / "7.png"]).files == 1
    film(photos / "film.mp4", [11, 12])
    assert counts(sync(index, [photos], encoder)) == {"added": 2, "unchanged": 7}
    after = snapshot(index)
    assert {id: vector for id, vector in before[0].items() if id != 7} == {id: after[0][id] for id in range(7)}
    assert Table.open(index).version == VERSION


@pytest.mark.parametrize("model", [ModelRecord("m", "f", 8, rescoring=3), ModelRecord("m", "f", 8, regions=(2, 2, 4))])
def test_rows_beside_vectors_change_their_column(tmp_path, model):
    name, schema = "regions" if model.regions else "rescoring", item_schema(model)
    kept = np.arange(3 * 24).reshape(3, 24) % 2
    plain, extras = rows(range(3)), pa.array(kept.astype(np.float16).tolist(), schema.field(name).type)
    columns = [extras if field.name == name else plain.column(field.name) for field in schema]
    Table.create(tmp_path / "index", model).append(pa.table(columns, schema=schema))
    make_old(tmp_path / "index")
    for _ in range(2):
        table = Table.open(tmp_path / "index")
        assert table.model == model
        found = table.take([0, 1, 2], [name]).column(name).combine_chunks().flatten().to_numpy()
        np.testing.assert_array_equal(found.reshape(3, -1), kept)
        if model.regions:
            np.testing.assert_array_equal(np.concatenate([rows for _, rows in table.regions()]).reshape(3, -1), kept)
        upgrade(table, no_progress)
    assert table.version == VERSION


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_killed_at_any_moment_nothing_is_lost(tmp_path):
    chance = random.Random(11)
    photos, index = tmp_path / "photos", tmp_path / "index"
    for seed in range(120):
        draw(photos / f"{seed % 4}" / f"{seed:03}.png", seed)
    film(photos / "film.mp4", [11, 12, 13])
    sync(index, [photos], FakeEncoder())
    make_old(index)
    before, whole = snapshot(index), tmp_path / "whole"
    shutil.copytree(index, whole)
    took = run(index, photos)
    killed = 0
    while killed < 10:
        if Table.open(index).version == VERSION:  # through, whole or in pieces: once more
            shutil.rmtree(index)
            shutil.copytree(whole, index)
        run(index, photos, kill_after=chance.uniform(0, took / 4))
        killed += Table.open(index).version == 2 and upgrade_target(index) is not None
        assert snapshot(index) == before
        assert fsck.check(index) == []
    run(index, photos)
    assert snapshot(index) == before
    assert Table.open(index).version == VERSION
    assert fsck.check(index) == []


def run(index, photos, kill_after=None):
    """One run of `indexer.py`, killed so many seconds after it began to upgrade; how many seconds that took."""
    command = [sys.executable, str(HERE.parent / "support" / "indexer.py"), str(index), "0", str(photos)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parent), *sys.path])}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "begun\n"
        began = time.monotonic()
        if kill_after is not None:
            time.sleep(kill_after)
            process.kill()
        assert process.wait() in ((0,) if kill_after is None else (0, -signal.SIGKILL))
    return time.monotonic() - began
