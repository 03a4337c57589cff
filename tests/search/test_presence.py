"""Files that were deleted after they were indexed."""

import os
import time
from pathlib import Path
from threading import Event

import pytest

from sightline.search import Result, presence
from sightline.search.presence import is_missing, missing_files, notes


@pytest.fixture
def files(tmp_path):
    """Names, and whether nothing is there."""
    (tmp_path / "there").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there")
    (tmp_path / "dangling").symlink_to(tmp_path / "gone")
    strange = os.fsdecode(b"\xff\n")
    (tmp_path / strange).touch()
    missing = {
        "there": False, "link": False, strange: False, "gone": True, "dangling": True, "folder/gone": True,
        "gone/gone": True, "there/gone": True, "x" * 300: False,
    }  # fmt: skip
    return {str(tmp_path / name): answer for name, answer in missing.items()}


def test_what_is_missing(files):
    assert {path: is_missing(path) for path in files} == files
    assert dict(zip(files, missing_files(list(files)), strict=True)) == files
    assert missing_files([*files, *files]) == [*files.values()] * 2
    assert missing_files([]) == []
    for path, missing in files.items():
        assert Result(1, 0.5, path, "image", None, None, 1).exists() is not missing


def test_a_disk_that_gives_no_answer_is_not_waited_for(tmp_path, monkeypatch):
    """Some hang; all others are answered, however many threads hang."""
    waiting = Event()
    (tmp_path / "there").touch()
    stat = os.stat

    def hang(path, **more):
        if "hangs" in str(path):
            waiting.wait()
        return stat(path, **more)

    monkeypatch.setattr(presence.os, "stat", hang)
    paths = [str(tmp_path / name) for name in ("there", "hangs0", "gone", "hangs1")]
    begin = time.monotonic()
    assert missing_files(paths, patience=0.1) == [False, None, True, None]
    assert time.monotonic() - begin < 2
    waiting.set()


def test_what_is_said():
    assert notes([False, False]) == []
    assert notes([True, False])[0].startswith("1 file is missing")
    gone, unknown = notes([True, True, None])
    assert gone.startswith("2 files are missing")
    assert "sightline index" in gone
    assert "1 of the files" in unknown


def test_results_are_shown_in_a_line():
    image = Result(1, 0.31234567, "/p/a.jpg", "image", None, None, 7)
    assert repr(image) == "Result(rank=1, score=0.3123, uri='/p/a.jpg')"
    moment = Result(2, -0.1, str(Path("/f/a.mp4")), "moment", 1.5, 3.25, 8)
    assert repr(moment) == "Result(rank=2, score=-0.1000, uri='/f/a.mp4', start=1.50, end=3.25)"
