"""Values that the table cannot hold: whatever one file says, it costs no other its place."""

import os
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest
from hypothesis import given, strategies as st

from sightline.errors import UsageError
from sightline.index import item as item_module, rows, walk
from sightline.index.item import ImageItem
from sightline.index.schema import METADATA_COLUMNS, item_schema
from sightline.index.sync import sync
from sightline.processing.metadata import Metadata
from support.encoders import FakeEncoder
from support.examples import examples
from support.images import draw
from support.tables import MODEL, contents, counts

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="names of open files are Linux's")

YEAR = 365 * 86400 * 10**9


@pytest.mark.parametrize(
    "time",
    [0, -1, -(10**18), 330 * YEAR, 476 * YEAR, 28858 * YEAR, -400 * YEAR, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1],
)
def test_bogus_dates_of_files_block_nothing_and_stay(photos, index, encoder, monkeypatch, time):
    """What a file system can hold differs: the time is what `stat` gives."""
    really = os.stat

    def stat(path, **options):
        found = really(path, **options)
        name = Path(f"/proc/self/fd/{path}").readlink() if isinstance(path, int) else Path(os.fspath(path))
        if name.name == "3.png":
            fields = {name: getattr(found, name) for name in dir(found) if name.startswith("st_")}
            return SimpleNamespace(**fields | {"st_mtime_ns": time})
        return found

    monkeypatch.setattr(os, "stat", stat)
    monkeypatch.setattr(os, "fstat", stat)
    assert counts(sync(index, [photos], encoder)) == {"added": 8}
    assert contents(index)[photos / "3.png"]["mtime"] == min(max(time, walk.EARLIEST), walk.LATEST)
    encoder.seen.clear()
    assert counts(sync(index, [photos], encoder)) == {"unchanged": 8}
    assert encoder.seen == []


def test_inode_numbers_that_change_at_each_look(photos, index, encoder, monkeypatch):
    really, looks = os.stat, iter(range(10**6))

    def stat(path, **options):
        found = really(path, **options)
        fields = {name: getattr(found, name) for name in dir(found) if name.startswith("st_")}
        return SimpleNamespace(**fields | {"st_ino": next(looks)})

    monkeypatch.setattr(os, "stat", stat)
    assert counts(sync(index, [photos], encoder)) == {"added": 8}
    assert counts(sync(index, [photos], encoder)) == {"unchanged": 8}


ODD = {
    "taken": "yesterday",
    "taken_offset": 10**30,
    "iso": 2**63,
    "f_number": "wide",
    "exposure": 10**400,
    "latitude": object(),
    "rating": 40_000,
    "keywords": ("fine", "\ud800"),
    "caption": "half a pair \udc00",
    "title": b"\xff",
    "frames": 2**70,
    "has_audio": "yes",
}


@pytest.mark.parametrize("name", ODD)
def test_metadata_that_cannot_be_stored_is_null(photos, index, monkeypatch, name):
    def read(path, data=None):
        odd = {name: ODD[name]} if path.name == "3.png" else {}
        return Metadata(**{"camera_make": "Make", "title": "t"} | odd)

    monkeypatch.setattr(item_module, "read_image_metadata", read)
    monkeypatch.setattr(rows, "read_image_metadata", read)
    assert counts(sync(index, [photos], FakeEncoder())) == {"added": 8}
    assert contents(index)[photos / "3.png"][name] is None
    assert all(row["camera_make"] == "Make" for row in contents(index).values())
    (photos / "3.png").rename(photos / "deep" / "3.png")
    assert counts(sync(index, [photos], FakeEncoder())) == {"moved": 1, "unchanged": 7}
    assert contents(index)[photos / "deep" / "3.png"][name] is None


@pytest.mark.parametrize("known", [False, True])
def test_a_file_whose_row_cannot_be_stored_is_named_and_costs_no_other(photos, index, monkeypatch, known):
    if known:
        sync(index, [photos], FakeEncoder())
        draw(photos / "3.png", 33)
        draw(photos / "4.png", 34)
    really = ImageItem.read

    def read(self, encoder):
        image, facts = really(self, encoder)
        if self.path.name == "3.png":
            object.__setattr__(facts, "width", 2**40)
        return image, facts

    monkeypatch.setattr(ImageItem, "read", read)
    report = sync(index, [photos], FakeEncoder())
    assert [path.name for path, _ in report.skipped] == ["3.png"]
    assert "cannot hold" in report.skipped[0][1]
    assert report.indexed == 7
    assert counts(report) == ({"changed": 1, "removed": 1, "unchanged": 6} if known else {"added": 7})
    assert photos / "3.png" not in contents(index)


WILD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters()), st.binary(), st.datetimes(),
    st.lists(st.one_of(st.text(st.characters()), st.integers(), st.none())).map(tuple),
)  # fmt: skip


@examples(60)
@given(
    st.dictionaries(st.sampled_from(METADATA_COLUMNS), WILD), st.dictionaries(st.sampled_from(METADATA_COLUMNS), WILD)
)
def test_no_metadata_at_all_stops_a_row(first, second):
    schema = item_schema(MODEL)
    for name in METADATA_COLUMNS:
        type = schema.field(name).type
        array = rows.stored([first.get(name), second.get(name), None], type)
        assert (len(array), array.type) == (3, type)
        array.validate(full=True)
    assert rows.stored([datetime(9999, 1, 1)], pa.timestamp("us")).null_count == 0


def test_the_longest_names(tmp_path, index, encoder):
    folder = tmp_path
    while len(os.fsencode(folder)) < 3600:
        folder = folder / ("长" * 80)
    draw(folder / f"{'x' * 240}.png", 1)
    assert counts(sync(index, [tmp_path], encoder)) == {"added": 1}
    assert counts(sync(index, [tmp_path], encoder)) == {"unchanged": 1}


def test_nothing_stays_of_an_index_of_nothing(tmp_path, encoder):
    (tmp_path / "photos").mkdir()
    (tmp_path / "mine").mkdir()
    for name, stays in {"new": False, "mine": True}.items():
        assert sync(tmp_path / name, [tmp_path / "photos"], encoder).indexed == 0
        assert (tmp_path / name).exists() == stays
        assert not stays or not list((tmp_path / name).iterdir())
    with pytest.raises(UsageError):
        sync(tmp_path / "new", [tmp_path / "photos"], encoder, exclude=[""])
    assert not (tmp_path / "new").exists()
