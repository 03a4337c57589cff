"""What is drawn only on a terminal: the progress bar, links and colors."""

import os
import re
import sys
import threading
import time

import pytest

from sightline.cli.main import main
from support.encoders import ColorEncoder
from support.videos import colored

pty = pytest.importorskip("pty", reason="terminals of this kind are Unix's")


@pytest.fixture
def terminal(run, monkeypatch):
    """Runs a command line on a new pseudo-terminal; returns the exit status and what was drawn."""
    for name, value in {"TERM": "xterm-256color", "COLUMNS": "120"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)

    def call(*args):
        ours, theirs = pty.openpty()
        drawn = bytearray()

        def read():
            try:
                while part := os.read(ours, 4096):
                    drawn.extend(part)
            except OSError:
                pass  # the other end was closed

        reader = threading.Thread(target=read)
        reader.start()
        with open(theirs, "w") as stream, monkeypatch.context() as patch:  # noqa: PTH123
            patch.setattr(sys, "stdout", stream)
            patch.setattr(sys, "stderr", stream)
            status = main([str(arg) for arg in args])
        reader.join(10)
        os.close(ours)
        return status, drawn.decode()

    return call


def plain(text):
    """Without colors, links and movements of the cursor."""
    return re.sub(r"\x1b\]8;[^\x1b]*\x1b\\|\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "\n")


def slowly(method):
    """The method, after a wait: the bar is drawn ten times a second."""

    def called(self, pixels):
        time.sleep(0.15)
        return method(self, pixels)

    return called


@pytest.mark.system
def test_the_bar_counts_with_rate_and_time_left(terminal, pictures, monkeypatch):
    monkeypatch.setattr(ColorEncoder, "_encode", slowly(ColorEncoder._encode))
    (pictures / "empty.jpg").touch()
    status, drawn = terminal("index", pictures, "--model", "colors")
    assert status == 0
    shown = re.findall(r"encoding, 1 skipped +\S+ +(\d)/8 +[\d,]+/s +\d\d:\d\d", plain(drawn))
    assert 3 <= int(shown[-1]) <= 8
    assert "100" not in plain(drawn), "no made-up total"
    assert "7 added" in drawn


def test_the_bar_says_how_far_a_film_is(terminal, run, pictures, monkeypatch):
    colored(pictures / "a [red]film\x1b[31m.mp4", [("springgreen", 2), ("dodgerblue", 1), ("deeppink", 3)])
    monkeypatch.setattr(ColorEncoder, "_video", slowly(ColorEncoder._video))
    status, drawn = terminal("index", pictures, "--model", "colors")
    assert status == 0
    assert re.search(r"encoding, a \[red\]film\\x1b\[31m\.mp4 at 0:0[23] ", plain(drawn))
    assert "\x1b[31mfilm" not in drawn
    status, drawn = terminal("search", "deeppink", "-k", "1", "--where", "kind = 'moment'")
    assert plain(drawn).strip().endswith(".mp4 0:03-0:06")


def test_results_are_links_to_the_files(terminal, run, indexed):
    name = "blue [bold]\x1b[31m #1.png"
    (indexed / "blue.png").rename(indexed / name)
    run("index", indexed)
    status, drawn = terminal("search", "blue", "-k", "1")
    assert status == 0
    assert plain(drawn).strip() == f"1  1.0000  {indexed}/blue [bold]\\x1b[31m #1.png"
    assert f";{(indexed / name).as_uri()}\x1b\\" in drawn
    assert "\x1b[31m" not in drawn
