"""Whether a file may be written, before the work whose outcome it is to hold."""

from pathlib import Path

import pytest

from sightline.errors import UsageError
from sightline.files import check_writable


@pytest.mark.parametrize("content", [None, b"", b"<!DOCTYPE HTML><p>", b"<!doctype html"])
def test_a_new_file_and_one_of_the_kind_may_be_written(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "page.html"
    if content is not None:
        file.write_bytes(content)
    check_writable(file, "page", b"<!doctype html")
    assert file.exists() == (content is not None), "nothing is written"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("photo.jpg", r"photo\.jpg is no page of ours and would be lost"),
        ("short.html", r"short\.html is no page of ours"),
        ("none/page.html", "there is no folder to write this file into"),
        (".", "is a folder: name a file for the page"),
        ("a" * 300, "the page cannot be written there"),
    ],
)
def test_other_files_stay(tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8")
    (tmp_path / "short.html").write_bytes(b"<!doc")
    with pytest.raises(UsageError, match=says):
        check_writable(tmp_path / name, "page", b"<!doctype html")
    assert (tmp_path / "photo.jpg").read_bytes() == b"\xff\xd8"
