"""Lines of progress where standard error is no terminal."""

import re
from pathlib import Path

import pytest

from sightline.cli import output
from sightline.progress import Progress


@pytest.fixture
def lines(monkeypatch, capsys):
    """Shows progress at given seconds; returns the lines that were written."""

    def call(shown):
        times = iter([0.0, *(second for second, _ in shown)])
        monkeypatch.setattr(output.time, "monotonic", lambda: next(times))
        with output.progress_bar() as progress:
            for _, each in shown:
                progress(each)
        return capsys.readouterr().err.splitlines()

    return call


def test_a_line_every_ten_seconds_with_rate_and_time_left(lines):
    shown = [(second, Progress("encoding", 5 * second, 1000, skipped=second // 15)) for second in range(31)]
    assert lines(shown) == [
        "encoding: 50 of 1,000, 5/s, 3:10 left",
        "encoding, 1 skipped: 100 of 1,000, 5/s, 3:00 left",
        "encoding, 2 skipped: 150 of 1,000, 5/s, 2:50 left",
    ]


def test_short_work_says_nothing(lines):
    assert lines([(second, Progress("encoding", second, 9)) for second in range(9)]) == []


def test_each_stage_has_its_own_rate(lines):
    shown = [(9, Progress("encoding", 900, 900)), (9, Progress("ranking", 0, 100)), (19, Progress("ranking", 20, 100))]
    assert lines(shown) == ["ranking: 20 of 100, 2/s, 0:40 left"]
    # The same stage again, from its beginning.
    shown = [
        (8, Progress("encoding", 900, 900)),
        (9, Progress("encoding", 0, 900)),
        (29, Progress("encoding", 10, 900)),
    ]
    assert lines(shown) == ["encoding: 10 of 900, 0.5/s, 29:40 left"]


def test_without_a_total_and_with_a_name_that_is_no_text(lines):
    shown = [(0, Progress("encoding", 0)), (20, Progress("encoding", 400, path=Path("a\x1b.mp4"), second=3.0))]
    assert lines(shown) == [r"encoding, a\x1b.mp4 at 0:03: 400, 20/s"]


def test_a_command_that_works_long_says_so(run, pictures, monkeypatch):
    monkeypatch.setattr(output, "LINES_EVERY", 0.0)
    ran = run("index", pictures, "--model", "colors")
    assert ran.status == 0
    assert re.search(r"^encoding: \d.*/s", ran.err, re.MULTILINE)
