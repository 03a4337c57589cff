"""An index that is watched: whatever happens to the files, one look later it holds what a fresh index would."""

import os
import shutil
import sys
import threading
import time
from pathlib import Path

import pytest

from sightline.errors import IndexMissing, UsageError
from sightline.index import Table, changes, lock, mounts, watch as watch_module
from sightline.index.batch import SyncReport
from sightline.index.changes import Changes
from sightline.index.exclude import DEFAULTS, Patterns
from sightline.index.settings import read_settings
from sightline.index.sync import forget, sync
from sightline.index.watch import Watch
from support.images import draw
from support.tables import contents, counts

pytestmark = pytest.mark.system


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    """Seconds become tenths."""
    monkeypatch.setattr(changes, "STEP", 0.1)
    monkeypatch.setattr(changes, "POLL", 0.1)
    monkeypatch.setattr(changes, "IDLE", 1.0)
    for name, seconds in {"QUIET": 0.25, "PATIENCE": 0.6, "RETRY": 0.2, "DISKS": 0.1}.items():
        monkeypatch.setattr(watch_module, name, seconds)


@pytest.fixture
def watch(photos, index, encoder):
    """Of the photos, after the first look."""
    watch = Watch(index, [photos], encoder)
    assert [counts(report) for report in watch.look()] == [{"added": 8}]
    encoder.seen.clear()
    yield watch
    watch.close()


def next_look(watch):
    """What the look after the next change did, in words and counts."""
    watch.wait()
    return [told if isinstance(told, str) else counts(told) for told in watch.look()]


def is_up_to_date(index, photos, tmp_path, encoder):
    fresh = tmp_path / "fresh"
    sync(fresh, [photos], encoder)
    ours, theirs = contents(index), contents(fresh)
    shutil.rmtree(fresh)
    names = {"hash", "size", "mtime", "vector"}
    return {path: [row[name] for name in names] for path, row in ours.items()} == {
        path: [row[name] for name in names] for path, row in theirs.items()
    }


def save_as_editors_do(photos):
    draw(photos / ".0.png.tmp", 90, format="PNG").replace(photos / "0.png")


def move_in(photos):
    draw(photos.parent / "elsewhere" / "a" / "new.png", 91)
    (photos.parent / "elsewhere").rename(photos / "in")


HAPPENINGS = {
    "added": (lambda photos: draw(photos / "new.png", 50), {"added": 1, "unchanged": 8}),
    "changed": (lambda photos: draw(photos / "0.png", 51), {"changed": 1, "unchanged": 7}),
    "saved as editors do": (save_as_editors_do, {"changed": 1, "unchanged": 7}),
    "deleted": (lambda photos: (photos / "0.png").unlink(), {"removed": 1, "unchanged": 7}),
    "renamed": (lambda photos: (photos / "0.png").rename(photos / "deep" / "n.png"), {"moved": 1, "unchanged": 7}),
    "folder renamed": (lambda photos: (photos / "deep").rename(photos / "flat"), {"moved": 2, "unchanged": 6}),
    "folder moved in": (move_in, {"added": 1, "unchanged": 8}),
    "folder moved out": (
        lambda photos: (photos / "deep").rename(photos.parent / "out"),
        {"removed": 2, "unchanged": 6},
    ),
    "folder deleted": (lambda photos: shutil.rmtree(photos / "deep"), {"removed": 2, "unchanged": 6}),
    "new folders": (lambda photos: draw(photos / "x" / "y" / "z" / "new.png", 52), {"added": 1, "unchanged": 8}),
}


@pytest.mark.parametrize("how", ["told", "polled"])
@pytest.mark.parametrize("name", HAPPENINGS)
def test_what_happens_is_taken_in(name, how, photos, index, encoder, tmp_path, monkeypatch):
    monkeypatch.setenv("WATCHFILES_FORCE_POLLING", "1" if how == "polled" else "")
    happen, done = HAPPENINGS[name]
    watch = Watch(index, [photos], encoder)
    watch.look()
    assert watch.polled == ([str(photos)] if how == "polled" else [])
    happen(photos)
    assert next_look(watch) == [done]
    assert is_up_to_date(index, photos, tmp_path, encoder)
    watch.close()


def test_a_folder_that_was_moved_is_watched_on(watch, photos, index, encoder, tmp_path):
    (photos / "deep").rename(photos / "flat")
    next_look(watch)
    draw(photos / "flat" / "new.png", 60)
    assert next_look(watch) == [{"added": 1, "unchanged": 8}]
    assert is_up_to_date(index, photos, tmp_path, encoder)


def test_what_happens_during_a_look_makes_the_next_one(watch, photos, monkeypatch):
    look = watch_module.sync

    def slow(*args, **options):
        report = look(*args, **options)
        draw(photos / "late.png", 61)
        return report

    draw(photos / "new.png", 62)
    watch.wait()
    monkeypatch.setattr(watch_module, "sync", slow)
    assert [counts(report) for report in watch.look()] == [{"added": 1, "unchanged": 8}]
    monkeypatch.setattr(watch_module, "sync", look)
    assert next_look(watch) == [{"added": 1, "unchanged": 9}]


@pytest.mark.skipif(sys.platform != "linux", reason="names that are no UTF-8")
def test_a_name_that_the_system_cannot_tell(watch, photos):
    shutil.copy(photos / "0.png", os.fsencode(photos) + b"/\xff.png")
    assert next_look(watch) == [{"added": 1, "unchanged": 8}]
    draw(photos / "new.png", 63)
    assert next_look(watch) == [{"added": 1, "unchanged": 9}]


@pytest.mark.parametrize(
    ("name", "does_count"),
    [
        (".hidden.png", False),
        (".thumbnails/a.png", False),
        ("@eaDir/a.png", False),
        ("notes.txt", False),
        ("index/ivf.faiss.png", False),
        ("a.png", True),
        ("deep/b.MP4", True),
    ],
)
def test_which_files_count(name, does_count, photos):
    for folder in {Path(name).parent, Path("index")}:
        (photos / folder).mkdir(exist_ok=True)
    heard = Changes([str(photos)], photos / "index", Patterns(DEFAULTS, [str(photos)]))
    (photos / name).write_bytes(b"x")
    until, paths = time.monotonic() + 0.6, set()
    for changed in heard:
        paths.update(changed)
        if time.monotonic() > until:
            break
    heard.close()
    assert paths == ({str(photos / name)} if does_count else set())


def test_of_very_many_changes_all_count(photos, monkeypatch):
    """The system drops some of them without a word."""
    heard = Changes([str(photos)], photos / "index", Patterns(DEFAULTS, [str(photos)]))
    monkeypatch.setattr(changes, "MANY", 3)
    for number in range(3):
        (photos / f"{number}.txt").touch()
    assert {path for _, found in zip(range(9), heard, strict=False) for path in found}
    heard.close()


def test_a_file_that_is_still_written_waits(watch, photos, index, encoder, tmp_path):
    data, done = draw(tmp_path / "film.png", 64).read_bytes(), threading.Event()

    def write():
        with (photos / "slow.png").open("wb", buffering=0) as file:
            while not done.is_set():
                file.write(data[:8])
                time.sleep(0.03)
            file.seek(0)
            file.truncate()
            file.write(data)

    draw(photos / "new.png", 65)
    writer = threading.Thread(target=write)
    writer.start()
    assert next_look(watch) == [{"added": 1, "unchanged": 8}], "after some patience, without the slow one"
    assert "slow.png" not in encoder.seen
    done.set()
    writer.join()
    looks = (next_look(watch) for _ in range(5))  # on a slow machine its last change is still too fresh for one more
    assert [{"added": 1, "unchanged": 9}] in looks
    assert is_up_to_date(index, photos, tmp_path, encoder)


def test_what_cannot_be_read_is_tried_again_when_it_changed(watch, photos, encoder):
    (photos / "bad.png").write_bytes(b"no picture")
    watch.wait()
    (report,) = watch.look()
    assert [path for path, _ in report.skipped] == [photos / "bad.png"]
    draw(photos / "new.png", 66)
    encoder.seen.clear()
    assert next_look(watch) == [{"added": 1, "unchanged": 8}]
    assert encoder.seen == ["new.png"]
    draw(photos / "bad.png", 67)
    assert next_look(watch) == [{"added": 1, "unchanged": 9}]


def test_another_writer_is_waited_for(watch, photos, index):
    with lock.writer(index):
        draw(photos / "new.png", 68)
        (said,) = next_look(watch)
        assert f"process {os.getpid()}" in said
        assert next_look(watch) == [], "said once"
    assert next_look(watch) == [{"added": 1, "unchanged": 8}]


def test_between_looks_neither_lock_nor_model_is_held(watch, photos, index, encoder):
    draw(photos / "new.png", 69)
    assert counts(sync(index, [photos], encoder)) == {"added": 1, "unchanged": 8}
    assert next_look(watch) == [{"unchanged": 9}]


def test_a_model_given_by_name_is_opened_for_each_look(photos, index, encoder, monkeypatch):
    asked = []
    monkeypatch.setattr("sightline.index.sync._open_encoder", lambda model, *more: asked.append(model) or encoder)
    watch = Watch(index, [photos], "some/model", exclude=["deep"])
    assert [report.added for report in watch.look()] == [6]
    draw(photos / "new.png", 70)
    watch.wait()
    assert [(report.added, report.unchanged) for report in watch.look()] == [(1, 6)]
    assert asked == ["some/model", None], "the index knows it"
    watch.close()


def test_a_folder_that_is_empty_at_first(tmp_path, index, encoder):
    (tmp_path / "camera").mkdir()
    watch = Watch(index, [tmp_path / "camera"], encoder)
    assert [counts(report) for report in watch.look()] == [{}]
    assert not index.exists()
    draw(tmp_path / "camera" / "first.png", 71)
    assert next_look(watch) == [{"added": 1}]
    watch.close()


def test_a_disk_that_is_gone_keeps_its_rows_and_stops_nobody(photos, index, encoder, tmp_path):
    draw(tmp_path / "disk" / "a.png", 72)
    watch = Watch(index, [photos, tmp_path / "disk"], encoder)
    watch.look()
    (tmp_path / "disk").rename(tmp_path / "unmounted")
    said = next_look(watch)
    assert said[1:] == [{"unchanged": 8}]
    assert "is its disk mounted?" in said[0]
    draw(photos / "new.png", 73)
    assert next_look(watch) == [{"added": 1, "unchanged": 8}], "said once"
    assert tmp_path / "disk" / "a.png" in contents(index)
    (tmp_path / "unmounted").rename(tmp_path / "disk")
    assert next_look(watch) == [{"unchanged": 10}]
    draw(tmp_path / "disk" / "b.png", 74)
    assert next_look(watch) == [{"added": 1, "unchanged": 10}], "it is watched again"
    watch.close()


def test_a_disk_below_a_folder_keeps_its_rows(photos, index, encoder, monkeypatch, tmp_path):
    """Its folder stays, and is empty, as that of a file system that was unmounted."""
    deep, mounted = str(photos / "deep"), {"/": "ext4", str(photos / "deep"): "ext4"}
    for module in (watch_module, "sightline.index.sync"):
        monkeypatch.setattr(f"{getattr(module, '__name__', module)}.mounts", lambda: mounted)
    watch = Watch(index, [photos], encoder)
    watch.look()
    (photos / "deep").rename(tmp_path / "disk")
    (photos / "deep").mkdir()
    del mounted[deep]
    assert next_look(watch) == [{"unchanged": 6, "unmounted": [deep]}]
    watch.close()
    watch = Watch(index, [photos], encoder)  # as after the start of a computer
    assert [counts(report) for report in watch.look()] == [{"unchanged": 6, "unmounted": [deep]}]
    draw(photos / "new.png", 75)
    assert next_look(watch) == [{"added": 1, "unchanged": 6, "unmounted": [deep]}]
    assert len(contents(index)) == 9
    (photos / "deep").rmdir()
    (tmp_path / "disk").rename(photos / "deep")
    mounted[deep] = "ext4"
    assert next_look(watch) == [{"unchanged": 9}]
    watch.close()


@pytest.mark.parametrize("way", ["forgotten", "a folder like any other"])
def test_a_disk_that_does_not_come_back(way, photos, index, encoder, monkeypatch, tmp_path):
    mounted = {str(photos / "deep"): "ext4"}
    monkeypatch.setattr("sightline.index.sync.mounts", lambda: mounted)
    sync(index, [photos], encoder)
    shutil.rmtree(photos / "deep")
    mounted.clear()
    if way == "forgotten":
        assert forget(index, [photos / "deep"]).files == 2
        assert counts(sync(index, [photos], encoder)) == {"unchanged": 6}
    else:
        draw(photos / "deep" / "new.png", 81)
        assert counts(sync(index, [photos], encoder)) == {"added": 1, "removed": 2, "unchanged": 6}
    assert read_settings(index).disks == ()


@pytest.mark.parametrize(
    ("kind", "is_remote"),
    [
        *dict.fromkeys(
            ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "fuse", "virtiofs", "drvfs", "afs"], True
        ).items(),
        *dict.fromkeys(["ext4", "btrfs", "xfs", "zfs", "apfs", "fuseblk", "exfat", "overlay", "tmpfs"], False).items(),
    ],
)
def test_network_mounts_are_known_by_their_kind(kind, is_remote, tmp_path, monkeypatch):
    table = tmp_path / "mounts"
    table.write_text(f"/dev/a / ext4 rw 0 0\nserver:/x /mnt/my\\040photos {kind} rw 0 0\n")
    monkeypatch.setattr(mounts, "TABLE", table)
    mounted = mounts.mounts()
    assert mounted == {"/": "ext4", "/mnt/my photos": kind}
    assert mounts.is_remote("/mnt/my photos/2024", mounted) is is_remote
    assert mounts.is_remote("/mnt", mounted) is is_remote, "a disk below it"
    assert not mounts.is_remote("/mnt/my", mounted)


def test_a_network_mount_is_polled_beside_a_local_one(photos, index, encoder, tmp_path, monkeypatch):
    draw(tmp_path / "server" / "a.png", 76)
    monkeypatch.setattr(changes, "mounts", lambda: {"/": "ext4", str(tmp_path / "server"): "nfs4"})
    watch = Watch(index, [photos, tmp_path / "server"], encoder)
    watch.look()
    assert watch.polled == [str(tmp_path / "server")]
    for folder, all_before in ((tmp_path / "server", 9), (photos, 10)):
        draw(folder / "new.png", all_before)
        assert next_look(watch) == [{"added": 1, "unchanged": all_before}]
    watch.close()


def test_the_systems_limit_is_said_with_the_way_out(photos, index, encoder, monkeypatch):
    def refuse(paths):
        raise OSError('OS file watch limit reached. about ["/x"]')
        yield

    monkeypatch.setattr(changes, "_events", refuse)
    watch = Watch(index, [photos], encoder)
    said, report = watch.look()
    assert "sysctl fs.inotify.max_user_watches=" in said
    assert counts(report) == {"added": 8}
    draw(photos / "new.png", 77)
    assert next_look(watch) == [{"added": 1, "unchanged": 8}], "said once, and polled"
    watch.close()


def test_without_watchfiles_the_error_says_what_to_install(photos, index, monkeypatch):
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    with pytest.raises(UsageError, match=r'pip install watchfiles, or pip install "sightline-search\[watch\]"'):
        Watch(index, [photos])


def test_the_first_look_raises_what_is_wrong(photos, index, encoder, tmp_path):
    with pytest.raises(UsageError, match="no such file or folder"):
        Watch(index, [photos, tmp_path / "none"], encoder).look()


def test_an_index_that_was_deleted_is_not_made_again(watch, photos, index):
    shutil.rmtree(index)
    draw(photos / "new.png", 78)
    watch.wait()
    with pytest.raises(IndexMissing, match="deleted while it was watched"):
        watch.look()


def test_what_is_left_is_left_as_it_is(photos, index, encoder):
    """`leave` of `sync`: neither read nor dropped, though it changed or is gone."""
    sync(index, [photos], encoder)
    before = contents(index)
    shutil.rmtree(photos / "deep")
    draw(photos / "0.png", 79)
    draw(photos / "new.png", 80)
    leave = [str(photos / name) for name in ("deep", "0.png", "new.png")]
    assert sync(index, [photos], encoder, leave=leave) == SyncReport(unchanged=5, indexed=8)
    assert contents(index).keys() == before.keys()
    assert Table.open(index).count() == 8
