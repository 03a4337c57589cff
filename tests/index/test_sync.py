"""`sync`: new, changed, moved and deleted files, and whatever cannot be read."""

import hashlib
import os
import shutil
import weakref
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from sightline.errors import (
    CheckpointError,
    ImageError,
    IndexFault,
    IndexLocked,
    IndexTooNew,
    ModelMismatch,
    UsageError,
)
from sightline.index import Limits, Table, fsck, item as item_module, lock, walk
from sightline.index.batch import SyncReport
from sightline.index.exclude import Patterns
from sightline.index.folder import FIRST_TABLE, exists
from sightline.index.plan import below
from sightline.index.schema import ModelRecord
from sightline.index.sync import forget, sync
from support.encoders import Encoded, FakeEncoder
from support.images import draw
from support.tables import contents, counts, ids, reasons


@pytest.fixture
def indexed(photos, index, encoder):
    """The index of the eight pictures; `encoder.seen` starts empty."""
    assert counts(sync(index, [photos], encoder)) == {"added": 8}
    encoder.seen.clear()
    return index


def test_a_first_run_takes_in_everything(photos, indexed, encoder):
    held = contents(indexed)
    assert sorted(held) == sorted(photos.rglob("*.png"))
    for path, row in held.items():
        assert row["hash"] == hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
        assert (row["size"], row["mtime"]) == (path.stat().st_size, path.stat().st_mtime_ns)
        assert (row["width"], row["height"]) == (48, 32)
        np.testing.assert_array_equal(row["vector"], encoder.encode_images([path])[0].astype(np.float16))
    assert [path for path, _ in sorted(ids(indexed).items(), key=lambda pair: pair[1])] == sorted(held)


def test_what_is_unchanged_is_not_read(photos, indexed, encoder, monkeypatch):
    monkeypatch.setattr(item_module, "open_file", lambda path: pytest.fail("read"))
    before = Table.open(indexed)
    assert sync(indexed, [photos], encoder) == SyncReport(unchanged=8, indexed=8)
    assert before.newest() is before, "nothing was written"


def test_new_changed_and_deleted(photos, indexed, encoder):
    before = ids(indexed)
    draw(photos / "new.png", 100)
    draw(photos / "3.png", 101)
    (photos / "deep/6.png").unlink()
    assert counts(sync(indexed, [photos], encoder)) == {"added": 1, "changed": 1, "removed": 1, "unchanged": 6}
    assert encoder.seen == ["3.png", "new.png"]
    after = ids(indexed)
    assert after.pop(photos / "new.png") == 8
    del before[photos / "deep/6.png"]
    assert after == before
    assert contents(indexed) == fresh(photos, indexed)


def fresh(photos, indexed):
    """What a new index of the same images holds."""
    other = indexed.parent / "fresh"
    shutil.rmtree(other, ignore_errors=True)
    sync(other, [photos], FakeEncoder())
    return contents(other)


def test_a_moved_file_keeps_its_row(photos, indexed, encoder):
    before = ids(indexed)
    (photos / "else").mkdir()
    (photos / "3.png").rename(photos / "else/three.png")
    (photos / "deep").rename(photos / "sunk")
    assert counts(sync(indexed, [photos], encoder)) == {"moved": 3, "unchanged": 5}
    assert encoder.seen == []
    after = ids(indexed)
    assert after[photos / "else/three.png"] == before[photos / "3.png"]
    assert after[photos / "sunk/7.png"] == before[photos / "deep/7.png"]
    assert contents(indexed) == fresh(photos, indexed)


def test_a_file_may_move_to_another_root_but_a_copy_takes_nothing_away(photos, indexed, encoder, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(photos / "deep", elsewhere)
    assert counts(sync(indexed, [elsewhere], encoder)) == {"added": 2}
    before = ids(indexed)
    photos.rename(tmp_path / "pictures")
    assert counts(sync(indexed, [tmp_path / "pictures"], encoder)) == {"moved": 8}
    assert {path.name: id for path, id in ids(indexed).items() if elsewhere not in path.parents} == {
        path.name: id for path, id in before.items() if elsewhere not in path.parents
    }
    assert set(contents(indexed)) == {*(tmp_path / "pictures").rglob("*.png"), *elsewhere.iterdir()}


def test_a_move_is_told_by_contents_not_by_size(photos, index, encoder):
    for seed in range(3):
        draw(photos / f"{seed}.bmp", seed)  # all of one size
    sync(index, [photos], encoder)
    encoder.seen.clear()
    (photos / "0.bmp").unlink()
    (photos / "1.bmp").rename(photos / "a.bmp")
    draw(photos / "b.bmp", 50)
    assert counts(sync(index, [photos], encoder)) == {"moved": 1, "added": 1, "removed": 1, "unchanged": 9}
    assert encoder.seen == ["b.bmp"]
    assert contents(index) == fresh(photos, index)


def test_copies_have_rows_of_their_own_and_one_of_them_can_move(photos, indexed, encoder):
    shutil.copy(photos / "1.png", photos / "copy.png")
    assert counts(sync(indexed, [photos], encoder)) == {"added": 1, "unchanged": 8}
    (photos / "1.png").rename(photos / "x.png")
    shutil.copy(photos / "x.png", photos / "y.png")
    (photos / "copy.png").unlink()
    assert counts(sync(indexed, [photos], encoder)) == {"moved": 2, "unchanged": 7}
    assert contents(indexed) == fresh(photos, indexed)


def test_a_move_onto_another_file_and_an_exchange_of_names(photos, indexed, encoder):
    (photos / "1.png").rename(photos / "2.png")
    (photos / "3.png").rename(photos / "t")
    (photos / "4.png").rename(photos / "3.png")
    (photos / "t").rename(photos / "4.png")
    report = counts(sync(indexed, [photos], encoder))
    assert report == {"changed": 3, "removed": 1, "unchanged": 4}
    assert contents(indexed) == fresh(photos, indexed)


def test_touched_but_the_same(photos, indexed, encoder):
    os.utime(photos / "1.png", ns=(5, 5))
    assert sync(indexed, [photos], encoder) == SyncReport(unchanged=8, indexed=8)
    assert encoder.seen == []
    assert contents(indexed)[photos / "1.png"]["mtime"] == 5
    assert contents(indexed) == fresh(photos, indexed)


def test_only_what_lies_under_the_roots_is_touched(photos, indexed, encoder):
    (photos / "1.png").unlink()
    (photos / "deep/6.png").unlink()
    draw(photos / "new.png", 100)
    assert counts(sync(indexed, [photos / "deep"], encoder)) == {"removed": 1, "unchanged": 1}
    assert counts(sync(indexed, [photos / "2.png"], encoder)) == {"unchanged": 1}
    assert counts(sync(indexed, [photos], encoder)) == {"added": 1, "removed": 1, "unchanged": 6}


@pytest.mark.parametrize("gone", ["emptied", "removed"])
def test_a_root_without_any_picture_is_taken_for_a_missing_disk(photos, indexed, encoder, gone):
    shutil.rmtree(photos)
    if gone == "emptied":
        photos.mkdir()
        (photos / "read.me").touch()
    with pytest.raises(IndexFault, match=rf"holds 8 .* mounted\? .*sightline index {photos} --forget"):
        sync(indexed, [photos], encoder)
    assert Table.open(indexed).count() == 8
    assert forget(indexed, [photos / "deep"]).files == 2
    assert forget(indexed, [photos]).files == 6
    assert forget(indexed, [photos]).files == 0
    assert Table.open(indexed).count() == 0


def test_ids_are_never_used_again(photos, indexed, encoder):
    forget(indexed, [photos])
    sync(indexed, [photos], encoder)
    forget(indexed, [photos])
    assert counts(sync(indexed, [photos], encoder)) == {"added": 8}
    assert sorted(ids(indexed).values()) == list(range(16, 24))


def test_a_file_given_by_name_needs_no_suffix_and_stays_until_it_is_gone(photos, indexed, encoder):
    odd, hidden = photos / "scan.dat", photos / ".cache/9.png"
    draw(photos / "tmp.png", 9).rename(odd)
    draw(hidden, 10)
    assert counts(sync(indexed, [odd, hidden], encoder)) == {"added": 2}
    assert counts(sync(indexed, [photos], encoder)) == {"unchanged": 10}
    draw(photos / "tmp.png", 11).rename(odd)
    hidden.unlink()
    assert counts(sync(indexed, [photos], encoder)) == {"changed": 1, "removed": 1, "unchanged": 8}


def test_rows_under_a_denied_folder_stay(photos, indexed, encoder, monkeypatch):
    really = os.scandir

    def scandir(path):
        if Path(path).name == "deep":
            raise PermissionError(13, "Permission denied")
        return really(path)

    monkeypatch.setattr(os, "scandir", scandir)
    report = sync(indexed, [photos], encoder)
    assert counts(report) == {"unchanged": 6}
    assert reasons(report) == {"deep": "Permission denied"}
    assert counts(sync(indexed, [photos / "deep"], encoder)) == {}
    assert Table.open(indexed).count() == 8


def test_what_cannot_be_read_is_skipped_and_its_neighbours_are_not_touched(photos, indexed, encoder, tmp_path):
    good = contents(indexed)
    (photos / "empty.jpg").touch()
    (photos / "text.jpg").write_text("words")
    whole = draw(tmp_path / "whole.jpg", 1, (400, 300)).read_bytes()
    (photos / "half.jpg").write_bytes(whole[: len(whole) // 2])
    (photos / "nothing.jpg").symlink_to("nowhere")
    os.mkfifo(photos / "pipe.jpg")
    report = sync(indexed, [photos], encoder)
    assert counts(report) == {"unchanged": 8}
    assert set(reasons(report)) == {"empty.jpg", "text.jpg", "half.jpg", "nothing.jpg", "pipe.jpg"}
    assert all(reason and "empty.jpg" not in reason for reason in reasons(report).values())
    assert contents(indexed) == good


def test_a_changed_file_that_cannot_be_read_any_more_loses_its_row(photos, indexed, encoder):
    (photos / "1.png").write_text("words")
    report = sync(indexed, [photos], encoder)
    assert counts(report) == {"removed": 1, "unchanged": 7}
    assert "1.png" in reasons(report)
    assert photos / "1.png" not in contents(indexed)


def test_a_file_that_vanishes_in_the_middle_is_skipped(photos, index):
    class Vanishing(FakeEncoder):
        def stream(self, items, read, *more, **named):
            def vanish(item):
                (photos / "5.png").unlink(missing_ok=True)
                return read(item)

            return super().stream(items, vanish, *more, **named)

    report = sync(index, [photos], Vanishing())
    assert counts(report) == {"added": 7}
    assert reasons(report) == {"5.png": "No such file or directory"}


def test_a_vector_that_is_not_finite_does_not_get_in(photos, index):
    class Broken(FakeEncoder):
        def stream(self, items, read, *more, **named):
            for encoded in super().stream(items, read, *more, **named):
                broken = encoded.vector * np.float32(np.nan)
                yield encoded._replace(vector=broken) if encoded.item.path.name == "2.png" else encoded

    report = sync(index, [photos], Broken())
    assert counts(report) == {"added": 7}
    assert list(reasons(report)) == ["2.png"]


def test_odd_names_are_indexed_and_found_again(tmp_path, index, encoder):
    names = ["线\n换.png", "-rf.png", "%41.png", "file:x.png", os.fsdecode(b"\xff\xfe.png"), 'it\'s "so".png']
    paths = {
        draw(tmp_path / "odd" / "plain.png", seed).rename(tmp_path / "odd" / name) for seed, name in enumerate(names)
    }
    assert counts(sync(index, [tmp_path / "odd"], encoder)) == {"added": len(names)}
    assert set(contents(index)) == paths
    assert counts(sync(index, [tmp_path / "odd"], encoder)) == {"unchanged": len(names)}


def test_the_index_may_lie_among_the_pictures(photos, encoder):
    index = photos / "index"
    sync(index, [photos], encoder)
    draw(index / "stray.png", 50)
    assert counts(sync(index, [photos], encoder)) == {"unchanged": 8}


def test_progress_tells_stages_and_counts(photos, indexed, encoder):
    for seed in range(5):
        draw(photos / f"new{seed}.png", 200 + seed)
    (photos / "bad.jpg").write_text("words")
    (photos / "0.png").rename(photos / "moved.png")
    seen = []
    sync(indexed, [photos], encoder, seen.append)
    assert list(dict.fromkeys(progress.stage for progress in seen)) == ["scanning", "encoding", "finishing"]
    encoding = [progress for progress in seen if progress.stage == "encoding"]
    assert [progress.done for progress in encoding] == [1, 2, 3, 4, 5, 6]
    assert {progress.total for progress in encoding} == {6}
    assert (encoding[-1].added, encoding[-1].skipped, encoding[-1].path.name) == (5, 1, "new4.png")


def test_another_model_is_refused_with_both_names(photos, indexed):
    other = FakeEncoder(name="other", fingerprint="f" * 64)
    with pytest.raises(ModelMismatch, match=r"fake .*other .*--model fake"):
        sync(indexed, [photos], other)
    assert Table.open(indexed).model == ModelRecord("fake", "0" * 64, 32)


def test_an_index_of_a_newer_format_is_refused(photos, indexed, encoder):
    Table.open(indexed).dataset.update_schema_metadata({"sightline.version": "9"})
    with pytest.raises(IndexTooNew, match="format 9"):
        sync(indexed, [photos], encoder)


def test_another_writer_is_named_or_waited_for(photos, indexed, encoder):
    with lock.writer(indexed):
        for wait in (0, 0.1):
            with pytest.raises(IndexLocked, match=f"process {os.getpid()}"):
                sync(indexed, [photos], encoder, wait=wait)
        with pytest.raises(IndexLocked):
            forget(indexed, [photos])
    assert counts(sync(indexed, [photos], encoder)) == {"unchanged": 8}


def test_nothing_to_index_makes_no_table(tmp_path, index, encoder):
    (tmp_path / "photos").mkdir()
    assert sync(index, [tmp_path / "photos"], encoder) == SyncReport()
    assert not exists(index)


def test_a_path_that_is_not_there_and_a_folder_that_is_no_index(photos, tmp_path, encoder):
    with pytest.raises(UsageError, match="no such file"):
        sync(tmp_path / "index", [tmp_path / "nowhere"], encoder)
    assert not (tmp_path / "index").exists()
    with pytest.raises(UsageError, match="empty folder"):
        sync(photos, [photos], encoder)
    (tmp_path / "file").touch()
    with pytest.raises(IndexFault, match=r"could not be written \(Not a directory\)"):
        sync(tmp_path / "file" / "index", [photos], encoder)


def test_a_creation_that_was_cut_short_is_no_index_and_in_nobodys_way(photos, index, encoder):
    for part in ("_transactions", "_versions"):
        (index / FIRST_TABLE / part).mkdir(parents=True)
    (index / FIRST_TABLE / "_versions" / ".tmp.manifest_1").touch()
    assert counts(sync(index, [photos], encoder)) == {"added": 8}


def test_items_are_let_go_once_they_are_committed(photos, index):
    alive = weakref.WeakSet()

    class Counting(FakeEncoder):
        def stream(self, items, read, *more, **named):
            for item in items:
                alive.add(item)
                picture, facts = read(item)
                assert len(alive) <= 4
                yield Encoded(item, facts, self._encode(picture)[0], None)

    assert counts(sync(index, [photos], Counting(), limits=Limits(batch_rows=2))) == {"added": 8}


def test_small_commits_are_merged_in_passing(photos, index, encoder):
    sync(index, [photos], encoder, limits=Limits(batch_rows=1, small_fragments=4))
    dataset = Table.open(index).dataset
    assert len(dataset.get_fragments()) < 4
    assert contents(index) == fresh(photos, index)


def test_interrupting_keeps_what_was_done(photos, index):
    class Interrupted(FakeEncoder):
        def stream(self, items, read, *more, **named):
            for done, result in enumerate(super().stream(items, read, *more, **named)):
                if done == 5:
                    raise KeyboardInterrupt
                yield result

    with pytest.raises(KeyboardInterrupt):
        sync(index, [photos], Interrupted())
    assert Table.open(index).count() == 5
    assert counts(sync(index, [photos], FakeEncoder())) == {"added": 3, "unchanged": 5}


def test_an_error_of_the_model_keeps_what_was_committed(photos, index, encoder):
    class Failing(FakeEncoder):
        def _encode(self, picture):
            if Table.open(index).count() >= 4:
                raise MemoryError
            return super()._encode(picture)

    with pytest.raises(MemoryError):
        sync(index, [photos], Failing(), limits=Limits(batch_rows=2))
    assert Table.open(index).count() == 4
    assert counts(sync(index, [photos], encoder)) == {"added": 4, "unchanged": 4}


def test_reasons_do_not_repeat_the_path(photos, index):
    class Refusing(FakeEncoder):
        def stream(self, items, read, *more, **named):
            for item in items:
                yield Encoded(item, None, ImageError(str(item.path), "too ugly"), None)

    assert set(reasons(sync(index, [photos], Refusing())).values()) == {"too ugly"}


def test_what_duckdb_pandas_and_lancedb_see(indexed):
    """Plain Arrow types under plain names, in `items.lance`."""
    import lance

    table = lance.dataset(str(indexed / "items.lance")).to_table()
    assert table.schema.field("vector").type == pa.list_(pa.float16(), 32)
    assert table.column("kind").unique().to_pylist() == ["image"]


def test_the_walk_is_given_strings_that_rows_lead_back_to(photos, indexed):
    roots = walk.roots_of([photos])
    assert {str(path) for path in contents(indexed)} == set(walk.list_files(roots, indexed, Patterns((), roots)).files)


def test_whoever_writes_next_sweeps_up_after_a_killed_run(photos, indexed):
    stray = indexed / FIRST_TABLE / "data" / "stray.lance"
    stray.touch()
    (indexed / lock.NAME).write_text('{"pid": 1, "since": "yesterday"}')
    forget(indexed, [photos / "deep"])
    assert not stray.exists()


def test_an_interrupt_out_of_a_commit_doubles_nothing(photos, index, encoder, monkeypatch):
    """Python raises a Ctrl-C that came during a commit when the commit is over."""
    append = Table.append

    def interrupted(self, rows):
        append(self, rows)
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(Table, "append", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sync(index, [photos], encoder, limits=Limits(batch_rows=3))
    held = Table.open(index).columns(["uri"]).column("uri").to_pylist()
    assert len(held) == len(set(held)) == 3
    assert sync(index, [photos], encoder).added == 5
    assert sorted(contents(index)) == sorted(photos.rglob("*.png"))


def test_an_index_without_pictures_binds_no_model(photos, index, encoder):
    """Left by a run whose model turned out to be broken, say: the next one may be another."""

    class Broken(FakeEncoder):
        def stream(self, items, read, *more, **named):
            raise CheckpointError("not a whole file")
            yield

    broken = Broken(fingerprint="1" * 64)
    with pytest.raises(CheckpointError):
        sync(index, [photos], broken)
    assert Table.open(index).count() == 0
    sync(index, [photos], encoder)
    assert Table.open(index).model.fingerprint == encoder.fingerprint
    assert fsck.check(index) == []
    with pytest.raises(ModelMismatch, match="as it was then"):
        sync(index, [photos], broken)


def test_files_by_name_are_told_from_what_lies_below_folders():
    files = dict.fromkeys(["/p/a", "/p/a.jpg", "/p/b/c", "/pq/a", "/q"])
    assert list(below(files, ["/p/a", "/q"])) == ["/p/a", "/q"]
    assert list(below(files, ["/p"])) == ["/p/a", "/p/a.jpg", "/p/b/c"]
    assert list(below(files, ["/p/b", "/p/a"])) == ["/p/a", "/p/b/c"]
    assert list(below(files, ["/"])) == list(files)
    assert below(files, []) == {}


def test_the_place_of_a_model_that_was_moved_is_noted(photos, index, indexed, encoder):
    moved = FakeEncoder(name=str(photos), fingerprint=encoder.fingerprint)
    assert counts(sync(index, [photos], moved)).keys() == {"unchanged"}
    assert Table.open(index).model == ModelRecord(str(photos), encoder.fingerprint, encoder.dim)
    assert fsck.check(index) == []
