"""Files written whole or not at all."""

import os
import stat
import sys
from contextlib import suppress

import pytest

from sightline.files import replacing, write_text

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
