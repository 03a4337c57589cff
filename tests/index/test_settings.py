"""The folders that an index is of."""

import pytest

from sightline.errors import IndexDamaged
from sightline.index import Table, fsck
from sightline.index.folder import SETTINGS
from sightline.index.settings import Settings, read_settings, write_settings
from sightline.index.sync import forget, sync
from support.encoders import FakeEncoder
from support.images import draw


def test_a_run_notes_its_folders_and_forgetting_removes_them(photos, index, encoder, tmp_path):
    assert read_settings(index) == Settings()
    other = draw(tmp_path / "other" / "a.png", 30)
    sync(index, [photos / "deep"], encoder)
    assert read_settings(index).folders == (str(photos / "deep"),)
    sync(index, [photos, other], encoder)
    assert read_settings(index).folders == (str(other), str(photos)), "no folder below another"
    sync(index, [photos / "deep"], encoder)
    assert read_settings(index).folders == (str(other), str(photos))
    forget(index, [photos / "deep"])
    assert read_settings(index).folders == (str(other), str(photos))
    forget(index, [tmp_path / "other"])
    assert read_settings(index).folders == (str(photos),)


def test_what_is_excluded_stays(photos, index, encoder):
    sync(index, [photos], encoder)
    write_settings(index, Settings(exclude=("@eaDir", "*.tmp")))
    sync(index, [photos], encoder)
    assert read_settings(index) == Settings((str(photos),), ("@eaDir", "*.tmp"))


def test_names_that_are_no_text(tmp_path, index, encoder):
    import os

    folder = tmp_path / os.fsdecode(b"caf\xe9")
    draw(folder / "a.png", 1)
    sync(index, [folder], encoder)
    assert read_settings(index).folders == (str(folder),)


def test_unchanged_settings_are_not_written_again(photos, index, encoder):
    sync(index, [photos], encoder)
    made = (index / SETTINGS).stat().st_ino
    sync(index, [photos], encoder)
    assert (index / SETTINGS).stat().st_ino == made


@pytest.mark.parametrize("content", ["soup", '{"folders": "x"}', '{"exclude": [1]}', r'{"folders": ["\ud800"]}'])
@pytest.mark.system
def test_damaged_settings(photos, index, content):
    sync(index, [photos], FakeEncoder())
    (index / SETTINGS).write_text(content)
    with pytest.raises(IndexDamaged, match="fsck --repair"):
        sync(index, [photos], FakeEncoder())
    assert Table.open(index).count() == 8, "searching needs none"
    (problem,) = fsck.check(index)
    assert problem.where == str(index / SETTINGS)
    fsck.repair(index)
    assert fsck.check(index) == []
    sync(index, [photos], FakeEncoder())
    assert read_settings(index).folders == (str(photos),)
