"""Files written whole or not at all, and found under their names in either Unicode form."""

import os
import stat
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from sightline.files import find_file, read_json, replacing, write_text

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="permissions as POSIX has them")


@pytest.fixture
def umask():
    """Sets the umask, until the end of the test."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(("mask", "expected"), [(0o077, 0o600), (0o022, 0o644), (0o002, 0o664)])
def test_a_new_file_has_what_the_umask_leaves(tmp_path, umask, mask, expected):
    umask(mask)
    write_text(tmp_path / "a", "words")
    assert mode(tmp_path / "a") == expected


def test_a_replaced_file_keeps_its_permissions(tmp_path, umask):
    write_text(tmp_path / "a", "words")
    (tmp_path / "a").chmod(0o640)
    umask(0o077)
    write_text(tmp_path / "a", "others")
    assert (mode(tmp_path / "a"), (tmp_path / "a").read_text()) == (0o640, "others")


def test_a_failure_leaves_what_was_there(tmp_path):
    write_text(tmp_path / "a", "words")
    with suppress(ValueError), replacing(tmp_path / "a") as file:
        file.write_text("half")
        raise ValueError
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "words"


CAFE = "caf\u00e9", "cafe\u0301"


@pytest.mark.parametrize("given", [0, 1])
def test_a_file_is_found_in_either_unicode_form(tmp_path, given):
    on_disk, typed = CAFE[1 - given], CAFE[given]
    (tmp_path / on_disk).mkdir()
    (tmp_path / on_disk / f"{on_disk}.jpg").touch()
    assert find_file(tmp_path / typed / f"{typed}.jpg") == tmp_path / on_disk / f"{on_disk}.jpg"
    (tmp_path / typed).mkdir()
    (tmp_path / typed / f"{typed}.jpg").touch()
    assert find_file(tmp_path / typed / f"{typed}.jpg") == tmp_path / typed / f"{typed}.jpg", "what is named goes first"


@pytest.mark.parametrize("name", ["no.jpg", "caf\u00e8.jpg", "a\0b.jpg", "sub/../no.jpg", "x" * 300])
def test_what_is_in_no_form_there_comes_back_as_it_was_given(tmp_path, name):
    (tmp_path / "cafe\u0301.jpg").touch()
    assert find_file(tmp_path / name) == tmp_path / name


def test_a_relative_path_stays_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(CAFE[1]).touch()
    assert find_file(Path(CAFE[0])) == Path(CAFE[1])


def test_a_mark_at_the_beginning_of_json_is_left_out(tmp_path):
    path = tmp_path / "config.json"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json(path) == {"a": 1}
