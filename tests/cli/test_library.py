"""`sightline library`, and --library beside --index."""

import json
import sys

import pytest


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture
def holiday(run, pictures):
    """A library of the pictures."""
    assert run("index", pictures, "--library", "holiday", "--model", "colors").status == 0
    return pictures


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["search", "red", "-k", "1"], "red.png"),
        (["similar", "--threshold", "1"], ""),
        (["info"], "images       7"),
        (["fsck"], "sound"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_each_command_takes_a_library(run, holiday, command, says):
    ran = run(*command, "--library", "holiday")
    assert ran.status == 0
    assert says in ran.out


@pytest.mark.parametrize("command", [["search", "red"], ["similar"], ["info"], ["fsck"], ["index", "."]])
def test_a_folder_and_a_library_are_one_too_many(run, holiday, command):
    ran = run(*command, "--library", "holiday", "--index", "x")
    assert (ran.status, ran.out) == (2, "")
    assert "--index or --library" in ran.err


def test_list(run, pictures):
    assert "sightline index PATH --library NAME" in run("library", "list").out
    for name in ("holiday", "相册"):
        run("index", pictures, "--library", name, "--model", "colors")
    head, *lines = run("library", "list").out.splitlines()
    assert head.split()[:3] == ["library", "items", "MB"]
    assert [(line.split()[0], line.split()[1]) for line in lines] == [("holiday", "7"), ("相册", "7")]
    assert all(line.endswith(f"colors; {pictures}") for line in lines)
    listed = [json.loads(line) for line in run("library", "list", "--json").out.splitlines()]
    assert [(line["library"], line["items"], line["model"]) for line in listed] == [
        ("holiday", 7, "colors"),
        ("相册", 7, "colors"),
    ]


def test_a_damaged_library_is_listed(run, holiday, tmp_path):
    for file in (tmp_path / "data").rglob("*.manifest"):
        file.write_bytes(b"broken")
    ran = run("library", "list")
    assert ran.status == 0
    assert "is damaged" in ran.out.splitlines()[1]


def test_show_is_info(run, holiday):
    assert run("library", "show", "holiday").out == run("info", "--library", "holiday").out
    assert run("library", "show", "holiday", "--json").out == run("info", "--library", "holiday", "--json").out


def test_a_library_that_is_not_there(run, holiday):
    for command in (["search", "red", "--library", "x"], ["library", "show", "x"], ["library", "delete", "x", "--yes"]):
        ran = run(*command)
        assert ran.status == 1
        assert ran.err.endswith(
            "`sightline index PATH --library x`; the libraries that there are: holiday (--library NAME)\n"
        )


def test_delete_asks(run, holiday, monkeypatch):
    ran = run("library", "delete", "holiday")
    assert (ran.status, ran.out) == (2, "")
    assert "--yes" in ran.err
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    for answer, said in ((False, "nothing was deleted\n"), (True, "deleted: ")):
        monkeypatch.setattr("typer.confirm", lambda text, answer=answer: answer)
        assert run("library", "delete", "holiday").out.startswith(said)
    assert "there are no libraries" in run("library", "list").out
    assert len(list(holiday.iterdir())) == 7
