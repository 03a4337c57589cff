"""A file that is named on the command line and is not there: wrong use, in the same words everywhere."""

import pytest
from PIL import Image

COMMANDS = [
    "index {none}",
    "search --image {none}",
    "search red --image {none}",
    "segment {none} cat dog",
    "segment {image} cat dog --model {none}",
    "verify {none}",
    "verify mini --image {none}",
    "train {none}.py --out run",
    "train --out run --model mini --data {none}",
    "train --out run --model {none} --data {table}",
    "train --out run --model mini --data {table} --evaluate {none}",
    "train --out run --model mini --data {table} --image-root {none}",
    *(f"eval {name} mini {{none}}.csv" for name in ("retrieval", "temperature", "diagnosis", "zeroshot", "video")),
    *(f"eval {name} mini {{none}}" for name in ("zeroshot", "video", "confusions", "segmentation")),
    "eval retrieval mini {none}.tar",
    "eval retrieval mini {none}-*.tar",
    "eval retrieval mini {table} --image-root {none}",
    "eval retrieval {none} {table}",
    "eval zeroshot mini {classes} --classes {none}",
    "eval zeroshot mini {classes} --template {none}",
    "eval segmentation mini-groupvit {classes} --classes {none}",
    "eval projection mini {table} --train {none}",
    "eval compare {none} {none}",
    "eval table {none}",
    "eval report {none} --html page.html",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_it_is_wrong_use_in_the_same_words(run, tmp_path, monkeypatch, command):
    monkeypatch.undo()  # the encoders are the real ones: they are asked for a folder that is not there
    monkeypatch.chdir(tmp_path)
    image = tmp_path / "image.png"
    Image.new("RGB", (9, 9)).save(image)
    for name in ("one", "two"):
        (tmp_path / "classes" / name).mkdir(parents=True)
        Image.new("L", (9, 9)).save(tmp_path / "classes" / name / "a.png")
    table = tmp_path / "table.csv"
    table.write_text("file,caption\nimage.png,black\n")
    places = {"none": tmp_path / "none", "image": image, "table": table, "classes": tmp_path / "classes"}
    ran = run(*command.format(**places).split())
    assert "none" in ran.err
    assert "no such file or folder" in ran.err
    assert ran.err.count("\n") == 1, "one line"
    assert (ran.status, ran.out) == (2, "")


def test_names_of_models_that_are_none(run, monkeypatch):
    monkeypatch.undo()
    ran = run("verify", "mimi")
    assert ran.status == 2
    assert "did you mean mini?" in ran.err
