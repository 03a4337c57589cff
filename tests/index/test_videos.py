"""Films among the pictures: all moments of a film are in the index or none, whatever happens to the film or the run."""

import io
import os
import shutil
from collections import defaultdict

import lance
import numpy as np
import pytest
from PIL import Image

from sightline.errors import ImageError, VideoError
from sightline.index import Limits, Table, fsck, to_path
from sightline.index.batch import SyncReport
from sightline.index.folder import FIRST_TABLE
from sightline.index.sync import forget, sync
from sightline.index.video_items import video_items
from sightline.processing.video.moments import Moment
from support.encoders import FakeEncoder
from support.images import draw, image
from support.tables import counts, reasons
from support.videos import film

FACTS = ["uri", "kind", "start", "end", "moments", "hash", "size", "mtime", "width", "height", "vector"]


@pytest.fixture
def folder(tmp_path):
    """Two films between two pictures: three shots, two shots."""
    draw(tmp_path / "photos/a.png", 1)
    film(tmp_path / "photos/b.mp4", [11, 12, 13])
    film(tmp_path / "photos/c.mkv", [14, 15])
    draw(tmp_path / "photos/d.png", 2)
    return tmp_path / "photos"


@pytest.fixture
def indexed(folder, index, encoder):
    assert counts(sync(index, [folder], encoder)) == {"added": 4}
    encoder.seen.clear()
    return index


def held(index, dataset=None):
    """The rows of each path, by time; all columns but the id."""
    table = Table.open(index) if dataset is None else Table(index / FIRST_TABLE, dataset)
    rows = defaultdict(list)
    for row in table.columns(FACTS).to_pylist():
        rows[to_path(row.pop("uri"))].append(row)
    return {path: sorted(found, key=lambda row: row["start"] or 0) for path, found in rows.items()}


def ids(index):
    rows = defaultdict(list)
    for row in Table.open(index).columns(["uri", "id"]).to_pylist():
        rows[to_path(row["uri"])].append(row["id"])
    return {path: sorted(found) for path, found in rows.items()}


def fresh(folder, index):
    other = index.parent / "fresh"
    shutil.rmtree(other, ignore_errors=True)
    sync(other, [folder], FakeEncoder())
    return held(other)


def are_whole(index):
    """Whether each version of the table holds films whole."""
    dataset = lance.dataset(str(index / FIRST_TABLE))
    for version in dataset.versions():
        for rows in held(index, dataset.checkout_version(version["version"])).values():
            assert {row["moments"] for row in rows} in ({None}, {len(rows)})
            assert len({(row["hash"], row["mtime"]) for row in rows}) == 1
    return True


def test_a_film_has_a_row_for_each_moment(folder, indexed, encoder):
    rows = held(indexed)
    assert sorted(rows) == sorted(folder.iterdir())
    moments = rows[folder / "b.mp4"]
    assert [(row["start"], row["end"], row["kind"], row["moments"]) for row in moments] == [
        (0, 1, "moment", 3), (1, 2, "moment", 3), (2, 3, "moment", 3),
    ]  # fmt: skip
    facts = (folder / "b.mp4").stat()
    for seed, row in zip((11, 12, 13), moments, strict=True):
        assert (row["size"], row["mtime"], row["width"], row["height"]) == (facts.st_size, facts.st_mtime_ns, 64, 48)
        assert row["hash"] == moments[0]["hash"]
        assert np.array(row["vector"], np.float32) @ encoder._encode(image(seed))[0] > 0.95
    (picture,) = rows[folder / "a.png"]
    assert (picture["kind"], picture["start"], picture["end"], picture["moments"]) == ("image", None, None, None)
    thumbnails = Table.open(indexed).columns(["thumbnail"], "kind = 'moment'").column("thumbnail").to_pylist()
    assert all(Image.open(io.BytesIO(thumbnail)).size == (64, 48) for thumbnail in thumbnails)
    assert fsck.check(indexed) == []


def test_ids_are_in_the_order_of_files_and_times(folder, indexed):
    rows = [id for _, found in sorted(ids(indexed).items()) for id in found]
    assert rows == sorted(rows)
    rows = Table.open(indexed).columns(["id", "start"], "kind = 'moment'").to_pylist()
    assert [row["start"] for row in sorted(rows, key=lambda row: row["id"])] == [0, 1, 2, 0, 1]


def test_what_is_unchanged_is_not_decoded(folder, indexed, encoder, monkeypatch):
    monkeypatch.setattr(FakeEncoder, "moments", lambda *_: pytest.fail("decoded"))
    os.utime(folder / "b.mp4", ns=(5, 5))
    assert sync(indexed, [folder], encoder) == SyncReport(unchanged=4, indexed=7)
    assert [row["mtime"] for row in held(indexed)[folder / "b.mp4"]] == [5, 5, 5]


@pytest.mark.parametrize("seeds", [[21], [21, 22, 23], [21, 22, 23, 24, 25]])
def test_a_changed_film_is_replaced_whole(folder, indexed, encoder, seeds):
    before = ids(indexed)
    film(folder / "b.mp4", seeds)
    assert counts(sync(indexed, [folder], encoder)) == {"changed": 1, "unchanged": 3}
    assert held(indexed) == fresh(folder, indexed)
    assert are_whole(indexed)
    after = ids(indexed)
    assert after.pop(folder / "b.mp4")[: len(seeds)][:3] == before.pop(folder / "b.mp4")[: len(seeds)]
    assert after == before


def test_a_moved_film_keeps_its_rows(folder, indexed, encoder, monkeypatch):
    monkeypatch.setattr(FakeEncoder, "moments", lambda *_: pytest.fail("decoded"))
    before = ids(indexed)
    (folder / "b.mp4").rename(folder / "else.mp4")
    (folder / "c.mkv").rename(folder / "f.mkv")
    (folder / "a.png").rename(folder / "g.png")
    assert counts(sync(indexed, [folder], encoder, limits=Limits(copied_rows=2))) == {"moved": 3, "unchanged": 1}
    assert ids(indexed)[folder / "else.mp4"] == before[folder / "b.mp4"]
    monkeypatch.undo()
    assert held(indexed) == fresh(folder, indexed)
    assert are_whole(indexed), "no commit moves a part of a film"


def test_a_film_named_like_a_picture_is_none_whatever_it_was(folder, indexed, encoder):
    (folder / "b.mp4").rename(folder / "b.png")
    (folder / "a.png").rename(folder / "a.mkv")
    (folder / "c.mkv").rename(folder / "c.mov")
    report = sync(indexed, [folder], encoder)
    assert counts(report) == {"moved": 1, "removed": 2, "unchanged": 1}
    assert set(reasons(report)) == {"a.mkv", "b.png"}
    assert held(indexed) == fresh(folder, indexed)


def test_a_film_that_is_gone_or_forgotten_goes_whole(folder, indexed, encoder):
    (folder / "b.mp4").unlink()
    assert counts(sync(indexed, [folder], encoder)) == {"removed": 1, "unchanged": 3}
    assert forget(indexed, [folder / "c.mkv"]).files == 1
    assert {path.suffix for path in held(indexed)} == {".png"}
    assert are_whole(indexed)


def test_a_film_in_which_nothing_can_be_seen_is_one_moment(tmp_path, index, encoder, monkeypatch):
    film(tmp_path / "photos/black.mp4", [None, None])
    monkeypatch.setattr(FakeEncoder, "moments", lambda *_: iter(()))
    assert counts(sync(index, [tmp_path / "photos"], encoder)) == {"added": 1}
    ((row,),) = held(index).values()
    assert (row["start"], row["end"], row["moments"]) == (0, 2, 1)
    monkeypatch.setattr(FakeEncoder, "moments", lambda *_: pytest.fail("decoded"))
    assert counts(sync(index, [tmp_path / "photos"], encoder)) == {"unchanged": 1}


def test_what_cannot_be_read_is_skipped(folder, index, encoder):
    whole = (folder / "b.mp4").read_bytes()
    (folder / "half.mp4").write_bytes(whole[: len(whole) // 10])
    (folder / "empty.mp4").touch()
    (folder / "words.mkv").write_text("words")
    shutil.copy(folder / "a.png", folder / "picture.mp4")
    report = sync(index, [folder], encoder)
    assert counts(report) == {"added": 4}
    assert set(reasons(report)) == {"half.mp4", "empty.mp4", "words.mkv", "picture.mp4"}
    assert not any(name in reason for name, reason in reasons(report).items())


def cut_short(monkeypatch, error):
    """Films break off after two moments."""
    really = FakeEncoder.moments

    def broken(*rest):
        for number, moment in enumerate(really(*rest)):
            if number == 2:
                raise error
            yield moment

    monkeypatch.setattr(FakeEncoder, "moments", broken)


@pytest.mark.parametrize("error", [VideoError("b.mp4", "worn out"), OSError(5, "Input/output error"), MemoryError()])
def test_a_film_that_breaks_off_leaves_nothing(folder, indexed, encoder, monkeypatch, error):
    film(folder / "b.mp4", [21, 22, 23])
    film(folder / "bb.mp4", [31, 32, 33])
    cut_short(monkeypatch, error)
    report = sync(indexed, [folder], encoder)
    assert counts(report) == {"removed": 1, "unchanged": 3}
    assert set(reasons(report)) == {"b.mp4", "bb.mp4"}
    assert set(held(indexed)) == {folder / "a.png", folder / "c.mkv", folder / "d.png"}
    monkeypatch.undo()
    assert counts(sync(indexed, [folder], encoder)) == {"added": 2, "unchanged": 3}
    assert held(indexed) == fresh(folder, indexed)


def test_a_moment_without_a_finite_vector_costs_the_film(folder, index):
    class Broken(FakeEncoder):
        def stream(self, items, read, *more, **named):
            for encoded in super().stream(items, read, *more, **named):
                is_broken = encoded.item.end == 2 and encoded.item.path.name == "b.mp4"
                yield encoded._replace(vector=encoded.vector * np.float32(np.nan)) if is_broken else encoded

    report = sync(index, [folder], Broken())
    assert counts(report) == {"added": 3}
    assert list(reasons(report)) == ["b.mp4"]


def test_a_film_that_changes_while_it_is_decoded_is_skipped(folder, index, encoder, monkeypatch):
    really = FakeEncoder.moments

    def changing(encoder, path, *rest):
        yield from really(encoder, path, *rest)
        os.utime(path, ns=(5, 5))

    monkeypatch.setattr(FakeEncoder, "moments", changing)
    report = sync(index, [folder / "b.mp4"], encoder)
    assert counts(report) == {}
    assert reasons(report) == {"b.mp4": "it changed while it was being read"}


class Interrupted(FakeEncoder):
    """Ctrl-C in the middle of a film."""

    def stream(self, items, read, *more, **named):
        for encoded in super().stream(items, read, *more, **named):
            if encoded.item.path.name == "c.mkv" and encoded.item.is_last:
                raise KeyboardInterrupt
            yield encoded


def test_ctrl_c_in_a_film_keeps_what_was_before_it(folder, index, encoder):
    with pytest.raises(KeyboardInterrupt):
        sync(index, [folder], Interrupted())
    assert {path.name: len(rows) for path, rows in held(index).items()} == {"a.png": 1, "b.mp4": 3}
    assert counts(sync(index, [folder], encoder)) == {"added": 2, "unchanged": 2}
    assert held(index) == fresh(folder, index)


def test_a_long_film_does_not_hold_back_what_was_before_it(folder, index):
    seen = []

    def look(progress):
        if progress.stage == "encoding":
            seen.append((progress.path.name, progress.second, progress.done, Table.open(index).count()))

    sync(index, [folder], FakeEncoder(), look, limits=Limits(batch_seconds=-1.0))
    assert seen == [
        ("a.png", None, 1, 1), ("b.mp4", 1, 1, 1), ("b.mp4", 2, 1, 1), ("b.mp4", 3, 2, 4), ("c.mkv", 1, 2, 4),
        ("c.mkv", 2, 3, 6), ("d.png", None, 4, 7),
    ]  # fmt: skip
    assert are_whole(index)


def test_a_film_longer_than_a_batch_is_one_commit(tmp_path, index, encoder):
    film(tmp_path / "photos/long.mp4", list(range(9)), seconds=0.5)
    draw(tmp_path / "photos/z.png", 2)
    sync(index, [tmp_path / "photos"], encoder, limits=Limits(batch_rows=2))
    assert len(held(index)[tmp_path / "photos/long.mp4"]) == 9
    assert are_whole(index)


def test_a_film_of_which_rows_are_lost_is_taken_in_again(folder, indexed, encoder):
    Table.open(indexed).remove(ids(indexed)[folder / "b.mp4"][1:2])
    assert counts(sync(indexed, [folder], encoder)) == {"changed": 1, "unchanged": 3}
    assert held(indexed) == fresh(folder, indexed)
    Table.open(indexed).remove(ids(indexed)[folder / "b.mp4"][:1])
    (folder / "b.mp4").rename(folder / "moved.mp4")
    assert counts(sync(indexed, [folder], encoder)) == {"added": 1, "removed": 1, "unchanged": 3}
    assert held(indexed) == fresh(folder, indexed)


def test_each_moment_has_its_frames_and_facts(folder):
    items = list(video_items(folder / "b.mp4", FakeEncoder()))
    assert [item.is_last for item in items] == [False, False, True]
    for item in items:
        frames, facts = item.read(FakeEncoder())
        assert len(frames) == 4
        assert (facts.start, facts.end) == (item.start, item.end)


def test_frames_keep_enough_for_a_thumbnail(tmp_path):
    film(tmp_path / "a.mp4", [1], size=(640, 480))
    (item,) = video_items(tmp_path / "a.mp4", FakeEncoder())
    _, facts = item.read(FakeEncoder())
    assert (facts.width, facts.height) == (640, 480)
    assert Image.open(io.BytesIO(facts.thumbnail)).size == (192, 144)


def test_only_two_moments_are_in_memory(tmp_path, monkeypatch):
    film(tmp_path / "a.mp4", [1])
    made = []

    def many(*_):
        for second in range(100):
            made.append(second)
            yield Moment(second, second + 1, [image(second)] * 2)

    monkeypatch.setattr(FakeEncoder, "moments", many)
    for number, _ in enumerate(video_items(tmp_path / "a.mp4", FakeEncoder())):
        assert len(made) <= number + 2


def test_reasons_are_those_of_pictures(tmp_path):
    (item,) = video_items(tmp_path / "none.mp4", FakeEncoder())
    with pytest.raises(FileNotFoundError):
        item.read(FakeEncoder())
    (tmp_path / "folder.mp4").mkdir()
    (item,) = video_items(tmp_path / "folder.mp4", FakeEncoder())
    with pytest.raises((ImageError, OSError)):
        item.read(FakeEncoder())
