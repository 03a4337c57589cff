"""Each column of the metadata holds what the file's header says, for the files of `support.photos`."""

from dataclasses import fields
from datetime import UTC, datetime, timedelta

import pytest
from pillow_heif import register_heif_opener

from sightline.index import Table, fsck, to_path
from sightline.index.schema import METADATA_COLUMNS, item_schema
from sightline.index.sync import sync
from sightline.processing.image.thumbnail import perceptual_hash
from sightline.processing.metadata import Metadata
from support.encoders import FakeEncoder
from support.photos import made
from support.tables import MODEL


def test_the_columns_are_the_fields():
    assert sorted(METADATA_COLUMNS) == sorted(field.name for field in fields(Metadata))
    assert set(METADATA_COLUMNS) < set(item_schema(MODEL).names)


@pytest.fixture(scope="module")
def indexed(tmp_path_factory):
    """The files with what is right for each, and an index of them."""
    register_heif_opener()
    folder = tmp_path_factory.mktemp("facts")
    files = made(folder / "photos")
    report = sync(folder / "index", [folder / "photos"], FakeEncoder())
    assert report.skipped == []
    return dict(files), folder / "index"


def test_each_column_is_right(indexed):
    files, index = indexed
    assert len(files) >= 40
    table = Table.open(index)
    wrong, seen = {}, set()
    for row in table.rows(table.vectors()[0]):
        path = to_path(row["uri"])
        seen.add(path)
        for name in METADATA_COLUMNS:
            right = getattr(files[path], name)
            right = (list(right) or None) if name == "keywords" else right
            if row[name] != (pytest.approx(right, rel=1e-6) if isinstance(right, float) else right):
                wrong[f"{path.name}: {name}"] = row[name], right
    assert not wrong
    assert seen == set(files)


def test_the_other_new_columns(indexed):
    _, index = indexed
    table = Table.open(index)
    for row in table.rows(table.vectors()[0]):
        assert row["phash"] == perceptual_hash(row["thumbnail"])
        assert timedelta(0) <= datetime.now(UTC) - row["added"] < timedelta(hours=1)
        assert (row["precision"], row["etag"], row["text"]) == ("float32", None, None)
    assert fsck.check(index) == []


@pytest.mark.parametrize(
    "sql",
    [
        "f_number = 2.8 and iso = 400",
        "latitude between 52 and 53",
        "keywords = 'Bach'",
        "taken >= timestamp '2024-01-01 00:00:00' and taken_offset = -330",
        "added > timestamp '2020-01-01 00:00:00' and camera_make = 'Canon'",
        "has_audio and duration > 0.5",
    ],
)
def test_columns_can_be_asked_for(indexed, sql):
    assert len(Table.open(indexed[1]).ids_where(sql))
