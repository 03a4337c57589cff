"""Libraries: names, where they lie, and that a deletion takes nothing that is not ours."""

import threading
import time
import unicodedata

import pytest

from sightline.errors import IndexLocked, IndexMissing, UsageError
from sightline.index import Table, lock
from sightline.index.library import delete_library, libraries, library_folder, missing
from sightline.index.sync import sync
from sightline.search import open_index


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    """The user's data folder."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("SIGHTLINE_INDEX", raising=False)
    return tmp_path / "data" / "sightline"


@pytest.fixture
def holiday(photos, encoder):
    """The folder of a library of eight photos."""
    folder = library_folder("holiday")
    sync(folder, [photos], encoder)
    return folder


@pytest.mark.parametrize(
    "name",
    [
        "holiday",
        "2024",
        "Ferien am Meer",
        "相册",
        "été",
        "a.b",
        "x-1_2",
        "R&D (old)",
        "Опыт",
        "相册（新）",
        "Zoë’s",
        "a" * 100,
    ],
)
def test_names(name, data):
    assert library_folder(name) == data / "libraries" / name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "a\\b",
        ".hidden",
        "-x",
        " x",
        "x ",
        "x.",
        "a\nb",
        "a\0b",
        "~",
        "a:b",
        "a*",
        "é" * 51,
        "\ud800",
    ],
)
def test_what_is_no_name(name):
    with pytest.raises(UsageError, match="is no name of a library"):
        library_folder(name)


def test_a_name_is_the_same_in_all_its_unicode_forms():
    assert library_folder(unicodedata.normalize("NFD", "été")) == library_folder(unicodedata.normalize("NFC", "été"))


def test_the_default_library_is_the_default_folder(data, photos, encoder, monkeypatch):
    assert library_folder("default") == data / "index"
    sync(data / "index", [photos], encoder)
    assert len(open_index()) == len(open_index(library="default")) == 8
    monkeypatch.setenv("SIGHTLINE_INDEX", str(data / "another"))
    assert len(open_index(library="default")) == 8


def test_open_index_by_name(holiday):
    assert len(open_index(library="holiday")) == 8
    with pytest.raises(UsageError, match="name one of them"):
        open_index(holiday, library="holiday")


def test_which_libraries_there_are(holiday, data, photos, encoder):
    sync(library_folder("default"), [photos], encoder)
    (data / "libraries" / "empty").mkdir()
    (data / "libraries" / "file").touch()
    assert libraries() == {"default": data / "index", "holiday": holiday}


def test_what_is_missing_is_answered_with_what_there_is(holiday, tmp_path):
    with pytest.raises(IndexMissing, match=r"--index .*films`; the libraries that there are: holiday"):
        Table.open(tmp_path / "films")
    with pytest.raises(IndexMissing, match="--library 'my films'`; the libraries that there are: holiday"):
        Table.open(library_folder("my films"))
    delete_library("holiday")
    assert str(missing(tmp_path / "films")).endswith("films`")


def test_a_library_is_deleted_with_all_that_is_in_it(holiday, photos, data):
    (holiday.parent / ".deleted-0").mkdir()  # of a deletion that was killed
    delete_library("holiday")
    assert list((data / "libraries").iterdir()) == []
    assert len(list(photos.rglob("*.png"))) == 8
    with pytest.raises(IndexMissing):
        delete_library("holiday")


def test_what_is_not_ours_is_not_deleted(holiday):
    (holiday / "diary.txt").touch()
    with pytest.raises(UsageError, match=r"diary\.txt"):
        delete_library("holiday")
    assert Table.open(holiday).count() == 8


def test_a_link_is_not_followed(holiday, data):
    (data / "libraries" / "other").symlink_to(holiday)
    with pytest.raises(UsageError, match="is a link"):
        delete_library("other")
    assert Table.open(holiday).count() == 8


def test_a_library_that_is_written_is_not_deleted(holiday):
    with lock.writer(holiday), pytest.raises(IndexLocked):
        delete_library("holiday")
    assert Table.open(holiday).count() == 8


def test_a_writer_that_waited_makes_no_second_one(holiday, photos, encoder):
    """It is told that the library is gone; without its lock's file it would write where another may write too."""
    failed = []

    def write():
        try:
            sync(holiday, [photos], encoder, wait=10)
        except IndexLocked as error:
            failed.append(str(error))

    with lock.writer(holiday):
        writer = threading.Thread(target=write)
        writer.start()
        time.sleep(0.3)
        gone = holiday.with_name(".deleted-1")
        holiday.rename(gone)
        (gone / lock.NAME).unlink()
    writer.join()
    assert "was left by another writer" in failed[0]
    assert not holiday.exists()
