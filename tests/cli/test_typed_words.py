"""Words of the command line in the encoding of the terminal, and tables of words that are two characters wide."""

import os

import pytest

from sightline.cli.filters import Filters
from sightline.cli.options import typed
from sightline.cli.output import padded
from sightline.errors import UsageError

NOTHING = dict.fromkeys(("where", "since", "until", "folder", "kind", "camera", "near", "rating"))


@pytest.mark.parametrize(
    ("words", "encoding"),
    [
        ("a dog", "gbk"),
        ("一只狗", "gbk"),
        ("一隻狗", "big5"),
        ("犬", "euc_jp"),
        ("собака", "koi8-r"),
        ("café", "iso8859-1"),
        ("一只狗", "utf-8"),
    ],
)
def test_typed(words, encoding, monkeypatch):
    monkeypatch.setattr("locale.getencoding", lambda: encoding)
    assert typed(os.fsdecode(words.encode(encoding))) == words
    assert typed(words) == words, "UTF-8 under this locale, as from a script"


@pytest.mark.parametrize("encoding", ["UTF-8", "ANSI_X3.4-1968", "no-such-encoding"])
def test_typed_in_neither(encoding, monkeypatch):
    monkeypatch.setattr("locale.getencoding", lambda: encoding)
    with pytest.raises(UsageError, match="no text in UTF-8"):
        typed(os.fsdecode("一只狗".encode("gbk")))


@pytest.fixture
def gbk(monkeypatch):
    """Words as they come from a terminal in GBK."""
    monkeypatch.setattr("locale.getencoding", lambda: "gbk")
    return lambda words: os.fsdecode(words.encode("gbk"))


def test_commands_read_typed_words(run, pictures, gbk, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("SIGHTLINE_INDEX")
    name = gbk("照片库")
    assert run("index", pictures, "--model", "colors", "--library", name).status == 0
    assert (tmp_path / "data" / "sightline" / "libraries" / "照片库").is_dir()
    assert "images       7" in run("library", "show", name).out
    assert run("search", "red", "--library", name, "--where", gbk("uri like '%小狗%'")).err.startswith("no results")
    # The model knows names of colors, and names what is none.
    assert "'红色'" in run("search", gbk("红色"), "--library", name).err
    assert "'一只狗'" in run("search", "red", "--not", gbk("一只狗"), "--library", name).err
    assert run("library", "delete", name, "--yes").status == 0
    assert not (tmp_path / "data" / "sightline" / "libraries" / "照片库").exists()


def test_a_camera_as_typed(gbk):
    assert "海鸥" in Filters(**NOTHING | {"camera": gbk("海鸥")}).conditions["--camera 海鸥"]


def test_text_in_no_known_encoding_is_an_error(run, indexed, monkeypatch):
    monkeypatch.setattr("locale.getencoding", lambda: "UTF-8")
    ran = run("search", os.fsdecode("一只狗".encode("gbk")))
    assert (ran.status, ran.out) == (2, "")
    assert "no text in UTF-8" in ran.err


def test_padded():
    assert padded(["library", "照片库", "a"]) == ["library", "照片库 ", "a      "]
    assert padded(["1.5", "照片"], right=True) == [" 1.5", "照片"]
    assert padded([""]) == [""]
