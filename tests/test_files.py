"""Files opened with care."""

import os
from pathlib import Path

import pytest

from sightline.errors import ImageError
from sightline.files import open_file


def test_a_file_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "picture"
    path.write_bytes(b"bytes")
    with open_file(path) as file:
        assert file.read() == b"bytes"
        assert file.name == str(path)


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, reason in (("pipe", "not a file but a pipe or device"), ("", "a folder, not a file")):
        with pytest.raises(ImageError) as caught:
            open_file(tmp_path / name)
        assert caught.value.reason == reason
    with pytest.raises(FileNotFoundError):
        open_file(tmp_path / "missing")
